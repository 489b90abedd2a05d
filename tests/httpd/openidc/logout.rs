//! The end of a session: its owner's affair, as far as mod_auth_openidc can tell.

use super::{MISMATCH, Visitor, log_in, provider, relying_party};
use crate::common::keys;

const LOGOUT: &str = "/callback?logout=https%3A%2F%2Flocalhost%2Fhello.txt";
const PAGE: &str = "/protected/env.cgi";

#[test]
fn the_owner_logs_out_and_nobody_else() {
    let provider = provider();
    // A session that is in the cookie itself cannot be taken back, not even by its owner.
    for (session_type, replayed) in [("server-cache", 302), ("client-cookie:store_id_token", 200)] {
        let server = relying_party(&provider)
            .config(&format!("OIDCSessionType {session_type}"))
            .expect_log(MISMATCH)
            // Of the thief's logout.
            .expect_log("oidc_get_provider_from_session: empty or invalid session: no issuer found")
            .start();
        let (owner, thief) = (Visitor::new(&server, Some(&keys().a)), Visitor::new(&server, Some(&keys().b)));
        let session = log_in(&provider, |path, cookies| owner.page(path, cookies));
        for other in [thief, Visitor::new(&server, None)] {
            assert_eq!(other.page(LOGOUT, &session).status, 302);
        }
        assert_eq!(owner.page(PAGE, &session).status, 200, "{session_type}: others log her out");

        let out = owner.page(LOGOUT, &session);
        let provider_s = out.header("Location").expect("a redirect to the provider");
        assert!(provider_s.contains("/session/end?id_token_hint="), "{out:?}");
        assert_eq!(provider.log_out(provider_s), "https://localhost/hello.txt");
        let deleted = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("Set-Cookie") && value.contains("openidc_session=;")
        };
        assert!(out.headers.iter().any(deleted), "{out:?}");
        assert_eq!(owner.page(PAGE, &session).status, replayed, "{session_type}");
        assert_eq!(thief.page(PAGE, &session).status, 302, "{session_type}");
    }
}

#[test]
fn whoever_has_the_cookie_can_end_a_session_in_the_cache() {
    let provider = provider();
    let server = relying_party(&provider).start();
    let owner = Visitor::new(&server, Some(&keys().a));
    let session = log_in(&provider, |path, cookies| owner.page(path, cookies));
    assert_eq!(owner.page(PAGE, &session).status, 200);
    // mod_auth_openidc's own switch for it, which looks at no session: end it, but not read it.
    let (_, name) = session.split_once('=').expect("the name of the session");
    let ended = Visitor::new(&server, None).get(&format!("/callback?revoke_session={name}"), &[]);
    assert!(!ended.body.contains("alice"), "{ended:?}");
    assert_eq!(owner.page(PAGE, &session).status, 302);
}
