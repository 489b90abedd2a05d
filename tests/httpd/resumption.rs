//! Resumed sessions: the keying material is that of the connection, and each connection negotiates.

use openssl::ssl::SslVersion;
use serde_json::json;
use tokbind::tls::{Connector, Offer};
use token_binding::{KeyParameters, Preference};

use crate::common::bound::{Exporter, thumbprint};
use crate::common::{Bound, Httpd, Independent, Vhost, connector, identity, keys, pki};

const STATUS: &str = "Token_Binding_Status";

/// Session IDs and tickets of TLS 1.2, pre-shared keys of TLS 1.3.
const WAYS: [(SslVersion, bool); 3] =
    [(SslVersion::TLS1_2, false), (SslVersion::TLS1_2, true), (SslVersion::TLS1_3, true)];

fn resuming((version, tickets): (SslVersion, bool)) -> tokbind::tls::ConnectorBuilder {
    connector().tls_version(version).session_tickets(tickets).resumption(true)
}

/// A connection, after one request, ended; then one that resumes its session. And the first one's message.
fn resume(connector: &Connector, again: &Connector, server: &Httpd) -> (String, Bound) {
    let mut first = Bound::connect(connector, server.tls(), "localhost");
    assert!(!first.stream().resumed());
    let message = first.message();
    assert_eq!(first.replay("/hello.txt", &message, &[]).status, 200);
    let ekm = first.stream().ekm().unwrap();
    drop(first);
    let second = Bound::connect(again, server.tls(), "localhost");
    assert!(second.stream().resumed());
    // RFC 5705 §4: the randoms of the connection are in it; RFC 8446 §7.1: its transcript.
    assert_ne!(ekm.as_bytes(), Exporter::ekm(second.stream()).as_bytes());
    (message, second)
}

#[test]
fn a_resumed_connection_is_bound_by_its_own_keying_material() {
    let server = Httpd::builder().start();
    for way in WAYS {
        let connector = resuming(way).build().unwrap();
        let (message, mut resumed) = resume(&connector, &connector, &server);
        let answer = resumed.get("/cgi/env.cgi", &[]);
        assert_eq!(answer.variable(STATUS), Some("verified"), "{way:?} {answer:?}");
        assert_eq!(
            resumed.replay("/hello.txt", &message, &[]).status,
            400,
            "{way:?} of the first connection"
        );
    }
}

#[test]
fn a_resumed_connection_requires_the_message_too() {
    let server = Httpd::builder().start();
    for way in WAYS {
        let connector = resuming(way).build().unwrap();
        let (_, mut resumed) = resume(&connector, &connector, &server);
        assert_eq!(resumed.unbound("/hello.txt", &[]).status, 400, "{way:?}");
    }
}

#[test]
fn what_the_session_negotiated_before_does_not_count() {
    let server = Httpd::builder().start();
    let pss = Preference::new(&[KeyParameters::Rsa2048Pss]).unwrap();
    for way in WAYS {
        let connector = resuming(way).build().unwrap();
        // Not offered any more: unbound, even with a message that would be valid.
        let (_, mut silent) = resume(&connector, &connector.with_offer(Offer::None), &server);
        let answer = silent.get("/cgi/env.cgi", &[]);
        assert_eq!(
            (answer.status, answer.variable(STATUS)),
            (200, Some("not-negotiated")),
            "{way:?} {answer:?}"
        );
        drop(silent);
        // Other key parameters: the former key will not do, a fitting one will.
        let other = connector.with_offer(Offer::Preference(pss));
        let connect = || Bound::connect(&other, server.tls(), "localhost");
        let mut wrong = connect();
        assert!(wrong.stream().resumed());
        assert_eq!(wrong.get("/hello.txt", &[]).status, 400, "{way:?}");
        let answer = connect().with_key(&keys().elsewhere).get("/cgi/env.cgi", &[]);
        assert_eq!(
            answer.variable("Token_Binding_Key_Parameters"),
            Some("rsa2048_pss"),
            "{way:?} {answer:?}"
        );
        // And from nothing to something.
        let connector = resuming(way).offer(Offer::None).build().unwrap();
        drop(Bound::connect(&connector, server.tls(), "localhost").unbound("/hello.txt", &[]));
        let mut offering = Bound::connect(&connector.with_offer(Offer::default()), server.tls(), "localhost");
        assert!(offering.stream().resumed());
        assert_eq!(offering.get("/cgi/env.cgi", &[]).variable(STATUS), Some("verified"), "{way:?}");
    }
}

#[test]
fn a_resumed_session_has_its_client_certificate() {
    let server = Httpd::builder().tls_config("SSLVerifyClient optional_no_ca").start();
    for (name, certified) in [("client_a.pem", &pki().client_a), ("self_signed.pem", &pki().self_signed)] {
        let expected = thumbprint(&server.pki(name));
        for way in WAYS {
            let connector = resuming(way).identity(identity(certified)).build().unwrap();
            let (_, mut resumed) = resume(&connector, &connector, &server);
            let answer = resumed.get("/cgi/env.cgi", &[]);
            assert_eq!(
                answer.variable("TB_SSL_CLIENT_CERT_FINGERPRINT"),
                Some(expected.as_str()),
                "{way:?} {answer:?}"
            );
            assert_eq!(answer.variable(STATUS), Some("verified"), "{way:?}");
        }
    }
}

#[test]
fn a_session_of_one_host_decides_nothing_at_another() {
    let server = Httpd::builder().vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off")).start();
    let mut client = Independent::start();
    client.key("key", "ecdsap256");
    // tlslite gives up where a server declines a ticket of TLS 1.2.
    for (tls, tickets) in [("1.2", false), ("1.3", true)] {
        for (first, then) in [("localhost", "off.test"), ("off.test", "localhost")] {
            let options =
                |host: &str| json!({"tls": tls, "tickets": tickets, "offer": "01000102", "sni": host});
            client.connect("first", server.tls(), &options(first)).done();
            let message = client.message("first", &json!([{"key": "key"}]));
            client.get("first", "/hello.txt", &[&format!("Sec-Token-Binding: {message}")]);
            // Whether a server resumes a session of another of its names is its own affair (RFC 6066 §3).
            let mut options = options(then);
            options["resume"] = "first".into();
            let session = client.connect("then", server.tls(), &options).done();
            assert_eq!(session.token_binding.is_some(), then == "localhost", "{options} {session:?}");
            let replayed = client.exchange(
                "then",
                &format!("GET /cgi/env.cgi HTTP/1.1\r\nHost: {then}\r\nSec-Token-Binding: {message}\r\n\r\n"),
            );
            let expected = if then == "localhost" { (400, None) } else { (200, Some("disabled")) };
            assert_eq!((replayed.status, replayed.variable(STATUS)), expected, "{options} {replayed:?}");
        }
    }
}
