//! `TokenBindingOIDCSession` for mod_auth_openidc 2.4.17.1 and newer, which puts the variable `OIDC_CACHE_PREFIX` before the
//! names of all that it stores. Debian's version does not; it is here to see the variable when it authenticates.

use openssl::ssl::SslVersion;
use serde_json::json;

use super::{Visitor, log_in, provider, relying_party};
use crate::common::bound::thumbprint;
use crate::common::{Httpd, Independent, keys, pki, tbh};

const PREFIX: &str = "OIDC_CACHE_PREFIX";

/// What a client would choose it by: a header, or one of which an administrator makes a variable.
const FORGED: [&str; 3] = ["OIDC_CACHE_PREFIX: forged", "OIDC-Cache-Prefix: forged", "X-Prefix: forged"];

#[test]
fn the_prefix_follows_token_binding_then_certificate_then_nothing() {
    let server = Httpd::builder()
        .load(&["setenvif"])
        .tls_config(
            "SSLVerifyClient optional_no_ca\n<Location /cgi>\nTokenBindingOIDCSession On\n\
             SetEnvIf X-Prefix (.+) OIDC_CACHE_PREFIX=$1\n</Location>",
        )
        .file("elsewhere/env.cgi", super::APPLICATION)
        .start();
    let (a, b) = (Some(&keys().a), Some(&keys().b));
    let (tbh_a, tbh_b) = (format!("tbh-{}-", tbh(&keys().a)), format!("tbh-{}-", tbh(&keys().b)));
    let x5t = |name: &str| format!("x5t-{}-", thumbprint(&server.pki(name)));
    let (x5t_a, x5t_self) = (x5t("client_a.pem"), x5t("self_signed.pem"));
    for (key, certificate, expected) in [
        (a, None, Some(&tbh_a)),
        (b, None, Some(&tbh_b)),
        // The Token Binding counts where there is one.
        (a, Some(&pki().client_b), Some(&tbh_a)),
        (None, Some(&pki().client_a), Some(&x5t_a)),
        (None, Some(&pki().self_signed), Some(&x5t_self)),
        (None, None, None),
    ] {
        for tls in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let visitor = Visitor { certificate, tls, ..Visitor::new(&server, key) };
            for path in ["/cgi/env.cgi", "/cgi/redirect.cgi"] {
                let answer = visitor.get(path, &FORGED);
                assert_eq!(answer.variable(PREFIX), expected.map(String::as_str), "{path} {answer:?}");
            }
            assert_eq!(visitor.get("/elsewhere/env.cgi", &FORGED).variable(PREFIX), None);
        }
    }
}

#[test]
fn streams_of_http2_have_the_prefix_of_their_own_messages() {
    let server = Httpd::builder()
        .load(&["http2"])
        .config("Protocols h2 http/1.1")
        .tls_config("<Location />\nTokenBindingOIDCSession On\n</Location>")
        .start();
    let mut client = Independent::start();
    let hashes = ["alice", "mallory"].map(|name| client.key(name, "ecdsap256").tbh);
    client.connect("one", server.tls(), &json!({"tls": "1.3", "alpn": "h2", "offer": "01000102"})).done();
    let requests = ["alice", "mallory"].map(|name| {
        let message = client.message("one", &json!([{"key": name}]));
        json!({"path": "/cgi/env.cgi", "headers": [["sec-token-binding", message]]})
    });
    let answers = client.streams("one", &json!(requests));
    for (answer, hash) in answers.iter().zip(hashes) {
        assert_eq!(answer.variable(PREFIX), Some(format!("tbh-{hash}-").as_str()), "{answer:?}");
    }
}

#[test]
fn a_certificate_that_the_location_asks_for_counts() {
    let server = Httpd::builder()
        .tls_config("<Location /cgi>\nSSLVerifyClient require\nTokenBindingOIDCSession On\n</Location>")
        .start();
    let visitor = Visitor { tls: SslVersion::TLS1_2, ..Visitor::with_certificate(&server, &pki().client_a) };
    let expected = format!("x5t-{}-", thumbprint(&server.pki("client_a.pem")));
    assert_eq!(visitor.get("/cgi/env.cgi", &[]).variable(PREFIX), Some(expected.as_str()));
}

#[test]
fn mod_auth_openidc_sees_it_when_it_looks_for_a_session() {
    let provider = provider();
    // The expression is evaluated in mod_auth_openidc's own hook: 401 where it holds, else a redirect to the provider.
    let server = relying_party(&provider)
        .tls_config("SSLVerifyClient optional_no_ca\nSetEnv OIDC_CACHE_PREFIX late")
        .tls_config(
            "<Location />\nTokenBindingOIDCSession On\n\
             OIDCUnAuthAction 401 \"reqenv('OIDC_CACHE_PREFIX') =~ /^(tbh|x5t)-[A-Za-z0-9_-]{43}-$/\"\n</Location>",
        )
        .tls_config(
            "<Location /protected/late>\nOIDCUnAuthAction 410 \"reqenv('OIDC_CACHE_PREFIX') == 'late'\"\n</Location>",
        )
        .start();
    let bound = [Visitor::new(&server, Some(&keys().a)), Visitor::with_certificate(&server, &pki().client_a)];
    for visitor in bound {
        assert_eq!(visitor.page("/protected/env.cgi", "Cookie: none=yet").status, 401);
    }
    let nobody = Visitor::new(&server, None);
    assert_eq!(nobody.page("/protected/env.cgi", "Cookie: none=yet").status, 302);
    // SetEnv acts later: on what the application sees, and not on where a session is looked for.
    assert_eq!(nobody.page("/protected/late/env.cgi", "Cookie: none=yet").status, 302);
    assert_eq!(nobody.page("/cgi/env.cgi", "Cookie: none=yet").variable(PREFIX), Some("late"));
}

#[test]
fn older_versions_do_not_bind_a_session_to_a_certificate() {
    let provider = provider();
    let server = relying_party(&provider)
        .tls_config("SSLVerifyClient optional_no_ca\n<Location />\nTokenBindingOIDCSession On\n</Location>")
        .start();
    let owner = Visitor::with_certificate(&server, &pki().client_a);
    let session = log_in(&provider, |path, cookies| owner.page(path, cookies));
    // 2.4.12.3 does not read the variable.
    for thief in [Visitor::with_certificate(&server, &pki().client_b), Visitor::new(&server, None)] {
        assert_eq!(thief.page("/protected/env.cgi", &session).status, 200);
    }
}
