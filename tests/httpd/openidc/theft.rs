//! What a thief gets who has the cookie, and a key of his own or none; and that its owner does not notice.

use openssl::ssl::SslVersion;

use super::{MISMATCH, Visitor, begin, log_in, provider, relying_party};
use crate::common::keys;

#[test]
fn a_stolen_cookie_opens_no_corner_of_the_site() {
    let provider = provider();
    for (session_type, tls) in [("server-cache", SslVersion::TLS1_3), ("client-cookie", SslVersion::TLS1_2)] {
        let server = relying_party(&provider)
            .config(&format!("OIDCSessionType {session_type}"))
            .load(&["rewrite"])
            .file("open/redirect.cgi", "#!/bin/sh\nprintf 'Location: /protected/env.cgi\\r\\n\\r\\n'\n")
            .tls_config("RewriteEngine On\nRewriteRule ^/open/rewritten$ /protected/env.cgi [PT]")
            .expect_log(MISMATCH)
            .start();
        let visitor = |key| Visitor { tls, ..Visitor::new(&server, key) };
        let owner = visitor(Some(&keys().a));
        let session = log_in(&provider, |path, cookies| owner.page(path, cookies));
        let page = ["Accept: text/html", session.as_str()];
        // The session information holds tokens: what an attacker in the page would ask for.
        let script = ["X-Requested-With: XMLHttpRequest", session.as_str()];
        for (path, fields, refusal) in [
            ("/protected/env.cgi", page, 302),
            ("/protected/env.cgi", script, 401),
            ("/callback?info=json", page, 401),
            ("/callback?info=json", script, 401),
            ("/open/redirect.cgi", page, 302),
            ("/open/rewritten", page, 302),
        ] {
            for (key, expected) in
                [(Some(&keys().a), 200), (Some(&keys().b), refusal), (None, refusal), (Some(&keys().a), 200)]
            {
                let answer = visitor(key).get(path, &fields);
                assert_eq!(answer.status, expected, "{session_type} {path} {fields:?} {answer:?}");
                assert_eq!(answer.body.contains("alice"), expected == 200, "{path} {answer:?}");
            }
        }
    }
}

#[test]
fn a_page_includes_what_its_visitor_may_see() {
    let provider = provider();
    let server = relying_party(&provider)
        .load(&["include"])
        .file("open/include.shtml", "<!--#include virtual=\"/protected/env.cgi\" -->")
        .allow_log("unable to include")
        .start();
    let visitor = |key| Visitor::new(&server, key);
    let session = log_in(&provider, |path, cookies| visitor(Some(&keys().a)).page(path, cookies));
    for (key, told) in [(Some(&keys().a), true), (Some(&keys().b), false), (None, false)] {
        let answer = visitor(key).get("/open/include.shtml", &[&session]);
        assert_eq!(answer.body.contains("REMOTE_USER=alice"), told, "{answer:?}");
    }
}

#[test]
fn only_the_browser_that_began_a_login_can_finish_it() {
    let provider = provider();
    for session_type in ["server-cache", "client-cookie"] {
        let server = relying_party(&provider)
            .config(&format!("OIDCSessionType {session_type}"))
            .expect_log("oidc_restore_proto_state: calculated state from cookie does not match state")
            .expect_log("oidc_authorization_response_match_state: unable to restore state")
            .expect_log("oidc_handle_authorization_response: invalid authorization response state")
            .start();
        let visitor = |key| Visitor::new(&server, key);
        // Alice's login, which others would like to finish; and Mallory's, into which he would like her to walk.
        for (begins, others) in [(&keys().a, [Some(&keys().b), None]), (&keys().b, [Some(&keys().a), None])] {
            let (callback, state) =
                begin(&provider, |path, cookies| visitor(Some(begins)).page(path, cookies));
            for other in others {
                let answer = visitor(other).page(&callback, &state);
                assert_eq!(answer.status, 400, "{session_type} {answer:?}");
                let sets_a_session =
                    answer.headers.iter().any(|(_, value)| value.contains("openidc_session="));
                assert!(!sets_a_session, "{answer:?}");
            }
            let finished = visitor(Some(begins)).page(&callback, &state);
            assert_eq!(finished.status, 302, "{session_type} {finished:?}");
        }
    }
}
