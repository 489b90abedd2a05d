//! The configuration that this project began with, line by line as it was.

use std::net::TcpStream;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};
use serde_json::json;

use super::tokens::{bound_to, keys, token};
use super::{WRONG_CERTIFICATE, bearer, challenge, present};
use crate::common::certificates::Identity;
use crate::common::{Bound, Builder, Httpd, pki};

/// The seed's three lines, with a key where it has dots.
fn seed() -> String {
    let jwk = keys().one.jwk();
    let (n, e) = (jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap());
    assert_eq!(e, "AQAB");
    r#"
AuthType oauth2
OAuth2TokenVerify jwk "{\"kty\":\"RSA\",\"kid\":\"one\",\"use\":\"sig\",\"n\":\"...\",\"e\":\"AQAB\" }" type=mtls&mtls.policy=optional
SSLVerifyClient optional_no_ca
"#
    .replace("...", n)
}

/// A server with these lines in one section.
fn server(section: &str) -> Builder {
    let lines =
        format!("<{section}>\n{}Require valid-user\n</{}>", seed(), section.split(' ').next().unwrap());
    Httpd::builder().load(&["authz_user"]).tls_config(&lines)
}

#[test]
fn the_seed_s_three_lines_work_as_they_stand() {
    let (verify, others): (Vec<&str>, Vec<&str>) = {
        let seed: &'static str = seed().leak();
        seed.trim().lines().partition(|line| line.starts_with("SSLVerifyClient"))
    };
    // A certificate that was asked for in the handshake: the third line stands in the virtual host.
    let server = Httpd::builder()
        .load(&["authz_user"])
        .tls_config(&format!(
            "{}\n<Location />\n{}\nRequire valid-user\n</Location>",
            verify[0],
            others.join("\n")
        ))
        .start();
    let pki = pki();
    for own in [&pki.client_a, &pki.self_signed] {
        let bound = token(bound_to(own));
        let unbound = token(json!({}));
        for _ in 0..2 {
            for (identity, token, status) in [
                (None, &unbound, 200),
                (Some(own), &unbound, 200),
                (Some(own), &bound, 200),
                (Some(&pki.client_b), &bound, 401),
                (None, &bound, 401),
            ] {
                let answer = present(&server, identity, "/hello.txt", token);
                assert_eq!(answer.status, status, "{answer:?}");
                if status == 401 {
                    let expected =
                        format!("Bearer error=\"invalid_token\", error_description=\"{WRONG_CERTIFICATE}\"");
                    assert_eq!(challenge(&answer), Some(expected.as_str()));
                }
            }
        }
    }
    let without = super::get(&server, Some(&pki.client_a), "/hello.txt", &[]);
    assert_eq!((without.status, challenge(&without)), (401, Some("Bearer realm=\"\"")));
}

#[test]
fn the_certificate_may_be_asked_for_by_the_location() {
    let server = server("Location \"/cgi\"").start();
    let pki = pki();
    let (bound, unbound) = (token(bound_to(&pki.client_a)), token(json!({})));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (identity, token, status) in [
            (Some(&pki.client_a), &bound, 200),
            (Some(&pki.client_b), &bound, 401),
            (None, &bound, 401),
            (None, &unbound, 200),
        ] {
            let mut client = ask_later(&server, identity, version);
            assert_eq!(client.unbound("/hello.txt", &[]).status, 200);
            for _ in 0..2 {
                let answer = client.unbound("/cgi/env.cgi", &[&bearer(token)]);
                assert_eq!(answer.status, status, "{version:?} {answer:?}");
            }
        }
    }
}

/// A client that gives its certificate when it is asked in mid-connection.
fn ask_later(
    server: &Httpd,
    identity: Option<&Identity>,
    version: SslVersion,
) -> Bound<SslStream<TcpStream>> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    if let Some(identity) = identity {
        builder.set_certificate(&identity.certificate).unwrap();
        builder.set_private_key(&identity.key).unwrap();
    }
    // SAFETY: sets a flag of a context that the builder holds (post_handshake_auth, RFC 8446 §4.2.6).
    unsafe { openssl_sys::SSL_CTX_set_post_handshake_auth(builder.as_ptr(), 1) };
    let tcp = TcpStream::connect(server.tls()).unwrap();
    tcp.set_read_timeout(Some(std::time::Duration::from_secs(15))).unwrap();
    let connector = builder.build().configure().unwrap().verify_hostname(false);
    Bound::over(connector.connect("localhost", tcp).unwrap(), "localhost")
}
