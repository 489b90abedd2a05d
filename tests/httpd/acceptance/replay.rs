//! What a thief of messages, or a forger, can do with them: nothing.

use serde_json::json;

use super::http2::streams;
use super::{Row, row};

pub const ROWS: &[Row] = &[
    row("replay on another connection", "8471 §7.1", "200 verified provided=alice, 400", |s| {
        let (own, thiefs) = (s.connect(json!({})), s.connect(json!({})));
        let value = s.alice(&own);
        // Verified and remembered on its own connection first, by the same process.
        [s.send(&own, &value), s.send(&thiefs, &value)].join(", ")
    }),
    row(
        "replay after the victim's connection is closed",
        "8471 §7.1",
        "200 verified provided=alice, 400",
        |s| {
            let own = s.connect(json!({}));
            let value = s.alice(&own);
            let outcome = s.send(&own, &value);
            s.client.close(&own);
            let thiefs = s.connect(json!({}));
            [outcome, s.send(&thiefs, &value)].join(", ")
        },
    ),
    row(
        "a refused replay spoils nothing",
        "8471 §4.2",
        "400, 200 verified provided=mallory, 200 verified provided=alice",
        |s| {
            let own = s.connect(json!({}));
            // httpd closes an HTTP/1.1 connection after a 400, and keeps one of HTTP/2.
            let thiefs = s.connect(json!({"alpn": "h2"}));
            let stolen = s.alice(&own);
            let honest = s.value(&thiefs, json!([{"key": "mallory"}]));
            let replayed = values(s, &thiefs, std::slice::from_ref(&stolen));
            [replayed, values(s, &thiefs, &[honest]), s.send(&own, &stolen)].join(", ")
        },
    ),
    row(
        "replay on a resumed connection, session ID",
        "8471 §3.3",
        "200 verified provided=alice, 400",
        |s| resumed(s, "1.2", false),
    ),
    row("replay on a resumed connection, ticket", "8471 §3.3", "200 verified provided=alice, 400", |s| {
        resumed(s, "1.2", true)
    }),
    row("replay on a resumed connection, TLS 1.3", "8471 §3.3", "200 verified provided=alice, 400", |s| {
        resumed(s, "1.3", true)
    }),
    row("replay from TLS 1.2 to 1.3 and back", "8471 §3.3", "400, 400", |s| {
        let (old, new) = (s.connect(json!({})), s.connect(json!({"tls": "1.3"})));
        let (from_old, from_new) = (s.alice(&old), s.alice(&new));
        [s.send(&new, &from_old), s.send(&old, &from_new)].join(", ")
    }),
    row("the victim's ID with the forger's signature", "8471 §4.2", "400", |s| {
        s.once(json!({}), json!([{"key": "mallory", "identity": "alice"}]))
    }),
    row(
        "a verified message with the ID exchanged",
        "8471 §4.2",
        "200 verified provided=mallory, 400",
        |s| {
            let connection = s.connect(json!({}));
            let honest = s.value(&connection, json!([{"key": "mallory"}]));
            let forged = s.value(&connection, json!([{"key": "mallory", "identity": "alice"}]));
            [s.send(&connection, &honest), s.send(&connection, &forged)].join(", ")
        },
    ),
    row(
        "a verified message with one character exchanged",
        "8471 §4.2",
        "200 verified provided=alice, 186 refused",
        |s| {
            let connection = s.connect(json!({"alpn": "h2"}));
            let value = s.alice(&connection);
            let outcome = values(s, &connection, std::slice::from_ref(&value));
            let changed: Vec<String> = (0..value.len())
                .map(|place| {
                    let other = if value.as_bytes()[place] == b'A' { 'B' } else { 'A' };
                    format!("{}{other}{}", &value[..place], &value[place + 1..])
                })
                .collect();
            // At most 100 streams at once, httpd's default.
            let refused: usize = changed
                .chunks(90)
                .map(|some| {
                    values(s, &connection, some).split(", ").filter(|outcome| *outcome == "400").count()
                })
                .sum();
            format!("{outcome}, {refused} refused")
        },
    ),
    row(
        "a verified message cut short or lengthened",
        "8471 §3",
        "200 verified provided=alice, 400, 400",
        |s| {
            let connection = s.connect(json!({"alpn": "h2"}));
            let value = s.alice(&connection);
            let verified = values(s, &connection, std::slice::from_ref(&value));
            [verified, values(s, &connection, &[value[..value.len() - 2].to_owned(), format!("{value}AA")])]
                .join(", ")
        },
    ),
    row("signed as referred, presented as provided", "8471 §3.3", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "type": 0, "signed_type": 1}]))
    }),
    row("signed as provided, presented as referred", "8471 §3.3", "400", |s| {
        s.once(json!({}), json!([{"key": "mallory"}, {"key": "alice", "type": 1, "signed_type": 0}]))
    }),
    row("an RSA key where ecdsap256 was negotiated", "8471 §4.2", "400, 400", |s| {
        ["pss", "pkcs"].map(|key| s.once(json!({}), json!([{"key": key}]))).join(", ")
    }),
    row("an EC key where RSA was negotiated", "8471 §4.2", "400", |s| {
        s.once(json!({"offer": "01000101"}), json!([{"key": "alice"}]))
    }),
    row("the other RSA scheme than negotiated", "8471 §4.2", "400, 400", |s| {
        [("01000101", "pkcs"), ("01000100", "pss")]
            .map(|(offer, key)| s.once(json!({"offer": offer}), json!([{"key": key}])))
            .join(", ")
    }),
    row("a PSS signature under the name of pkcs1.5", "8471 §3.3", "400", |s| {
        s.once(json!({"offer": "01000100"}), json!([{"key": "pss", "key_parameters": 0}]))
    }),
    row("a provided binding of unknown key parameters", "8471 §4.2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "key_parameters": 77}]))
    }),
    row("an EC key under the name of RSA", "8471 §4.2", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "key_parameters": 1}]))
    }),
    row("keying material of zeros", "8471 §3.3", "400", |s| {
        s.once(json!({}), json!([{"key": "alice", "ekm": "00".repeat(32)}]))
    }),
    row("the right key with another connection's keying material", "8471 §3.3", "400", |s| {
        let (here, there) = (s.connect(json!({})), s.connect(json!({})));
        let value = s.value(&here, json!([{"key": "alice", "connection": there}]));
        s.send(&here, &value)
    }),
];

/// A message of the first connection, on it and on one that resumes its session.
fn resumed(s: &mut super::Stage, tls: &str, tickets: bool) -> String {
    let first = s.connect(json!({"tls": tls, "tickets": tickets}));
    let value = s.alice(&first);
    let outcome = s.send(&first, &value);
    let (second, session) = s.session(json!({"tls": tls, "tickets": tickets, "resume": first}));
    assert!(session.resumed);
    [outcome, s.send(&second, &value)].join(", ")
}

/// Requests with these messages at once on one HTTP/2 connection.
fn values(s: &mut super::Stage, connection: &str, values: &[String]) -> String {
    let fields: Vec<_> = values.iter().map(|value| vec![("sec-token-binding", value.as_str())]).collect();
    streams(s, connection, &fields)
}
