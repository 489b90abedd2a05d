//! One message on one connection: RFC 8471 §3 and §4.2, RFC 8473 §2.

use serde_json::json;

use super::{Row, row};

/// rsa2048_pss alone, rsa2048_pkcs1.5 alone.
const PSS: &str = "01000101";
const PKCS: &str = "01000100";

pub const ROWS: &[Row] = &[
    row("ecdsap256", "8471 §3.3", "200 verified provided=alice", |s| {
        s.once(json!({}), json!([{"key": "alice"}]))
    }),
    row("rsa2048_pss", "8471 §3.3", "200 verified provided=pss", |s| {
        s.once(json!({"offer": PSS}), json!([{"key": "pss"}]))
    }),
    row("rsa2048_pkcs1.5", "8471 §3.3", "200 verified provided=pkcs", |s| {
        s.once(json!({"offer": PKCS}), json!([{"key": "pkcs"}]))
    }),
    row("every request of a connection", "8473 §2", "200 verified provided=alice", |s| {
        let connection = s.connect(json!({}));
        let value = s.alice(&connection);
        let outcomes: Vec<String> = (0..5).map(|_| s.send(&connection, &value)).collect();
        if outcomes.windows(2).all(|two| two[0] == two[1]) {
            outcomes[0].clone()
        } else {
            outcomes.join(", ")
        }
    }),
    row(
        "two identities in turn on one connection",
        "8473 §2.1",
        "200 verified provided=alice, 200 verified provided=mallory, 200 verified provided=alice",
        |s| {
            let connection = s.connect(json!({}));
            let (alice, mallory) = (s.alice(&connection), s.value(&connection, json!([{"key": "mallory"}])));
            [&alice, &mallory, &alice].map(|value| s.send(&connection, value)).join(", ")
        },
    ),
    row("a referred binding", "8473 §5", "200 verified provided=alice referred=mallory", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "mallory", "type": 1}]))
    }),
    row(
        "the referred binding comes first",
        "8471 §3",
        "200 verified provided=alice referred=mallory",
        |s| s.once(json!({}), json!([{"key": "mallory", "type": 1}, {"key": "alice"}])),
    ),
    row(
        "a referred key of other parameters",
        "8471 §4.2",
        "200 verified provided=alice referred=pss",
        |s| s.once(json!({}), json!([{"key": "alice"}, {"key": "pss", "type": 1}])),
    ),
    row(
        "provided and referred are one key",
        "8473 §5.3",
        "200 verified provided=alice referred=alice",
        |s| s.once(json!({}), json!([{"key": "alice"}, {"key": "alice", "type": 1}])),
    ),
    row("an unknown type", "ttrp §2.2", "200 verified provided=alice other=7.mallory", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "mallory", "type": 7}]))
    }),
    row("an unknown type of unknown key parameters", "8471 §3.1", "200 verified provided=alice", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "mallory", "type": 7, "key_parameters": 77}]))
    }),
    row("a referred binding of unknown key parameters", "8473 §5.4", "200 verified provided=alice", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "mallory", "type": 1, "key_parameters": 77}]))
    }),
    row("unknown extensions", "8471 §3.4", "200 verified provided=alice", |s| {
        s.once(json!({}), json!([{"key": "alice", "extensions": "630003aabbcc000000"}]))
    }),
    row("eight signatures", "bounded work", "200 verified provided=alice other=9.mallory", |s| {
        let mut bindings = vec![json!({"key": "alice"})];
        bindings.extend((0..7).map(|_| json!({"key": "mallory", "type": 9})));
        let outcome = s.once(json!({}), json!(bindings));
        outcome.replacen(",9.mallory", "", 6)
    }),
    row("nine signatures", "bounded work", "400", |s| {
        let mut bindings = vec![json!({"key": "alice"})];
        bindings.extend((0..8).map(|_| json!({"key": "mallory", "type": 9})));
        s.once(json!({}), json!(bindings))
    }),
    row("the field's name in lower case", "9110 §5.1", "200 verified provided=alice", |s| {
        let connection = s.connect(json!({}));
        let value = s.alice(&connection);
        s.fields(&connection, &[&format!("sec-token-binding: {value}")])
    }),
    row("no header, though negotiated", "8473 §2", "400", |s| {
        let connection = s.connect(json!({}));
        s.fields(&connection, &[])
    }),
    row("no header, TokenBindingMissing Allow", "surface", "200 missing", |s| {
        let connection = s.connect(json!({"sni": "allow.test"}));
        let answer = allow(s, &connection, &[]);
        s.outcome(&answer)
    }),
    row("a bad signature, TokenBindingMissing Allow", "8471 §4.2", "400", |s| {
        let connection = s.connect(json!({"sni": "allow.test"}));
        let value = s.value(&connection, json!([{"key": "alice", "signature": "flip"}]));
        let answer = allow(s, &connection, &[&format!("Sec-Token-Binding: {value}")]);
        s.outcome(&answer)
    }),
    row("an empty value", "8473 §2", "400", |s| {
        let connection = s.connect(json!({}));
        s.fields(&connection, &["Sec-Token-Binding:"])
    }),
    row("a message without a binding", "8471 §4.2", "400", |s| {
        let connection = s.connect(json!({}));
        s.send(&connection, "AAA")
    }),
    row("no provided binding", "8473 §2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "type": 1}]))
    }),
    row("two provided bindings", "8473 §2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "mallory"}]))
    }),
    row("the same provided binding twice", "8473 §2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "alice"}]))
    }),
    row("two referred bindings", "8473 §2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "pss", "type": 1}, {"key": "mallory", "type": 1}]))
    }),
    row("two fields", "8473 §2", "400", |s| {
        let connection = s.connect(json!({}));
        let field = format!("Sec-Token-Binding: {}", s.alice(&connection));
        s.fields(&connection, &[&field, &field])
    }),
    row("two fields, one of them empty", "8473 §2", "400", |s| {
        let connection = s.connect(json!({}));
        let field = format!("Sec-Token-Binding: {}", s.alice(&connection));
        s.fields(&connection, &["Sec-Token-Binding:", &field])
    }),
    row("two values in one field", "8473 §2", "400", |s| {
        let connection = s.connect(json!({}));
        let value = s.alice(&connection);
        s.send(&connection, &format!("{value}, {value}"))
    }),
    row("base64url with padding", "8473 §2", "400", |s| {
        // 139 octets: two padding characters.
        s.once_faulty(json!({}), json!([{"key": "alice"}]), json!({"encoding": "padded"}))
    }),
    row("the alphabet of plain base64", "8473 §2", "400", |s| {
        let connection = s.connect(json!({}));
        let standard = json!({"encoding": "standard"});
        // Nearly every message has a `+` or a `/`.
        let value = std::iter::from_fn(|| {
            Some(s.faulty_value(&connection, json!([{"key": "alice"}]), standard.clone()))
        })
        .find(|value| value.contains(['+', '/']))
        .unwrap();
        s.send(&connection, &value)
    }),
    row("unused bits that are not zero", "4648 §3.5", "400", |s| {
        s.once_faulty(json!({}), json!([{"key": "alice"}]), json!({"encoding": "unused-bits"}))
    }),
    row("white space inside the value", "8473 §2", "400, 400", |s| {
        [" ", "\t"]
            .map(|blank| {
                let connection = s.connect(json!({}));
                let value = s.alice(&connection);
                let (left, right) = value.split_at(90);
                s.send(&connection, &format!("{left}{blank}{right}"))
            })
            .join(", ")
    }),
    row("octets after the message", "8471 §3", "400", |s| {
        s.once_faulty(json!({}), json!([{"key": "alice"}]), json!({"append": "00"}))
    }),
    row("a length that is wrong by one", "8471 §3", "400, 400", |s| {
        [136, 138]
            .map(|length| s.once_faulty(json!({}), json!([{"key": "alice"}]), json!({"length": length})))
            .join(", ")
    }),
    row("extensions that do not frame", "8471 §3.4", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "extensions": "630005aa"}]))
    }),
    row("a flipped bit in the signature", "8471 §4.2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "signature": "flip"}]))
    }),
    row("a flipped bit in an RSA signature", "8471 §4.2", "400, 400", |s| {
        [(PSS, "pss"), (PKCS, "pkcs")]
            .map(|(offer, key)| s.once(json!({"offer": offer}), json!([{"key": key, "signature": "flip"}])))
            .join(", ")
    }),
    row("a bad signature in the referred binding", "8471 §4.2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "mallory", "type": 1, "signature": "flip"}]))
    }),
    row("a bad signature in a binding of unknown type", "8471 §4.2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice"}, {"key": "mallory", "type": 7, "signature": "flip"}]))
    }),
    row("ECDSA signatures of zeros and of ones", "8471 §3.3", "400, 400", |s| {
        ["00", "ff"]
            .map(|octet| s.once(json!({}), json!([{"key": "alice", "signature": octet.repeat(64)}])))
            .join(", ")
    }),
    row("ECDSA verification that meets infinity", "OpenSSL's third answer", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "signature": "infinity"}]))
    }),
    row("a PSS salt of 20 octets", "8471 §3.3", "400", |s| {
        s.once(json!({"offer": PSS}), json!([{"key": "pss", "salt_length": 20}]))
    }),
    row("a point that is not on the curve", "8471 §3.2", "400", |s| {
        let id = format!("02004140{}", "01".repeat(64));
        s.once(json!({}), json!([{"key": "alice", "id": id}]))
    }),
];

fn allow(s: &mut super::Stage, connection: &str, fields: &[&str]) -> crate::common::exchange::Answer {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let head = format!("GET /cgi/env.cgi HTTP/1.1\r\nHost: allow.test\r\n{fields}\r\n");
    let answer = s.client.exchange(connection, &head);
    s.note(&answer);
    answer
}
