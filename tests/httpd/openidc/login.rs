//! How a login begins: bound or not, and what the provider is asked for.

use super::{Visitor, log_in, provider, relying_party};
use crate::common::keys;

#[test]
fn a_session_that_began_unbound_stays_unbound_unless_the_place_requires_more() {
    let provider = provider();
    let server = relying_party(&provider).allow_log("AH01630*client denied").start();
    let visitor = |key| Visitor::new(&server, key);
    let session = log_in(&provider, |path, cookies| visitor(None).page(path, cookies));
    // What mod_auth_openidc does, and cannot be told otherwise: such a session is a bearer's.
    for key in [None, Some(&keys().a), Some(&keys().b)] {
        assert_eq!(visitor(key).page("/protected/env.cgi", &session).status, 200);
    }
    // With the session and without: no login begins.
    for cookies in [session.as_str(), "Cookie: none=yet"] {
        let unbound = visitor(None).page("/protected/bound/env.cgi", cookies);
        assert_eq!((unbound.status, unbound.body.contains("alice")), (403, false), "{unbound:?}");
    }
    assert_eq!(visitor(Some(&keys().a)).page("/protected/bound/env.cgi", "Cookie: none=yet").status, 302);
}

#[test]
fn only_the_variable_of_that_name_in_time_binds_a_session() {
    let provider = provider();
    for (lines, stolen) in [
        ("", 302),
        // mod_auth_openidc knows one name.
        ("TokenBindingProvidedEnvVar My-ID", 200),
        // SetEnv acts when the session has been read or made.
        ("TokenBindingProvidedEnvVar My-ID\nSetEnv Sec-Provided-Token-Binding-ID late", 200),
        (
            "TokenBindingProvidedEnvVar My-ID\nRewriteEngine On\n\
             RewriteRule ^ - [E=Sec-Provided-Token-Binding-ID:%{ENV:My-ID}]",
            302,
        ),
    ] {
        let server = relying_party(&provider).load(&["rewrite"]).tls_config(lines).start();
        let visitor = |key| Visitor::new(&server, Some(key));
        let session = log_in(&provider, |path, cookies| visitor(&keys().a).page(path, cookies));
        assert_eq!(visitor(&keys().a).page("/protected/env.cgi", &session).status, 200, "{lines}");
        assert_eq!(visitor(&keys().b).page("/protected/env.cgi", &session).status, stolen, "{lines}");
    }
}

#[test]
fn the_session_information_needs_the_variable_until_it_is_written() {
    let provider = provider();
    for (lines, status) in [
        ("TokenBindingPassVar provided", 200),
        // mod_auth_openidc reads the session a second time, when the location's list has been applied.
        ("TokenBindingPassVar none", 401),
    ] {
        let server = relying_party(&provider)
            .tls_config(&format!("<Location /callback>\n{lines}\n</Location>"))
            .allow_log("oidc_handle_info_request: no user session found")
            .start();
        let owner = Visitor::new(&server, Some(&keys().a));
        let session = log_in(&provider, |path, cookies| owner.page(path, cookies));
        assert_eq!(owner.page("/protected/env.cgi", &session).status, 200, "{lines}");
        assert_eq!(owner.page("/callback?info=json", &session).status, status, "{lines}");
    }
}

#[test]
fn the_redirect_to_the_provider_asks_for_the_referred_binding_once() {
    let provider = provider();
    let server = relying_party(&provider).config("TokenBindingIncludeReferred On").start();
    let asks = |key| {
        let answer = Visitor::new(&server, key).get("/protected/env.cgi", &["Accept: text/html"]);
        assert_eq!(answer.status, 302, "{answer:?}");
        let is_it =
            |(name, _): &&(String, String)| name.eq_ignore_ascii_case("Include-Referred-Token-Binding-ID");
        answer.headers.iter().filter(is_it).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    // mod_auth_openidc sets it too.
    assert_eq!(asks(Some(&keys().a)), ["true"]);
    assert_eq!(asks(None), [""; 0]);
}
