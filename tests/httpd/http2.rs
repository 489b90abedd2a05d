//! HTTP/2: many streams share one handshake, and each proves a key of its own. Seen by the independent client.

use serde_json::{Value, json};

use crate::common::exchange::Answer;
use crate::common::{Httpd, Independent};

const PROVIDED: &str = "Sec_Provided_Token_Binding_ID";
const REFERRED: &str = "Sec_Referred_Token_Binding_ID";
const STATUS: &str = "Token_Binding_Status";

/// A server that speaks HTTP/2, and a client.
fn http2(tls_config: &str) -> (Httpd, Independent) {
    let server =
        Httpd::builder().load(&["http2"]).config("Protocols h2 http/1.1").tls_config(tls_config).start();
    (server, Independent::start())
}

/// A connection on which both speak HTTP/2 and Token Binding.
fn connect(client: &mut Independent, server: &Httpd, name: &str, tls: &str) {
    let options = json!({"tls": tls, "alpn": "h2", "offer": "01000102"});
    let session = client.connect(name, server.tls(), &options).done();
    assert!(session.token_binding.is_some(), "{session:?}");
}

fn request(path: &str, message: &str) -> Value {
    json!({"path": path, "headers": [["sec-token-binding", message]]})
}

/// One stream.
fn one(client: &mut Independent, connection: &str, request: &Value) -> Answer {
    client.streams(connection, &json!([request])).remove(0)
}

#[test]
fn streams_of_one_connection_prove_different_keys() {
    let (server, mut client) = http2("");
    for tls in ["1.2", "1.3"] {
        connect(&mut client, &server, tls, tls);
        // More keys than messages are remembered per connection, and each message twice in flight.
        let mut requests = Vec::new();
        let mut expected = Vec::new();
        for number in 0..14 {
            let name = format!("key {number}");
            let key = client.key(&name, "ecdsap256");
            let message = client.message(tls, &json!([{"key": name}]));
            for _ in 0..2 {
                requests.push(request("/cgi/env.cgi", &message));
                expected.push(key.id.clone());
            }
        }
        // Now nothing is remembered, then as much as fits, then nothing new.
        for round in 0..3 {
            let answers = client.streams(tls, &json!(requests));
            let seen: Vec<_> = answers.iter().filter_map(|answer| answer.variable(PROVIDED)).collect();
            assert_eq!(seen, expected, "{tls} round {round}");
        }
    }
    assert!(
        server.access_log().lines().all(|line| line.contains("HTTP/2.0 200 verified")),
        "{}",
        server.access_log()
    );
}

#[test]
fn good_and_bad_streams_do_not_touch_one_another() {
    let (server, mut client) = http2("");
    connect(&mut client, &server, "one", "1.3");
    connect(&mut client, &server, "other", "1.3");
    let key = client.key("key", "ecdsap256");
    let good = client.message("one", &json!([{"key": "key"}]));
    let elsewhere = client.message("other", &json!([{"key": "key"}]));
    let forged = client.message("one", &json!([{"key": "key", "signature": "flip"}]));
    let twice = json!({"path": "/cgi/env.cgi", "headers": [["sec-token-binding", good], ["sec-token-binding", good]]});
    let requests = json!([
        request("/cgi/env.cgi", &good),
        request("/cgi/env.cgi", &elsewhere),
        {"path": "/cgi/env.cgi"},
        request("/cgi/env.cgi", &forged),
        twice,
        request("/cgi/env.cgi", &good),
    ]);
    for round in 0..2 {
        let answers = client.streams("one", &requests);
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 400, 400, 400, 400, 200], "round {round}");
        for answer in [&answers[0], &answers[5]] {
            assert_eq!(answer.variable(PROVIDED), Some(key.id.as_str()), "round {round}");
        }
    }
    // The connection of which a message was stolen goes on.
    assert_eq!(one(&mut client, "other", &request("/cgi/env.cgi", &elsewhere)).status, 200);
}

#[test]
fn the_message_works_within_its_connection_and_nowhere_else() {
    let (server, mut client) = http2("");
    client.key("key", "ecdsap256");
    connect(&mut client, &server, "one", "1.2");
    let message = client.message("one", &json!([{"key": "key"}]));
    for _ in 0..3 {
        assert_eq!(one(&mut client, "one", &request("/hello.txt", &message)).status, 200);
    }
    // Another connection to the same child, which remembers that message elsewhere; over HTTP/1.1 just so.
    connect(&mut client, &server, "two", "1.2");
    assert_eq!(one(&mut client, "two", &request("/hello.txt", &message)).status, 400);
    client.connect("three", server.tls(), &json!({"offer": "01000102"})).done();
    assert_eq!(client.get("three", "/hello.txt", &[&format!("Sec-Token-Binding: {message}")]).status, 400);
}

#[test]
fn a_referred_binding_arrives_with_its_stream() {
    let (server, mut client) = http2("");
    connect(&mut client, &server, "one", "1.3");
    let provided = client.key("provided", "ecdsap256");
    let referred = client.key("referred", "rsa2048_pss");
    let both = client.message("one", &json!([{"key": "provided"}, {"key": "referred", "type": 1}]));
    let alone = client.message("one", &json!([{"key": "provided"}]));
    let answers = client.streams(
        "one",
        &json!([
            request("/cgi/env.cgi", &both),
            request("/cgi/env.cgi", &alone),
            request("/cgi/redirect.cgi", &both)
        ]),
    );
    for (answer, expected) in answers.iter().zip([Some(&referred.id), None, Some(&referred.id)]) {
        assert_eq!(answer.variable(PROVIDED), Some(provided.id.as_str()), "{answer:?}");
        assert_eq!(answer.variable(REFERRED), expected.map(String::as_str), "{answer:?}");
    }
}

#[test]
fn without_negotiation_streams_go_on_unbound_and_clean() {
    let (server, mut client) = http2("");
    client.connect("unbound", server.tls(), &json!({"alpn": "h2"})).done();
    client.key("key", "ecdsap256");
    let message = client.message("unbound", &json!([{"key": "key"}]));
    let answer = one(
        &mut client,
        "unbound",
        &json!({"path": "/cgi/env.cgi", "headers": [
            ["sec-token-binding", message],
            ["sec-provided-token-binding-id", "forged"],
            ["sec_provided_token_binding_id", "forged"],
            ["tb-ssl-client-cert-fingerprint", "forged"],
        ]}),
    );
    assert_eq!(answer.variable(STATUS), Some("not-negotiated"), "{answer:?}");
    assert!(!answer.body.contains("forged") && !answer.body.contains(&message), "{answer:?}");
}

#[test]
fn a_missing_message_can_be_allowed() {
    let (server, mut client) = http2("TokenBindingMissing Allow");
    connect(&mut client, &server, "one", "1.3");
    let answer = one(&mut client, "one", &json!({"path": "/cgi/env.cgi"}));
    assert_eq!((answer.status, answer.variable(STATUS)), (200, Some("missing")));
}

#[test]
fn the_certificate_of_the_connection_is_that_of_its_streams() {
    let (server, mut client) = http2("SSLVerifyClient optional_no_ca");
    let file = |name: &str| server.pki(name).display().to_string();
    let expected = crate::common::bound::thumbprint(&server.pki("self_signed.pem"));
    client.key("key", "ecdsap256");
    for tls in ["1.2", "1.3"] {
        let options = json!({"tls": tls, "alpn": "h2", "offer": "01000102",
            "certificate": file("self_signed.pem"), "private_key": file("self_signed.key")});
        client.connect(tls, server.tls(), &options).done();
        let message = client.message(tls, &json!([{"key": "key"}]));
        let requests = json!([request("/cgi/env.cgi", &message), request("/cgi/redirect.cgi", &message)]);
        for answer in client.streams(tls, &requests) {
            assert_eq!(
                answer.variable("TB_SSL_CLIENT_CERT_FINGERPRINT"),
                Some(expected.as_str()),
                "{tls} {answer:?}"
            );
            assert_eq!(answer.variable(STATUS), Some("verified"));
        }
    }
}
