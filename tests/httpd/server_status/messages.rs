//! Connections, and the messages on them.

use std::collections::BTreeSet;
use std::thread;

use openssl::ssl::SslVersion;
use serde_json::{Value, json};
use tokbind::tls::Offer;

use super::{moved, watched};
use crate::common::exchange::get_plain;
use crate::common::{Bound, Independent, Mpm, Vhost, connector};

/// Asks for a page with these fields.
fn ask(client: &mut Independent, fields: &[&str]) -> u16 {
    client.get("it", "/hello.txt", fields).status
}

#[test]
fn each_reason_to_refuse_a_message_has_its_counter() {
    let server = watched().start();
    let mut client = Independent::start();
    for (name, parameters) in [("alice", "ecdsap256"), ("mallory", "ecdsap256"), ("pss", "rsa2048_pss")] {
        client.key(name, parameters);
    }
    let many: Vec<_> =
        (0..9).map(|number| json!({"key": "alice", "type": if number == 0 { 0 } else { 9 }})).collect();
    let no_point = format!("020041{}{}", "40", "01".repeat(64));
    let cases: [(Value, Value, &str); 9] = [
        (json!([{"key": "alice"}]), json!({"append": "00", "encoding": "padded"}), "InvalidBase64url"),
        (json!([{"key": "alice"}]), json!({"append": "00"}), "Malformed"),
        (json!([{"key": "alice", "type": 1}]), json!({}), "NoProvided"),
        (json!([{"key": "alice"}, {"key": "mallory"}]), json!({}), "SeveralProvided"),
        (
            json!([{"key": "alice"}, {"key": "mallory", "type": 1}, {"key": "pss", "type": 1}]),
            json!({}),
            "SeveralReferred",
        ),
        (json!([{"key": "pss"}]), json!({}), "KeyParametersMismatch"),
        (json!(many), json!({}), "TooManyBindings"),
        (json!([{"key": "alice", "id": no_point}]), json!({}), "InvalidKey"),
        (json!([{"key": "alice", "signature": "flip"}]), json!({}), "InvalidSignature"),
    ];
    // The connection is counted with its first request, and a refusal ends it.
    let mut refused = |expected: &str, fields: &mut dyn FnMut(&mut Independent) -> Vec<String>| {
        client.connect("it", server.tls(), &json!({"offer": "01000102"})).done();
        let good = format!("Sec-Token-Binding: {}", client.message("it", &json!([{"key": "alice"}])));
        assert_eq!(ask(&mut client, &[&good]), 200);
        let fields = fields(&mut client);
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let change = moved(&server, || assert_eq!(ask(&mut client, &fields), 400, "{expected}"));
        assert_eq!(change, format!("{expected} 1"));
    };
    for (bindings, faults, reason) in cases {
        refused(&format!("TokenBindingRefused{reason}"), &mut |client| {
            vec![format!("Sec-Token-Binding: {}", client.faulty_message("it", &bindings, &faults))]
        });
    }
    let field = |value: &str| format!("Sec-Token-Binding: {value}");
    refused("TokenBindingRefusedEmptyField", &mut |_| vec![field("")]);
    refused("TokenBindingRefusedDuplicateField", &mut |_| vec![field("AA"), field("AA")]);
    refused("TokenBindingMissingRefused", &mut |_| Vec::new());
}

#[test]
fn a_message_is_verified_once_and_remembered_from_then_on() {
    let server = watched().start();
    let (mut client, mut message) = (None, String::new());
    let change = moved(&server, || {
        let client = client.insert(Bound::open(&server));
        message = client.message();
        assert_eq!(client.replay("/hello.txt", &message, &[]).status, 200);
    });
    assert_eq!(change, "TokenBindingConnectionsTLS13Ecdsap256 1, TokenBindingVerified 1");
    let mut client = client.expect("a client");
    for path in ["/hello.txt", "/cgi/redirect.cgi", "/"] {
        // An internal redirect and a subrequest (the index) are the same request.
        let change = moved(&server, || assert_eq!(client.replay(path, &message, &[]).status, 200));
        assert_eq!(change, "TokenBindingRemembered 1", "{path}");
    }
}

#[test]
fn connections_are_counted_by_what_they_agreed_on() {
    let server = watched()
        .tls_config("TokenBindingMissing Allow")
        .vhost(Vhost::tls("localhost").on("disabled").config("TokenBindingEnabled Off"))
        .start();
    // RFC 8472 §2: version 1.0, one of the key parameters.
    let offers = [(2, "Ecdsap256"), (1, "Rsa2048Pss"), (0, "Rsa2048Pkcs15")]
        .map(|(code, row)| (Offer::Raw(vec![1, 0, 1, code]), row));
    for (version, column) in [(SslVersion::TLS1_2, "TLS12"), (SslVersion::TLS1_3, "TLS13")] {
        let connect = |offer: &Offer, port: &str| {
            let connector =
                connector().offer(offer.clone()).tls_version(version).build().expect("a connector");
            Bound::connect(&connector, server.port(port), "localhost")
        };
        for (offer, row) in &offers {
            let change = moved(&server, || {
                let mut client = connect(offer, "tls");
                // Two requests, one connection.
                assert_eq!(client.unbound("/hello.txt", &[]).status, 200);
                assert_eq!(client.unbound("/hello.txt", &[]).status, 200);
            });
            assert_eq!(
                change,
                format!("TokenBindingConnections{column}{row} 1, TokenBindingMissingAllowed 2")
            );
        }
        let unbound = format!("TokenBindingConnections{column}NotNegotiated 1");
        for (offer, port) in [(&Offer::None, "tls"), (&Offer::None, "disabled")] {
            let change = moved(&server, || {
                let mut client = connect(offer, port);
                for _ in 0..3 {
                    assert_eq!(client.unbound("/hello.txt", &[]).status, 200);
                }
            });
            assert_eq!(change, unbound, "{port}");
        }
    }
    let change = moved(&server, || {
        assert_eq!(get_plain(server.plain(), "localhost", "/hello.txt", &[]).status, 200);
    });
    assert_eq!(change, "", "without TLS there is nothing to count");
}

#[test]
fn streams_of_http2_are_requests_of_one_connection() {
    let server = watched().load(&["http2"]).config("Protocols h2 http/1.1").children(2).start();
    let mut client = Independent::start();
    client.key("key", "ecdsap256");
    let change = moved(&server, || {
        client.connect("one", server.tls(), &json!({"tls": "1.3", "alpn": "h2", "offer": "01000102"})).done();
        let message = client.message("one", &json!([{"key": "key"}]));
        let request = json!({"path": "/hello.txt", "headers": [["sec-token-binding", message]]});
        let mut streams =
            |requests: Value| client.streams("one", &requests).iter().all(|answer| answer.status == 200);
        assert!(streams(json!([request])));
        assert!(streams(json!(vec![request; 20])));
    });
    assert_eq!(
        change,
        "TokenBindingConnectionsTLS13Ecdsap256 1, TokenBindingRemembered 20, TokenBindingVerified 1"
    );
}

#[test]
fn all_processes_count_together() {
    for mpm in Mpm::ALL {
        let server = watched().mpm(mpm).children(3).config("CustomLog {root}/pids.log %P").start();
        let change = moved(&server, || {
            thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        let mut client = Bound::open(&server);
                        let message = client.message();
                        for _ in 0..50 {
                            assert_eq!(client.replay("/hello.txt", &message, &[]).status, 200);
                        }
                    });
                }
            });
        });
        assert_eq!(
            change,
            "TokenBindingConnectionsTLS13Ecdsap256 6, TokenBindingRemembered 294, TokenBindingVerified 6",
            "{mpm:?}"
        );
        let log = server.file("pids.log");
        let pids: BTreeSet<&str> = log.lines().collect();
        // Prefork has one process for each connection at a time.
        assert!(pids.len() > 1 || mpm != Mpm::Prefork, "one process did it all: {pids:?}");
    }
}
