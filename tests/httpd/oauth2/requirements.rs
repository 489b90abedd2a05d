//! What a good token may do: `Require` met and not met, alone and together with httpd's own requirements.

use serde_json::{Value, json};

use super::tokens::{bound_to, token};
use super::{bearer, challenge, get, present, server};
use crate::common::bound::tbh;
use crate::common::exchange::Answer;
use crate::common::{Bound, Httpd, keys, pki};

const VERIFY: &str = "OAuth2TokenVerify jwk {one}";

/// Places named `p0`, `p1`, ... with these requirements in place of `valid-user`.
fn places(requirements: &[&str]) -> Httpd {
    let sections: String = requirements
        .iter()
        .enumerate()
        .map(|(number, require)| {
            format!(
                "<Location /p{number}>\nAuthType oauth2\nAuthName api\n{VERIFY}\n{require}\n</Location>\n"
            )
        })
        .collect();
    server(&[]).config(&sections).load(&["headers", "authz_host"]).allow_log("AH01631: user joe").start()
}

fn insufficient(scope: &str) -> String {
    let scope = if scope.is_empty() { String::new() } else { format!(", scope=\"{scope}\"") };
    format!(
        "Bearer realm=\"api\", error=\"insufficient_scope\", \
         error_description=\"Different scope(s) or other claims required.\"{scope}"
    )
}

#[test]
fn claims_are_compared_as_they_are() {
    let claims = json!({
        "scope": "read write", "role": "ad min", "list": ["a", "b", 7], "n": 5, "r": 1.5, "t": true, "o": {"p": {"q": "x"}},
        "https://as.test/roles": ["editor"], "a.b": "dotted", "empty": "", "nothing": null, "big": 9_007_199_254_740_993_u64,
    });
    let rows = [
        ("scope:read", true),
        ("scope:write", true),
        ("\"scope:read write\"", true),
        ("scope:rea", false),
        ("scope:READ", false),
        ("scope:admin", false),
        // mod_oauth2 takes both for the same.
        ("role:admin", false),
        ("\"role:ad min\"", true),
        ("role:ad", false),
        ("list:b", true),
        ("list:7", true),
        ("list:c", false),
        ("n:5", true),
        ("n:05", false),
        ("n:5x", false),
        ("r:1.5", true),
        ("t:true", true),
        ("t:1", false),
        ("o.p.q:x", true),
        ("o.p:x", false),
        ("https://as.test/roles:editor", true),
        ("a.b:dotted", true),
        ("empty:", true),
        ("nothing:null", false),
        ("nothing:", false),
        ("missing:x", false),
        ("big:9007199254740993", true),
        ("big:9007199254740992", false),
        ("role~^ad", true),
        ("role~^min", false),
        ("list~^b$", true),
        // one of several
        ("scope:admin scope:read", true),
        ("scope:admin role:x", false),
    ];
    let lines: Vec<String> = rows.iter().map(|(spec, _)| format!("Require oauth2_claim {spec}")).collect();
    let server = places(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let token = token(claims);
    for (number, (spec, met)) in rows.iter().enumerate() {
        let answer = present(&server, None, &format!("/p{number}/env"), &token);
        assert_eq!(answer.status, if *met { 200 } else { 403 }, "{spec} {answer:?}");
    }
}

#[test]
fn what_is_not_met_is_403_and_says_which_scope_would_do() {
    let rows = [
        ("Require oauth2_claim scope:admin", "admin"),
        ("Require oauth2_claim scope:admin scope:root", "admin root"),
        ("Require oauth2_claim role:admin", ""),
        ("Require user jane", ""),
        ("Require sender-constrained", ""),
        ("<RequireAll>\nRequire valid-user\nRequire oauth2_claim scope:admin\n</RequireAll>", "admin"),
        ("<RequireAny>\nRequire user jane\nRequire oauth2_claim scope:admin\n</RequireAny>", "admin"),
        ("<RequireAll>\nRequire valid-user\nRequire not oauth2_claim role:guest\n</RequireAll>", ""),
        ("AuthzSendForbiddenOnFailure On\nRequire oauth2_claim scope:admin", "admin"),
        ("<RequireAny>\nRequire user jane\nRequire all denied\n</RequireAny>", ""),
    ];
    let server = places(&rows.map(|(lines, _)| lines));
    let token = token(json!({"scope": "read", "role": "guest"}));
    for (number, (lines, scope)) in rows.iter().enumerate() {
        let answer = present(&server, None, &format!("/p{number}/env"), &token);
        assert_eq!((answer.status, challenge(&answer)), (403, Some(insufficient(scope).as_str())), "{lines}");
        // Whoever has no token at all is asked for one, whatever is required.
        let answer = get(&server, None, &format!("/p{number}/env"), &[]);
        assert_eq!((answer.status, challenge(&answer)), (401, Some("Bearer realm=\"api\"")), "{lines}");
    }
}

#[test]
fn what_is_met_is_200() {
    let rows = [
        "Require valid-user",
        "Require user jane joe",
        "<RequireAll>\nRequire user joe\nRequire oauth2_claim scope:read\nRequire local\n</RequireAll>",
        "<RequireAny>\nRequire all denied\nRequire oauth2_claim scope:read\n</RequireAny>",
        "<RequireAll>\nRequire valid-user\nRequire not oauth2_claim role:guest\n</RequireAll>",
        "<RequireAll>\nRequire valid-user\n<RequireNone>\nRequire oauth2_claim role:guest\n</RequireNone>\n</RequireAll>",
    ];
    let server = places(&rows);
    let token = token(json!({"scope": "read"}));
    for (number, lines) in rows.iter().enumerate() {
        assert_eq!(present(&server, None, &format!("/p{number}/env"), &token).status, 200, "{lines}");
    }
}

#[test]
fn a_place_that_requires_nothing_of_the_token_does_not_ask_for_it() {
    let server =
        places(&["Require all granted", "<RequireAny>\nRequire local\nRequire valid-user\n</RequireAny>"]);
    for path in ["/p0/env", "/p1/env"] {
        let answer = get(&server, None, path, &[]);
        assert_eq!((answer.status, answer.variable("REMOTE_USER")), (200, None));
        // As with httpd's own authentication, a token is not even looked at.
        let answer = present(&server, None, path, "garbage");
        assert_eq!((answer.status, answer.variable("REMOTE_USER")), (200, None), "{answer:?}");
    }
}

#[test]
fn the_binding_that_held_can_be_required() {
    let rows = [
        ("Require sender-constrained", [403, 200, 401, 200]),
        ("Require sender-constrained mtls", [403, 200, 401, 403]),
        ("Require sender-constrained MTLS token-binding", [403, 200, 401, 200]),
        ("Require sender-constrained token-binding", [403, 403, 401, 200]),
        (
            "<RequireAll>\nRequire valid-user\nRequire not sender-constrained\n</RequireAll>",
            [200, 403, 401, 403],
        ),
    ];
    let server = places(&rows.map(|(lines, _)| lines));
    let pki = pki();
    for (number, (lines, expected)) in rows.iter().enumerate() {
        let path = format!("/p{number}/env");
        let status = |claims: Value, identity| present(&server, Some(identity), &path, &token(claims)).status;
        let tbh = bearer(&token(json!({"cnf": {"tbh": tbh(&keys().a)}})));
        // Unbound with a certificate, bound with its certificate, with another one, bound to a Token Binding.
        let statuses = [
            status(json!({}), &pki.client_a),
            status(bound_to(&pki.client_a), &pki.client_a),
            status(bound_to(&pki.client_a), &pki.client_b),
            Bound::open(&server).get(&path, &[&tbh]).status,
        ];
        assert_eq!(statuses, *expected, "{lines}");
    }
}

#[test]
fn applications_learn_why() {
    let recipe = "Header always append WWW-Authenticate %{OAUTH2_BEARER_SCOPE_ERROR}e \
                  \"expr=(%{REQUEST_STATUS} == 401) && (-n reqenv('OAUTH2_BEARER_SCOPE_ERROR'))\"";
    let server = places(&[
        "Header always set X-Why \"%{OAUTH2_BEARER_SCOPE_ERROR}e\"\nRequire oauth2_claim scope:admin",
        &format!("{recipe}\nRequire oauth2_claim scope:admin"),
        "ErrorDocument 403 /cgi/env.cgi\nRequire oauth2_claim scope:admin",
    ]);
    let (token, expected) = (token(json!({})), insufficient("admin"));
    let refused = |number: usize| -> Answer {
        let answer = present(&server, None, &format!("/p{number}/env"), &token);
        assert_eq!((answer.status, challenge(&answer)), (403, Some(expected.as_str())), "{answer:?}");
        answer
    };
    assert_eq!(refused(0).header("X-Why"), Some(expected.as_str()));
    // The recipe that administrators of mod_oauth2 have in their configuration adds no second challenge.
    refused(1);
    assert_eq!(refused(2).variable("REDIRECT_OAUTH2_BEARER_SCOPE_ERROR"), Some(expected.as_str()));
}
