//! What was negotiated, and what requests come to under it. All combinations are in ../negotiation.rs.

use serde_json::{Value, json};

use super::{Row, row};
use crate::common::exchange::get_plain;

pub const ROWS: &[Row] = &[
    row("TLS 1.2: the reply is in ServerHello", "8472 §3", "01000102 in ServerHello", |s| {
        reply(s, json!({}))
    }),
    row(
        "TLS 1.3: the reply is in EncryptedExtensions",
        "tls13 §2",
        "01000102 in EncryptedExtensions",
        |s| reply(s, json!({"tls": "1.3"})),
    ),
    row("TLS 1.3", "tls13 §4", "200 verified provided=alice", |s| {
        s.once(json!({"tls": "1.3"}), json!([{"key": "alice"}]))
    }),
    row("TLS 1.3, rsa2048_pss", "tls13 §4", "200 verified provided=pss", |s| {
        s.once(json!({"tls": "1.3", "offer": "01000101"}), json!([{"key": "pss"}]))
    }),
    row("TLS 1.3, early data offered", "tls13 §3", "200 verified provided=alice", |s| {
        let first = s.connect(json!({"tls": "1.3"}));
        let value = s.alice(&first);
        s.send(&first, &value);
        s.once(json!({"tls": "1.3", "resume": first, "early_data": true}), json!([{"key": "alice"}]))
    }),
    row("resumed by session ID", "8472 §4", "200 verified provided=alice", |s| resumed(s, "1.2", false)),
    row("resumed by ticket", "8472 §4", "200 verified provided=alice", |s| resumed(s, "1.2", true)),
    row("resumed in TLS 1.3", "8472 §4", "200 verified provided=alice", |s| resumed(s, "1.3", true)),
    row("resumed without offering it again", "8472 §4", "200 not-negotiated", |s| {
        let first = s.connect(json!({}));
        let value = s.alice(&first);
        s.send(&first, &value);
        s.once(json!({"resume": first, "offer": null}), json!([{"key": "alice"}]))
    }),
    row("nothing offered, no header", "8472 §4", "none, 200 not-negotiated", |s| {
        bare(s, json!({"offer": null}))
    }),
    row("nothing offered, a header all the same", "8471 §4.2", "200 not-negotiated", |s| {
        s.once(json!({"offer": null}), json!([{"key": "alice"}]))
    }),
    row("downgrade: no extended_master_secret", "8472 §3", "none, 200 not-negotiated", |s| {
        bare(s, json!({"ems": false}))
    }),
    row("downgrade: a header without extended_master_secret", "8472 §6.2", "200 not-negotiated", |s| {
        s.once(json!({"ems": false}), json!([{"key": "alice"}]))
    }),
    row("downgrade: no renegotiation_info", "8472 §3", "none, 200 not-negotiated", |s| {
        bare(s, json!({"renegotiation": "none"}))
    }),
    row("downgrade: a draft's version", "8472 §3", "none, 200 not-negotiated", |s| {
        bare(s, json!({"offer": "00120102"}))
    }),
    row("a later version", "8472 §3", "01000102 in ServerHello", |s| reply(s, json!({"offer": "03070102"}))),
    row("no key parameters in common", "8472 §4", "none", |s| reply(s, json!({"offer": "010001ff"}))),
    row("the server's preference", "8472 §3", "01000102 in ServerHello", |s| {
        reply(s, json!({"offer": "010003000102"}))
    }),
    row("a host that takes RSA only", "surface", "01000101 in ServerHello", |s| {
        reply(s, json!({"sni": "rsa.test"}))
    }),
    row("an empty list of key parameters", "8446 §6.2", "decode_error", |s| {
        alert(s, json!({"offer": "010000"}))
    }),
    row("a list that is longer than the extension", "8446 §6.2", "decode_error", |s| {
        alert(s, json!({"offer": "01000202", "tls": "1.3"}))
    }),
    row("octets after the list", "8446 §6.2", "decode_error", |s| alert(s, json!({"offer": "0100010200"}))),
    row("TokenBindingEnabled Off", "surface", "none, 200 disabled", |s| {
        let (connection, session) = s.session(json!({"sni": "off.test"}));
        let head = "GET /cgi/env.cgi HTTP/1.1\r\nHost: off.test\r\nSec-Token-Binding: AAAA\r\n\r\n";
        let answer = s.client.exchange(&connection, head);
        s.note(&answer);
        format!("{}, {}", place(session.token_binding), s.outcome(&answer))
    }),
    row("without TLS", "8473 §1", "200 no-tls", |s| {
        let connection = s.connect(json!({}));
        let field = format!("Sec-Token-Binding: {}", s.alice(&connection));
        s.outcome(&get_plain(s.server.plain(), "localhost", "/cgi/env.cgi", &[&field]))
    }),
    row("a client certificate beside it", "8705 §3", "200 verified provided=alice certificate=a", |s| {
        certified(s, "client_a", "1.2")
    }),
    row(
        "a self-signed one, TLS 1.3",
        "8705 §6.2",
        "200 verified provided=alice certificate=self-signed",
        |s| certified(s, "self_signed", "1.3"),
    ),
    row(
        "post-handshake authentication, then again",
        "8446 §4.6.2",
        "200 verified provided=alice certificate=a, 200 verified provided=alice certificate=a",
        |s| {
            let mut options = s.certificate("client_a");
            options["tls"] = "1.3".into();
            let connection = s.connect(options);
            let value = s.alice(&connection);
            ["/authenticated/env.cgi", "/cgi/env.cgi"]
                .map(|path| {
                    let answer = s.request(&connection, path, &value);
                    s.outcome(&answer)
                })
                .join(", ")
        },
    ),
];

fn place(reply: Option<(String, String)>) -> String {
    reply.map_or_else(|| "none".to_owned(), |(data, message)| format!("{data} in {message}"))
}

/// Where the extension came and what it said.
fn reply(s: &mut super::Stage, options: Value) -> String {
    place(s.session(options).1.token_binding)
}

/// The same, then a request without a header.
fn bare(s: &mut super::Stage, options: Value) -> String {
    let (connection, session) = s.session(options);
    format!("{}, {}", place(session.token_binding), s.fields(&connection, &[]))
}

fn alert(s: &mut super::Stage, options: Value) -> String {
    let (_, handshake) = s.handshake(options);
    handshake.server_alert().map_or_else(|| format!("{handshake:?}"), str::to_owned)
}

fn resumed(s: &mut super::Stage, tls: &str, tickets: bool) -> String {
    let first = s.connect(json!({"tls": tls, "tickets": tickets}));
    let value = s.alice(&first);
    s.send(&first, &value);
    let (second, session) = s.session(json!({"tls": tls, "tickets": tickets, "resume": first}));
    assert!(session.resumed);
    let value = s.alice(&second);
    s.send(&second, &value)
}

fn certified(s: &mut super::Stage, name: &str, tls: &str) -> String {
    let mut options = s.certificate(name);
    options["tls"] = tls.into();
    options["sni"] = "certificate.test".into();
    let connection = s.connect(options);
    let value = s.alice(&connection);
    let head =
        format!("GET /cgi/env.cgi HTTP/1.1\r\nHost: certificate.test\r\nSec-Token-Binding: {value}\r\n\r\n");
    let answer = s.client.exchange(&connection, &head);
    s.note(&answer);
    s.outcome(&answer)
}
