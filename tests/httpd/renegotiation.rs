//! Client certificates asked for in mid-connection: renegotiation (TLS 1.2) makes new keying material, post-handshake
//! authentication (TLS 1.3) does not. Either way the request that caused it stays what it was when it arrived.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::ssl::{
    ExtensionContext, SslConnector, SslConnectorBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use token_binding::EXTENSION_TYPE;

use crate::common::bound::{Exporter, thumbprint};
use crate::common::certificates::Identity;
use crate::common::process::patience;
use crate::common::{Bound, Builder, Httpd, id, keys, pki};
use crate::server_status::{moved, watch};

const FINGERPRINT: &str = "TB_SSL_CLIENT_CERT_FINGERPRINT";
const STATUS: &str = "Token_Binding_Status";

/// A certificate is asked for below /cgi only.
fn asks_below_cgi() -> Builder {
    Httpd::builder().tls_config("<Location /cgi>\nSSLVerifyClient require\nSSLVerifyDepth 1\n</Location>")
}

/// A client of stock OpenSSL that offers Token Binding in its first `offers` handshakes, and has a certificate.
fn client(
    server: &Httpd,
    version: SslVersion,
    offers: usize,
    identity: &Identity,
) -> Bound<SslStream<TcpStream>> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_certificate(&identity.certificate).unwrap();
    builder.set_private_key(&identity.key).unwrap();
    allow_post_handshake_authentication(&builder);
    let messages = ExtensionContext::CLIENT_HELLO
        | ExtensionContext::TLS1_2_SERVER_HELLO
        | ExtensionContext::TLS1_3_ENCRYPTED_EXTENSIONS;
    let hellos = Arc::new(AtomicUsize::new(0));
    builder
        .add_custom_ext(
            EXTENSION_TYPE,
            messages,
            // RFC 8472 §2: version 1.0, ecdsap256.
            move |_, _, _| Ok((hellos.fetch_add(1, Ordering::SeqCst) < offers).then_some([1, 0, 1, 2])),
            |_, _, _, _| Ok(()),
        )
        .unwrap();
    let tcp = TcpStream::connect(server.tls()).unwrap();
    tcp.set_read_timeout(Some(patience(15))).unwrap();
    let stream =
        builder.build().configure().unwrap().verify_hostname(false).connect("localhost", tcp).unwrap();
    Bound::over(stream, "localhost")
}

/// post_handshake_auth (RFC 8446 §4.2.6); the openssl crate has no name for it.
fn allow_post_handshake_authentication(builder: &SslConnectorBuilder) {
    // SAFETY: sets a flag of a context that the builder holds.
    unsafe { openssl_sys::SSL_CTX_set_post_handshake_auth(builder.as_ptr(), 1) };
}

#[test]
fn the_request_that_causes_a_renegotiation_is_judged_by_the_old_keying_material() {
    let server = asks_below_cgi().start();
    let mut client = client(&server, SslVersion::TLS1_2, usize::MAX, &pki().client_a);
    assert_eq!(client.get("/hello.txt", &[]).status, 200);
    let old = client.stream().ekm();
    let old_message = client.message();
    let answer = client.get("/cgi/env.cgi", &[]);
    assert_eq!(answer.variable(STATUS), Some("verified"), "{answer:?}");
    assert_eq!(answer.variable("Sec_Provided_Token_Binding_ID"), Some(id(&keys().a).as_str()));
    assert_eq!(
        answer.variable(FINGERPRINT),
        Some(thumbprint(&server.pki("client_a.pem")).as_str()),
        "{answer:?}"
    );
    assert_ne!(old.as_bytes(), client.stream().ekm().as_bytes(), "it did renegotiate");
    // What comes next is judged by the new one.
    for _ in 0..2 {
        let answer = client.get("/cgi/env.cgi", &[]);
        assert_eq!(answer.variable(STATUS), Some("verified"), "{answer:?}");
        assert_eq!(answer.variable(FINGERPRINT), Some(thumbprint(&server.pki("client_a.pem")).as_str()));
    }
    assert_eq!(client.replay("/hello.txt", &old_message, &[]).status, 400);
}

#[test]
fn a_renegotiation_for_another_cipher_suite_counts_as_well() {
    let server = Httpd::builder()
        .tls_config("<Location /cgi>\nSSLCipherSuite ECDHE-ECDSA-AES128-GCM-SHA256\n</Location>")
        .start();
    let mut client = client(&server, SslVersion::TLS1_2, usize::MAX, &pki().client_a);
    let (old, message) = (client.stream().ekm(), client.message());
    assert_eq!(client.replay("/cgi/env.cgi", &message, &[]).variable(STATUS), Some("verified"));
    assert_ne!(
        old.as_bytes(),
        client.stream().ekm().as_bytes(),
        "it did renegotiate, and no certificate tells"
    );
    assert_eq!(client.get("/cgi/env.cgi", &[]).variable(STATUS), Some("verified"));
    assert_eq!(client.replay("/hello.txt", &message, &[]).status, 400);
}

#[test]
fn a_remembered_message_is_forgotten_with_its_keying_material() {
    let server = asks_below_cgi().start();
    let mut client = client(&server, SslVersion::TLS1_2, usize::MAX, &pki().client_a);
    let old = client.message();
    for path in ["/hello.txt", "/hello.txt", "/cgi/env.cgi"] {
        assert_eq!(client.replay(path, &old, &[]).status, 200, "{path}");
    }
    assert_eq!(client.replay("/hello.txt", &old, &[]).status, 400, "known, but under other keying material");
}

#[test]
fn a_second_handshake_without_the_extension_ends_token_binding() {
    let server = asks_below_cgi().start();
    let mut client = client(&server, SslVersion::TLS1_2, 1, &pki().client_a);
    let answer = client.get("/cgi/env.cgi", &[]);
    assert_eq!(answer.variable(STATUS), Some("verified"), "{answer:?}");
    // RFC 8472 §3: each handshake negotiates anew; without negotiation there is no binding (RFC 8471 §4.2).
    let answer = client.get("/cgi/env.cgi", &[]);
    assert_eq!((answer.status, answer.variable(STATUS)), (200, Some("not-negotiated")), "{answer:?}");
    assert!(answer.variable("Sec_Provided_Token_Binding_ID").is_none(), "{answer:?}");
}

#[test]
fn post_handshake_authentication_keeps_the_keying_material() {
    let server = asks_below_cgi().start();
    let mut client = client(&server, SslVersion::TLS1_3, usize::MAX, &pki().client_a);
    let message = client.message();
    assert_eq!(client.replay("/hello.txt", &message, &[]).status, 200);
    let before = client.stream().ekm();
    let expected = thumbprint(&server.pki("client_a.pem"));
    for _ in 0..2 {
        let answer = client.replay("/cgi/env.cgi", &message, &[]);
        assert_eq!(answer.variable(STATUS), Some("verified"), "{answer:?}");
        assert_eq!(answer.variable(FINGERPRINT), Some(expected.as_str()), "{answer:?}");
    }
    // RFC 8446 §7.5: the exporter master secret is that of the first flight.
    assert_eq!(before.as_bytes(), client.stream().ekm().as_bytes());
    assert_eq!(client.replay("/hello.txt", &message, &[]).status, 200);
}

#[test]
fn the_certificate_outlives_internal_redirects() {
    // /cgi/redirect.cgi redirects below the same section; /hello.txt is rewritten into it and asks only there.
    let server = asks_below_cgi()
        .load(&["rewrite"])
        .tls_config("RewriteEngine On\nRewriteRule ^/rewritten$ /cgi/redirect.cgi [PT]")
        .file("error.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n")
        .tls_config("<Location /cgi/denied>\nErrorDocument 403 /error.cgi\nRequire all denied\n</Location>")
        .allow_log("AH01630*client denied")
        .start();
    let expected = thumbprint(&server.pki("client_b.pem"));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for path in ["/cgi/redirect.cgi", "/rewritten", "/cgi/denied"] {
            let mut client = client(&server, version, usize::MAX, &pki().client_b);
            let answer = client.get(path, &[]);
            assert_eq!(
                answer.variable(FINGERPRINT),
                Some(expected.as_str()),
                "{version:?} {path} {answer:?}"
            );
            assert_eq!(answer.variable(STATUS), Some("verified"), "{version:?} {path} {answer:?}");
        }
    }
}

/// A subrequest may be what makes mod_ssl ask. The request, and those that come after it, have the certificate as well.
#[test]
fn a_certificate_that_a_subrequest_asked_for_is_the_whole_requests() {
    let include = "<!--#include virtual=\"/cgi/env.cgi\" -->\n";
    let server = asks_below_cgi()
        .load(&["rewrite", "include"])
        .file("twice.shtml", &[include, include].concat())
        // Looks ahead: the URL, as a subrequest, up to its authorization.
        .tls_config("RewriteEngine On\nRewriteCond %{LA-U:REMOTE_USER} !=nobody\nRewriteRule ^/cgi/ - [PT]")
        .start();
    let fingerprint = format!("{FINGERPRINT}={}", thumbprint(&server.pki("client_a.pem")));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (path, times) in [("/cgi/env.cgi", 1), ("/twice.shtml", 2)] {
            let answer = client(&server, version, usize::MAX, &pki().client_a).get(path, &[]);
            let found = answer.body.lines().filter(|line| *line == fingerprint).count();
            assert_eq!(found, times, "{version:?} {path} {answer:?}");
        }
    }
}

#[test]
fn the_certificate_of_the_handshake_is_known_from_the_first_request_on() {
    let server = Httpd::builder().tls_config("SSLVerifyClient optional_no_ca").start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (name, identity) in [("client_a.pem", &pki().client_a), ("self_signed.pem", &pki().self_signed)] {
            // With Token Binding and without.
            for offers in [1, 0] {
                let answer = client(&server, version, offers, identity).get("/cgi/env.cgi", &[]);
                assert_eq!(
                    answer.variable(FINGERPRINT),
                    Some(thumbprint(&server.pki(name)).as_str()),
                    "{answer:?}"
                );
            }
        }
    }
    let answer = Bound::open(&server).get("/cgi/env.cgi", &[]);
    assert_eq!(answer.variable(FINGERPRINT), None, "no certificate, no fingerprint: {answer:?}");
}

#[test]
fn a_fingerprint_in_a_request_is_not_believed() {
    let server = Httpd::builder().tls_config("SSLVerifyClient optional_no_ca").start();
    let spellings = [
        "TB_SSL_CLIENT_CERT_FINGERPRINT: forged",
        "TB-SSL-Client-Cert-Fingerprint: forged",
        "tb_ssl-client_cert-fingerprint: forged",
        "TB.SSL.CLIENT.CERT.FINGERPRINT: forged",
        "Client-Cert: :Zm9yZ2Vk:",
        "CLIENT_CERT: forged",
        "Client-Cert-Chain: forged",
    ];
    let bare = Bound::open(&server).get("/cgi/env.cgi", &spellings);
    let certified = client(&server, SslVersion::TLS1_3, 1, &pki().client_a).get("/cgi/env.cgi", &spellings);
    let unbound = client(&server, SslVersion::TLS1_2, 0, &pki().client_a).unbound("/cgi/env.cgi", &spellings);
    for answer in [&bare, &certified, &unbound] {
        assert!(!answer.body.contains("forged") && !answer.body.contains("Zm9yZ2Vk"), "{answer:?}");
        assert!(!answer.body.contains("HTTP_TB") && !answer.body.contains("HTTP_CLIENT_CERT"), "{answer:?}");
    }
    assert_eq!(certified.variable(FINGERPRINT), Some(thumbprint(&server.pki("client_a.pem")).as_str()));
}

#[test]
fn a_connection_is_counted_once_however_often_it_shakes_hands() {
    let server = watch(asks_below_cgi()).start();
    for (version, column) in [(SslVersion::TLS1_2, "TLS12"), (SslVersion::TLS1_3, "TLS13")] {
        let change = moved(&server, || {
            let mut client = client(&server, version, usize::MAX, &pki().client_a);
            for path in ["/hello.txt", "/cgi/env.cgi", "/cgi/env.cgi"] {
                assert_eq!(client.get(path, &[]).status, 200, "{version:?} {path}");
            }
        });
        assert!(change.starts_with(&format!("TokenBindingConnections{column}Ecdsap256 1, ")), "{change}");
    }
}
