//! What docs/mod_auth_openidc.md and conf/vhost-openidc.conf show works as it stands there.

use serde_json::json;

use super::{APPLICATION, Visitor, begin, cookies, log_in, provider, relying_party};
use crate::common::{Httpd, keys, pki};
use crate::configuration::read;

const PAGE: &str = "/protected/env.cgi";
const NOTHING: &str = "Cookie: none=yet";

/// The configurations of the document, in its order.
fn recipes() -> Vec<String> {
    let document = read("docs/mod_auth_openidc.md");
    let blocks = document.split("```apache\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("an end").to_owned()).collect()
}

/// The one with this in it.
fn recipe(part: &str) -> String {
    recipes().into_iter().find(|recipe| recipe.contains(part)).expect("a recipe with this")
}

#[test]
fn every_recipe_passes_configtest() {
    let recipes = recipes();
    assert_eq!(recipes.len(), 4);
    for recipe in recipes {
        let verdict = Httpd::builder()
            .load(&["authz_user", "auth_openidc", "setenvif"])
            .tls_config(&recipe)
            .configtest();
        assert_eq!(verdict.code, Some(0), "{recipe} {verdict:?}");
    }
}

#[test]
fn the_recipe_for_newer_versions_lets_nobody_in_unbound() {
    let provider = provider();
    let server = relying_party(&provider)
        .tls_config(&recipe("TokenBindingOIDCSession On"))
        .tls_config("SSLVerifyClient optional_no_ca")
        .allow_log("AH01630*client denied")
        .start();
    let bound = Visitor::new(&server, Some(&keys().a));
    for visitor in [bound, Visitor::with_certificate(&server, &pki().self_signed)] {
        assert_eq!(visitor.page("/cgi/env.cgi", NOTHING).status, 302);
        let session = log_in(&provider, |path, cookies| visitor.page(path, cookies));
        let page = visitor.page("/cgi/env.cgi", &session);
        assert!(page.variable("OIDC_CACHE_PREFIX").is_some_and(|prefix| prefix.len() == 48), "{page:?}");
    }
    assert_eq!(Visitor::new(&server, None).page("/cgi/env.cgi", NOTHING).status, 403);
}

#[test]
fn the_recipe_for_older_versions_binds_to_a_certificate() {
    let provider = provider();
    for session_type in ["server-cache", "client-cookie"] {
        let server = relying_party(&provider)
            .load(&["setenvif"])
            .config(&format!("OIDCSessionType {session_type}"))
            .tls_config(&recipe("SetEnvIfExpr"))
            .allow_log("oidc_")
            .start();
        let (owner, nobody) =
            (Visitor::with_certificate(&server, &pki().client_a), Visitor::new(&server, None));
        let thief = Visitor::with_certificate(&server, &pki().client_b);
        let (callback, state) = begin(&provider, |path, cookies| owner.page(path, cookies));
        for other in [thief, nobody] {
            assert_eq!(other.page(&callback, &state).status, 400, "{session_type}");
        }
        let session = cookies(&owner.page(&callback, &state), "mod_auth_openidc_session");
        for (visitor, status) in [(owner, 200), (thief, 302), (nobody, 302), (owner, 200)] {
            assert_eq!(visitor.page(PAGE, &session).status, status, "{session_type}");
        }
        // Only what a certificate proves is in the variable, and nothing else says that it was Token Binding.
        let page = owner.page(PAGE, &session);
        assert_eq!(
            page.variable("Sec_Provided_Token_Binding_ID"),
            page.variable("TB_SSL_CLIENT_CERT_FINGERPRINT")
        );
        assert_eq!(page.variable("Token_Binding_Status"), Some("not-negotiated"), "{page:?}");
        assert_eq!(page.variable("HTTP_SEC_PROVIDED_TOKEN_BINDING_ID"), None, "{page:?}");
        // Where there is a Token Binding, that is it, whatever the certificate.
        let both = |key| Visitor { key: Some(key), ..owner };
        let session = log_in(&provider, |path, cookies| both(&keys().a).page(path, cookies));
        for (visitor, status) in [(both(&keys().a), 200), (both(&keys().b), 302), (owner, 302)] {
            assert_eq!(visitor.page(PAGE, &session).status, status, "{session_type}");
        }
    }
}

#[test]
fn the_example_logs_in_who_is_bound() {
    let provider = provider();
    provider.register(&json!({
        "client_id": "mod-token-binding",
        "client_secret": "change-this",
        "redirect_uris": ["https://login.test/callback"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    }));
    let example = read("conf/vhost-openidc.conf")
        .replace("*:443", "127.0.0.1:{port:tls}")
        .replace("/var/www/html", "{docroot}")
        .replace("/etc/ssl/certs/login.example.org.pem", "{pki}/server.pem")
        .replace("/etc/ssl/private/login.example.org.key", "{pki}/server.key")
        .replace("login.example.org", "login.test")
        .replace("https://provider.example.org", provider.issuer());
    let server = Httpd::builder()
        .load(&["authz_user", "auth_openidc"])
        .config("OIDCCABundlePath {pki}/ca.pem")
        .config(&example)
        .file("protected/env.cgi", APPLICATION)
        .allow_log("AH01630*client denied")
        .allow_log("AH01909*does NOT include an ID which matches the server name")
        .allow_log(super::MISMATCH)
        .start();
    let visitor = |key| Visitor { host: "login.test", ..Visitor::new(&server, key) };
    let owner = visitor(Some(&keys().a));
    let session = log_in(&provider, |path, cookies| owner.page(path, cookies));
    for (key, status) in [(Some(&keys().a), 200), (Some(&keys().b), 302), (None, 403)] {
        assert_eq!(visitor(key).page(PAGE, &session).status, status);
    }
}
