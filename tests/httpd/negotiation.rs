//! Extension 24 in the handshake, seen by the independent client: RFC 8472, and draft-ietf-tokbind-tls13 for TLS 1.3.

use serde_json::{Value, json};

use crate::common::independent::Session;
use crate::common::{Backend, Httpd, Independent, ModulePosition, Mpm, Vhost};

/// Version 1.0, all three key parameters in the server's default order (RFC 8472 §2).
const OFFER: &str = "010003020100";
const TLS: [&str; 2] = ["1.2", "1.3"];

/// The server's reply to one offer on a connection of its own; `None`: not answered.
fn reply(client: &mut Independent, server: &Httpd, options: &Value) -> Option<String> {
    let session = client.connect("one", server.tls(), options).done();
    client.close("one");
    session.token_binding.map(|(data, _)| data)
}

#[test]
fn the_servers_preference_decides_among_what_is_offered() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    for (offer, expected) in [
        ("010003020100", Some("01000102")),
        ("010003000102", Some("01000102")),
        ("0100020001", Some("01000101")),
        ("01000100", Some("01000100")),
        ("01000101", Some("01000101")),
        // Identifiers nobody has assigned are passed over (RFC 8472 §3).
        ("01000303ff02", Some("01000102")),
        ("010003fffe00", Some("01000100")),
        ("010001ff", None),
        ("01000403040506", None),
    ] {
        for tls in TLS {
            let options = json!({"tls": tls, "offer": offer});
            assert_eq!(reply(&mut client, &server, &options).as_deref(), expected, "{options}");
        }
    }
    assert_eq!(reply(&mut client, &server, &json!({})), None, "nothing was offered");
}

#[test]
fn the_lower_version_is_chosen_and_drafts_are_not() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    for (offer, expected) in [
        ("01000102", Some("01000102")),
        ("01010102", Some("01000102")),
        ("02000102", Some("01000102")),
        ("ffff0102", Some("01000102")),
        ("00120102", None),
        ("00ff0102", None),
        ("00000102", None),
    ] {
        for tls in TLS {
            let options = json!({"tls": tls, "offer": offer});
            assert_eq!(reply(&mut client, &server, &options).as_deref(), expected, "{options}");
        }
    }
}

#[test]
fn a_malformed_extension_ends_the_handshake() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    for offer in ["", "01", "0100", "010000", "01000202", "0100010202", "01000302010000", "010000ff"] {
        for tls in TLS {
            let options = json!({"tls": tls, "offer": offer});
            let handshake = client.connect("malformed", server.tls(), &options);
            // RFC 8446 §6.2, RFC 5246 §7.2.2
            assert_eq!(handshake.server_alert(), Some("decode_error"), "{options} {handshake:?}");
        }
    }
    for tls in TLS {
        // RFC 8446 §4.2: not more than one extension of a type. OpenSSL itself sees to this one.
        let twice = json!({"tls": tls, "offers": [OFFER, OFFER]});
        assert!(client.connect("twice", server.tls(), &twice).server_alert().is_some());
        assert!(
            reply(&mut client, &server, &json!({"tls": tls, "offer": OFFER})).is_some(),
            "the next one is fine"
        );
    }
}

#[test]
fn tls_1_2_needs_extended_master_secret_and_renegotiation_info() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    for (tls, ems, renegotiation, answered) in [
        ("1.2", true, "scsv", true),
        ("1.2", true, "extension", true),
        ("1.2", false, "scsv", false),
        ("1.2", false, "extension", false),
        ("1.2", true, "none", false),
        ("1.2", false, "none", false),
        // TLS 1.3 has neither (RFC 8446 Appendix D).
        ("1.3", false, "none", true),
        ("1.3", true, "scsv", true),
    ] {
        let options = json!({"tls": tls, "ems": ems, "renegotiation": renegotiation, "offer": OFFER});
        assert_eq!(reply(&mut client, &server, &options).is_some(), answered, "{options}");
    }
}

#[test]
fn the_reply_comes_in_the_message_of_its_version() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    for (tls, message) in [("1.2", "ServerHello"), ("1.3", "EncryptedExtensions")] {
        let session = client.connect(tls, server.tls(), &json!({"tls": tls, "offer": OFFER})).done();
        assert_eq!(session.token_binding, Some(("01000102".to_owned(), message.to_owned())));
    }
}

#[test]
fn after_a_hello_retry_request_the_offer_is_read_again() {
    let server = Httpd::builder().tls_config("SSLOpenSSLConfCmd Groups X25519").start();
    let mut client = Independent::start();
    let options = json!({"tls": "1.3", "offer": OFFER, "key_shares": ["secp256r1"]});
    let session = client.connect("retried", server.tls(), &options).done();
    assert_eq!(session.token_binding, Some(("01000102".to_owned(), "EncryptedExtensions".to_owned())));
    client.key("key", "ecdsap256");
    let value = client.message("retried", &json!([{"key": "key"}]));
    let answer = client.get("retried", "/cgi/env.cgi", &[&format!("Sec-Token-Binding: {value}")]);
    assert_eq!(answer.variable("Token_Binding_Status"), Some("verified"), "{answer:?}");
}

#[test]
fn each_host_has_its_own_parameters() {
    let server = Httpd::builder()
        .vhost(Vhost::tls("rsa.test").config("TokenBindingKeyParameters rsa2048_pss rsa2048_pkcs1.5"))
        .vhost(Vhost::tls("pkcs.test").config("TokenBindingKeyParameters rsa2048_pkcs1.5"))
        .vhost(Vhost::tls("off.test").config("TokenBindingEnabled Off"))
        .vhost(
            Vhost::tls("port.test").on("other").config("TokenBindingKeyParameters rsa2048_pkcs1.5 ecdsap256"),
        )
        .start();
    let mut client = Independent::start();
    for tls in TLS {
        for (name, port, offer, expected) in [
            ("localhost", "tls", OFFER, Some("01000102")),
            ("rsa.test", "tls", OFFER, Some("01000101")),
            ("pkcs.test", "tls", OFFER, Some("01000100")),
            ("pkcs.test", "tls", "01000102", None),
            ("off.test", "tls", OFFER, None),
            ("nobody.test", "tls", OFFER, Some("01000102")),
            ("port.test", "other", OFFER, Some("01000100")),
        ] {
            let options = json!({"tls": tls, "sni": name, "offer": offer});
            let session = client.connect("one", server.port(port), &options).done();
            assert_eq!(session.token_binding.map(|(data, _)| data).as_deref(), expected, "{options}");
        }
    }
}

#[test]
fn a_default_host_without_token_binding_does_not_switch_off_the_named_ones() {
    let server = Httpd::builder()
        .config("TokenBindingEnabled Off")
        .vhost(Vhost::tls("on.test").config("TokenBindingEnabled On"))
        .start();
    let mut client = Independent::start();
    for tls in TLS {
        let off = json!({"tls": tls, "sni": "localhost", "offer": OFFER});
        assert_eq!(reply(&mut client, &server, &off), None, "inherited from the main server");
        let on = json!({"tls": tls, "sni": "on.test", "offer": OFFER});
        assert_eq!(reply(&mut client, &server, &on).as_deref(), Some("01000102"));
    }
}

/// Connects, and resumes that session with other options; both sessions.
fn resume(client: &mut Independent, server: &Httpd, first: &Value, second: &Value) -> (Session, Session) {
    let full = client.connect("full", server.tls(), first).done();
    // TLS 1.3 tickets come with the first response (RFC 8446 §4.6.1).
    let field = if full.token_binding.is_some() {
        client.key("key", "ecdsap256");
        format!("Sec-Token-Binding: {}", client.message("full", &json!([{"key": "key"}])))
    } else {
        "X-None: none".to_owned()
    };
    assert_eq!(client.get("full", "/hello.txt", &[&field]).status, 200, "{first}");
    let mut options = second.clone();
    options["resume"] = "full".into();
    let resumed = client.connect("resumed", server.tls(), &options).done();
    (full, resumed)
}

#[test]
fn every_handshake_negotiates_anew_also_when_resumed() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    // Session IDs, tickets, pre-shared keys.
    for (tls, tickets) in [("1.2", false), ("1.2", true), ("1.3", true)] {
        for (first, second, expected) in [
            (Some(OFFER), Some(OFFER), Some("01000102")),
            (Some(OFFER), Some("0100020100"), Some("01000101")),
            (Some(OFFER), None, None),
            (None, Some(OFFER), Some("01000102")),
            (Some(OFFER), Some("00120102"), None),
        ] {
            let first = json!({"tls": tls, "tickets": tickets, "offer": first});
            let second = json!({"tls": tls, "tickets": tickets, "offer": second});
            let (full, resumed) = resume(&mut client, &server, &first, &second);
            assert!(resumed.resumed, "{first} {second}");
            assert_eq!(resumed.token_binding.map(|(data, _)| data).as_deref(), expected, "{first} {second}");
            assert_ne!(full.ekm, resumed.ekm);
        }
    }
}

#[test]
fn a_resumed_session_cannot_shed_its_extended_master_secret() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    for tickets in [false, true] {
        let with = json!({"tickets": tickets, "offer": OFFER});
        client.connect("with", server.tls(), &with).done();
        let shed = json!({"tickets": tickets, "offer": OFFER, "ems": false, "resume": "with"});
        // RFC 7627 §5.3: the server aborts.
        let handshake = client.connect("shed", server.tls(), &shed);
        assert!(handshake.server_alert().is_some(), "{handshake:?}");
    }
    // The other way round the server does a full handshake, and that one may negotiate.
    client.connect("without", server.tls(), &json!({"tickets": false, "ems": false, "offer": OFFER})).done();
    let gained = json!({"tickets": false, "offer": OFFER, "resume": "without"});
    let session = client.connect("gained", server.tls(), &gained).done();
    assert!(!session.resumed && session.token_binding.is_some(), "{session:?}");
}

#[test]
fn early_data_is_never_accepted_together_with_token_binding() {
    let server = Httpd::builder().start();
    let mut client = Independent::start();
    let plain = json!({"tls": "1.3", "offer": OFFER});
    let early = json!({"tls": "1.3", "offer": OFFER, "early_data": true});
    let (_, resumed) = resume(&mut client, &server, &plain, &early);
    assert!(resumed.resumed && resumed.token_binding.is_some() && !resumed.early_data, "{resumed:?}");
}

#[test]
fn load_order_and_mpm_do_not_matter() {
    for mpm in Mpm::ALL {
        for position in [ModulePosition::BeforeSsl, ModulePosition::AfterSsl] {
            let server = Httpd::builder().mpm(mpm).position(position).start();
            let mut client = Independent::start();
            client.key("key", "ecdsap256");
            for tls in TLS {
                client.connect(tls, server.tls(), &json!({"tls": tls, "offer": OFFER})).done();
                let field = format!("Sec-Token-Binding: {}", client.message(tls, &json!([{"key": "key"}])));
                let answer = client.get(tls, "/cgi/env.cgi", &[&field]);
                assert_eq!(
                    answer.variable("Token_Binding_Status"),
                    Some("verified"),
                    "{mpm:?} {position:?} {tls}"
                );
            }
        }
    }
}

#[test]
fn backends_are_never_offered_token_binding() {
    let backend = Backend::https();
    let server = Httpd::builder()
        .load(&["proxy", "proxy_http"])
        .value("backend", backend.port())
        .config("TokenBindingEnabled On")
        .tls_config(
            "SSLProxyEngine On\nSSLProxyCACertificateFile {pki}/ca.pem\nProxyPass / https://localhost:{backend}/",
        )
        .start();
    let mut client = Independent::start();
    client.connect("unbound", server.tls(), &json!({})).done();
    assert_eq!(client.get("unbound", "/", &[]).status, 200);
    let hellos = backend.offered_extensions();
    assert!(!hellos.is_empty() && hellos.iter().all(|types| !types.contains(&24)), "{hellos:?}");
}
