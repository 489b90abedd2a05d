//! `AuthType auth-openidc`: a token if there is one, otherwise a browser's session with Debian's mod_auth_openidc.

use serde_json::json;

use super::tokens::{bound_to, now, token};
use super::{WRONG_CERTIFICATE, bearer, challenge, get, invalid_token, place, present, server};
use crate::common::{Builder, pki};

/// One of each kind of place, with mod_auth_openidc, whose provider is never asked.
fn site() -> Builder {
    let mixed = |name: &str, lines: &str| {
        place(name, &format!("OAuth2TokenVerify jwk {{one}} type=mtls&mtls.policy=optional\n{lines}"))
            .replace("AuthType oauth2", "AuthType auth-openidc")
    };
    server(&[("api", "OAuth2TokenVerify jwk {one}")])
        .load(&["auth_openidc"])
        .tls_config(
            "OIDCProviderIssuer https://op.test\nOIDCProviderAuthorizationEndpoint https://op.test/authorize\n\
             OIDCProviderTokenEndpoint https://op.test/token\nOIDCProviderJwksUri https://op.test/jwks\n\
             OIDCClientID client\nOIDCClientSecret secret\nOIDCRedirectURI /callback\nOIDCCryptoPassphrase passphrase",
        )
        .config(&mixed("mixed", ""))
        .config("<Location /mixed/scoped>\nRequire oauth2_claim scope:admin\n</Location>")
        .config("AliasMatch \"^/mixed/scoped/env$\" \"{docroot}/cgi/env.cgi\"")
        .config("<Location /session>\nAuthType openid-connect\nRequire valid-user\n</Location>")
}

#[test]
fn with_a_token_it_is_ours_and_without_it_is_the_browser_s() {
    let server = site().start();
    let good = token(json!({}));
    let browser = "Accept: text/html";
    for _ in 0..2 {
        let answer = get(&server, None, "/mixed/env", &[&bearer(&good), browser]);
        assert_eq!((answer.status, answer.variable("REMOTE_USER")), (200, Some("joe")), "{answer:?}");
        assert_eq!(answer.variable("AUTH_TYPE"), Some("oauth2"));
        assert_eq!(answer.variable("OAUTH2_CLAIM_sub"), Some("joe"));
        let answer = get(&server, None, "/mixed/env", &[browser]);
        let location = answer.header("Location").unwrap_or_default();
        assert!(answer.status == 302 && location.starts_with("https://op.test/authorize?"), "{answer:?}");
        assert_eq!(challenge(&answer), None);
    }
    // Neither kind of place opens for the other's key.
    assert_eq!(get(&server, None, "/session/env", &[&bearer(&good), browser]).status, 302);
    let answer = get(&server, None, "/api/env", &[browser]);
    assert_eq!((answer.status, challenge(&answer)), (401, Some("Bearer realm=\"api\"")));
}

#[test]
fn a_bad_token_is_refused_and_not_passed_on() {
    let server = site().start();
    let pki = pki();
    let bound = token(bound_to(&pki.client_a));
    for (identity, token, description) in [
        (None, token(json!({"exp": now() - 1})), "The access token expired"),
        (None, "garbage".to_owned(), "The access token is malformed"),
        (None, bound.clone(), WRONG_CERTIFICATE),
        (Some(&pki.client_b), bound.clone(), WRONG_CERTIFICATE),
    ] {
        let answer = present(&server, identity, "/mixed/env", &token);
        let expected = invalid_token(description);
        assert_eq!((answer.status, challenge(&answer)), (401, Some(expected.as_str())), "{answer:?}");
        assert_eq!(answer.header("Set-Cookie"), None, "mod_auth_openidc has no part in it");
    }
    assert_eq!(present(&server, Some(&pki.client_a), "/mixed/env", &bound).status, 200);
}

#[test]
fn requirements_are_judged_for_tokens() {
    let server = site().allow_log("AH01631: user joe").start();
    assert_eq!(present(&server, None, "/mixed/scoped/env", &token(json!({"scope": "admin"}))).status, 200);
    let answer = present(&server, None, "/mixed/scoped/env", &token(json!({"scope": "read"})));
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(challenge(&answer).is_some_and(|challenge| challenge.contains("scope=\"admin\"")), "{answer:?}");
}

#[test]
fn without_mod_auth_openidc_somebody_must_answer() {
    let server = server(&[])
        .config(
            &place("mixed", "OAuth2TokenVerify jwk {one}")
                .replace("AuthType oauth2", "AuthType auth-openidc"),
        )
        // httpd's own words for an AuthType that nobody handles.
        .expect_log("AH01796: AuthType auth-openidc configured without corresponding module")
        .start();
    assert_eq!(present(&server, None, "/mixed/env", &token(json!({}))).status, 200);
    assert_eq!(get(&server, None, "/mixed/env", &[]).status, 500);
}
