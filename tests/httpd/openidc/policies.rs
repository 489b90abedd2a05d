//! What mod_auth_openidc's own policies do about bound tokens: the traps that docs/mod_auth_openidc.md warns of.

use serde_json::json;

use super::{Visitor, begin, provider, relying_party};
use crate::common::authorization_server::{AuthorizationServer, Format, Grant};
use crate::common::certificates::Identity;
use crate::common::{Httpd, keys, pki, tbh};

#[test]
fn only_enforced_demands_and_compares_the_binding_of_an_id_token() {
    let provider = provider();
    let (right, wrong) = (json!({"cnf": {"tbh": tbh(&keys().a)}}), json!({"cnf": {"tbh": tbh(&keys().b)}}));
    let none = json!({});
    // What the provider says, and whether a client with key A and one without a key are logged in.
    for (policy, rows) in [
        ("optional", [(&right, true, true), (&wrong, true, true), (&none, true, true)]),
        ("required", [(&right, true, true), (&wrong, false, true), (&none, false, false)]),
        ("enforced", [(&right, true, false), (&wrong, false, false), (&none, false, false)]),
    ] {
        let server = relying_party(&provider)
            .tls_config(&format!("OIDCTokenBindingPolicy {policy}"))
            .allow_log("oidc_")
            .start();
        for (claims, with, without) in rows {
            provider.claim(claims);
            for (key, expected) in [(Some(&keys().a), with), (None, without)] {
                let visitor = Visitor::new(&server, key);
                let (callback, state) = begin(&provider, |path, cookies| visitor.page(path, cookies));
                let answer = visitor.page(&callback, &state);
                let logged_in = answer.headers.iter().any(|(_, value)| value.contains("openidc_session="));
                assert_eq!(logged_in, expected, "{policy} {claims} key: {} {answer:?}", key.is_some());
            }
        }
    }
}

/// Three locations for API clients: mod_auth_openidc's, the same that asks every time, and our own.
fn resource_server(provider: &AuthorizationServer, policy: &str) -> Httpd {
    relying_party(provider)
        .tls_config("SSLVerifyClient optional_no_ca")
        .tls_config(&format!("OIDCOAuthAccessTokenBindingPolicy {policy}"))
        .tls_config(
            "OIDCOAuthIntrospectionEndpoint {issuer}/token/introspection\n\
             OIDCOAuthIntrospectionEndpointAuth client_secret_basic\nOIDCOAuthClientID resource-server\n\
             OIDCOAuthClientSecret {secret}\nOIDCOAuthRemoteUserClaim client_id\n\
             <Location /theirs>\nAuthType oauth20\nRequire valid-user\n</Location>\n\
             <Location /theirs/asking>\nOIDCOAuthTokenIntrospectionInterval -1\n</Location>\n\
             <Location /ours>\nAuthType oauth2\nAuthName api\nRequire valid-user\n\
             OAuth2TargetPass remote_user_claim=client_id\n\
             OAuth2TokenVerify introspect {issuer}/token/introspection introspect.ca_file={pki}/ca.pem&\
             introspect.auth=client_secret_basic&client_id=resource-server&client_secret={secret}\n</Location>",
        )
        .file("theirs/page.txt", "a page")
        .file("theirs/asking/page.txt", "a page")
        .file("ours/page.txt", "a page")
        .allow_log("oidc_")
        .start()
}

#[test]
fn the_memory_of_introspection_forgets_to_whom_a_token_is_bound() {
    let provider = provider();
    let (owner, thief) = (&pki().client_a, Some(&pki().client_b));
    // The thief's outcome before and after its owner has used the token.
    for (policy, rows) in [
        // Logged, and accepted; and our own location beside it.
        ("optional", [("theirs", 200, 200), ("ours", 401, 401)]),
        ("enforced", [("theirs", 401, 200), ("theirs/asking", 401, 401)]),
    ] {
        let server = resource_server(&provider, policy);
        for (location, before, after) in rows {
            for thief in [thief, None] {
                let grant = Grant { certificate: Some(owner), format: Format::Opaque, ..Grant::default() };
                let token = format!("Authorization: Bearer {}", provider.token(&grant));
                let use_it = |certificate: Option<&'static Identity>| {
                    let visitor = Visitor { certificate, ..Visitor::new(&server, None) };
                    visitor.get(&format!("/{location}/page.txt"), &[&token]).status
                };
                let seen = [use_it(thief), use_it(Some(owner)), use_it(thief), use_it(Some(owner))];
                assert_eq!(seen, [before, 200, after, 200], "{policy} {location} {}", thief.is_some());
            }
        }
    }
}
