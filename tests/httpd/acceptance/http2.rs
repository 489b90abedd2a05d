//! Streams of HTTP/2: the binding is the connection's, the message each request's own.

use serde_json::{Value, json};

use super::stage::SPOOF;
use super::{Row, row};

pub const ROWS: &[Row] = &[
    row("a stream, TLS 1.2", "8473 §2", "200 verified provided=alice", |s| stream(s, json!({"alpn": "h2"}))),
    row("a stream, TLS 1.3", "8473 §2", "200 verified provided=alice", |s| {
        stream(s, json!({"alpn": "h2", "tls": "1.3"}))
    }),
    row("no header, though negotiated", "8473 §2", "400", |s| {
        let connection = s.connect(json!({"alpn": "h2"}));
        streams(s, &connection, &[vec![]])
    }),
    row("nothing negotiated", "8471 §4.2", "200 not-negotiated", |s| {
        stream(s, json!({"alpn": "h2", "offer": null}))
    }),
    row(
        "streams at once with bindings of their own",
        "8473 §2.1",
        "200 verified provided=alice, 200 verified provided=mallory, \
         200 verified provided=alice referred=pss, 400, 400, 200 verified provided=alice",
        |s| {
            let connection = s.connect(json!({"alpn": "h2"}));
            let alice = s.alice(&connection);
            let mallory = s.value(&connection, json!([{"key": "mallory"}]));
            let referred = s.value(&connection, json!([{"key": "alice"}, {"key": "pss", "type": 1}]));
            let forged = s.value(&connection, json!([{"key": "mallory", "identity": "alice"}]));
            let fields = [&alice, &mallory, &referred, &forged]
                .map(|value| vec![("Sec-Token-Binding", value.as_str())]);
            let [one, two, three, four] = fields;
            let last = one.clone();
            streams(s, &connection, &[one, two, three, four, vec![], last])
        },
    ),
    row("fifty streams of one binding", "8473 §2", "50 of 50", |s| {
        let connection = s.connect(json!({"alpn": "h2"}));
        let value = s.alice(&connection);
        let outcomes = streams(s, &connection, &vec![vec![("Sec-Token-Binding", value.as_str())]; 50]);
        let good = outcomes.split(", ").filter(|outcome| *outcome == "200 verified provided=alice").count();
        format!("{good} of 50")
    }),
    row("replay from HTTP/1.1", "8471 §7.1", "200 verified provided=alice, 400", |s| {
        let (old, new) = (s.connect(json!({})), s.connect(json!({"alpn": "h2"})));
        let value = s.alice(&old);
        let first = s.send(&old, &value);
        [first, streams(s, &new, &[vec![("Sec-Token-Binding", &value)]])].join(", ")
    }),
    row("replay on another connection", "8471 §7.1", "200 verified provided=alice, 400", |s| {
        let (own, thiefs) = (s.connect(json!({"alpn": "h2"})), s.connect(json!({"alpn": "h2"})));
        let value = s.alice(&own);
        [&own, &thiefs]
            .map(|connection| streams(s, connection, &[vec![("Sec-Token-Binding", &value)]]))
            .join(", ")
    }),
    row("two fields", "8473 §2", "400", |s| {
        let connection = s.connect(json!({"alpn": "h2"}));
        let value = s.alice(&connection);
        let field = ("Sec-Token-Binding", value.as_str());
        streams(s, &connection, &[vec![field, field]])
    }),
    row("spoofed headers", "ttrp §2.3", "200 verified provided=alice, 200 not-negotiated", |s| {
        let spoofs = [
            ("sec-provided-token-binding-id", SPOOF),
            ("sec_provided_token_binding_id", SPOOF),
            ("tb_ssl_client_cert_fingerprint", SPOOF),
            ("client-cert", SPOOF),
        ];
        let (bound, unbound) =
            (s.connect(json!({"alpn": "h2"})), s.connect(json!({"alpn": "h2", "offer": null})));
        let value = s.alice(&bound);
        let mut fields = spoofs.to_vec();
        fields.push(("sec-token-binding", &value));
        [streams(s, &bound, &[fields]), streams(s, &unbound, &[spoofs.to_vec()])].join(", ")
    }),
    row("an internal redirect", "surface", "200 verified provided=alice", |s| {
        let connection = s.connect(json!({"alpn": "h2"}));
        let value = s.alice(&connection);
        let request = json!([{"path": "/cgi/redirect.cgi", "headers": [["sec-token-binding", value]]}]);
        let answers = s.client.streams(&connection, &request);
        s.outcome(&answers[0])
    }),
    row("a client certificate", "8705 §3", "200 verified provided=alice certificate=b", |s| {
        let mut options = s.certificate("client_b");
        options["sni"] = "certificate.test".into();
        options["alpn"] = "h2".into();
        let connection = s.connect(options);
        let value = s.alice(&connection);
        let request = json!([{"path": "/cgi/env.cgi", "headers": [["sec-token-binding", value]]}]);
        let answers = s.client.streams_of("certificate.test", &connection, &request);
        s.outcome(&answers[0])
    }),
];

fn stream(s: &mut super::Stage, options: Value) -> String {
    let connection = s.connect(options);
    let value = s.alice(&connection);
    streams(s, &connection, &[vec![("Sec-Token-Binding", &value)]])
}

/// One GET of env.cgi for each list of fields, all at once.
pub fn streams(s: &mut super::Stage, connection: &str, fields: &[Vec<(&str, &str)>]) -> String {
    let requests: Vec<Value> =
        fields.iter().map(|fields| json!({"path": "/cgi/env.cgi", "headers": fields})).collect();
    let answers = s.client.streams(connection, &json!(requests));
    let outcomes = answers.iter().map(|answer| {
        s.note(answer);
        s.outcome(answer)
    });
    outcomes.collect::<Vec<_>>().join(", ")
}
