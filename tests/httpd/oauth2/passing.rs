//! What the application and the backend get of a token.

use std::time::Duration;

use serde_json::{Value, json};
use token_binding::base64url;

use super::tokens::{claims, keys, token};
use super::{bearer, get, place, present, server};
use crate::common::exchange::Answer;
use crate::common::process::poll;
use crate::common::{Backend, Builder};

/// Places before a backend that says what it got, and before an application.
fn before(backend: &Backend, places: &[(&str, &str)]) -> Builder {
    let proxied: String = places
        .iter()
        .map(|(name, lines)| {
            place(&format!("{name}/backend"), &format!("{lines}\nProxyPass {{backend}}/{name}"))
        })
        .collect();
    server(places)
        .load(&["proxy", "proxy_http"])
        .value("backend", format!("http://127.0.0.1:{}", backend.port()))
        .config(&proxied)
}

/// The values of the header fields that are this one to CGI.
fn values<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let same = |field: &str| {
        field.len() == name.len()
            && field.bytes().zip(name.bytes()).all(|(a, b)| {
                a.eq_ignore_ascii_case(&b) || !a.is_ascii_alphanumeric() && !b.is_ascii_alphanumeric()
            })
    };
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(field, _)| same(field)).map(|(_, value)| value.trim()).collect()
}

const VERIFY: &str = "OAuth2TokenVerify jwk {one}";

#[test]
fn claims_become_variables_and_headers() {
    let backend = Backend::http();
    let server = before(&backend, &[("api", VERIFY)]).start();
    let rich = json!({
        "text": "a \"quoted\" text: with=all, sorts; of & things", "n": 5, "negative": -7, "real": 1.5, "yes": true, "no": false,
        "nothing": null, "list": ["a", 1, null], "object": {"k": [1, {"x": "y"}]}, "empty": "", "umlaut": "J\u{f6}rg \u{20ac}",
        "https://as.test/role": "x",
    });
    let token = token(rich);
    for _ in 0..2 {
        let answer = present(&server, None, "/api/env", &token);
        assert_eq!(answer.variable("REMOTE_USER"), Some("joe"), "{answer:?}");
        assert_eq!(answer.variable("AUTH_TYPE"), Some("oauth2"));
        let head = present(&server, None, "/api/backend/x", &token).body;
        for (name, expected) in [
            ("sub", "joe"),
            ("iss", "https://as.test"),
            ("text", "a \"quoted\" text: with=all, sorts; of & things"),
            ("n", "5"),
            ("negative", "-7"),
            ("real", "1.5"),
            ("yes", "true"),
            ("no", "false"),
            ("nothing", "null"),
            ("list", "[\"a\",1,null]"),
            ("object", "{\"k\":[1,{\"x\":\"y\"}]}"),
            ("umlaut", "J\u{f6}rg \u{20ac}"),
            ("https---as.test-role", "x"),
            ("access_token", token.as_str()),
        ] {
            assert_eq!(values(&head, &format!("OAUTH2_CLAIM_{name}")), [expected], "{head}");
            // mod_cgi writes names as the shell can read them.
            let variable = format!("OAUTH2_CLAIM_{name}").replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            assert_eq!(answer.variable(&variable), Some(expected), "{name} {}", answer.body);
        }
        assert_eq!(values(&head, "OAUTH2_CLAIM_empty"), [""]);
        assert_eq!(
            values(&head, "Authorization"),
            [format!("Bearer {token}")],
            "the token goes on to the backend"
        );
    }
}

#[test]
fn targets_say_what_is_passed_and_how() {
    let backend = Backend::http();
    let quiet = format!("{VERIFY}\nOAuth2TargetPass envvars=off&headers=off");
    let rows: Vec<(&str, String)> = vec![
        ("quiet", quiet),
        ("variables", format!("{VERIFY}\nOAuth2TargetPass headers=off")),
        ("headers", format!("{VERIFY}\nOAuth2TargetPass envvars=off")),
        ("prefix", format!("{VERIFY}\nOAuth2TargetPass prefix=X-Claim-")),
        (
            "user",
            format!(
                "{VERIFY}\nOAuth2TargetPass headers=off&authn_header=X-Remote-User&remote_user_claim=email"
            ),
        ),
        ("payload", format!("{VERIFY}\nOAuth2TargetPass json_payload_claim=all")),
        ("latin1", format!("{VERIFY}\nOAuth2TargetPass encoding=latin1")),
        ("base64", format!("{VERIFY}\nOAuth2TargetPass encoding=base64url")),
        // Several lines say together what one would.
        (
            "lines",
            format!(
                "{VERIFY}\nOAuth2TargetPass headers=off\nOAuth2TargetPass prefix=P_\nOAuth2TargetPass headers=on"
            ),
        ),
    ];
    let places: Vec<(&str, &str)> = rows.iter().map(|(name, lines)| (*name, lines.as_str())).collect();
    let server = before(&backend, &places).start();
    let name = "J\u{f6}rg \u{20ac}";
    let token = token(json!({"name": name, "email": "joe@as.test"}));
    let seen = |place: &str, claim: &str| -> (Option<String>, Vec<String>) {
        let env: Answer = present(&server, None, &format!("/{place}/env"), &token);
        assert_eq!(env.status, 200, "{env:?}");
        let head = present(&server, None, &format!("/{place}/backend/x"), &token).body;
        let variable = env.variable(&claim.replace('-', "_")).map(str::to_owned);
        (variable, values(&head, claim).into_iter().map(str::to_owned).collect())
    };
    let (both, encoded) =
        (|value: &str| (Some(value.to_owned()), vec![value.to_owned()]), base64url::encode(name.as_bytes()));
    let nothing = (None, Vec::new());
    assert_eq!(seen("quiet", "OAUTH2_CLAIM_name"), nothing);
    assert_eq!(seen("quiet", "OAUTH2_CLAIM_access_token"), nothing);
    assert_eq!(seen("variables", "OAUTH2_CLAIM_name"), (Some(name.to_owned()), Vec::new()));
    // A header is a variable to CGI, under a name of its own.
    assert_eq!(seen("headers", "OAUTH2_CLAIM_name"), (None, vec![name.to_owned()]));
    assert_eq!(seen("prefix", "X-Claim-name"), both(name));
    assert_eq!(seen("prefix", "OAUTH2_CLAIM_name"), nothing);
    assert_eq!(seen("user", "REMOTE_USER").0.as_deref(), Some("joe@as.test"));
    assert_eq!(seen("user", "X-Remote-User").1, ["joe@as.test"]);
    assert_eq!(seen("user", "OAUTH2_CLAIM_name"), (Some(name.to_owned()), Vec::new()));
    let (variable, header) = seen("payload", "OAUTH2_CLAIM_all");
    let payload: Value = serde_json::from_str(&header[0]).unwrap();
    assert_eq!((variable.as_ref(), payload["name"].as_str()), (Some(&header[0]), Some(name)));
    assert_eq!(seen("base64", "OAUTH2_CLAIM_name"), both(&encoded));
    // Octet 0xF6 is no UTF-8, which is how it shows that it is one octet; the euro sign is not in ISO 8859-1.
    assert_eq!(seen("latin1", "OAUTH2_CLAIM_name"), both("J\u{fffd}rg ?"));
    assert_eq!(seen("lines", "P_name"), both(name));
}

#[test]
fn no_claim_becomes_a_second_header() {
    let backend = Backend::http();
    let places: Vec<(String, String)> = ["none", "latin1", "base64url"]
        .iter()
        .map(|encoding| {
            let pass = format!(
                "encoding={encoding}&json_payload_claim=all&authn_header=X-Remote-User&remote_user_claim=name"
            );
            ((*encoding).to_owned(), format!("{VERIFY}\nOAuth2TargetPass {pass}"))
        })
        .collect();
    let places: Vec<(&str, &str)> =
        places.iter().map(|(name, lines)| (name.as_str(), lines.as_str())).collect();
    let server = before(&backend, &places).start();
    let evil = "x\r\nX-Injected: yes\n\tX-Folded: yes\r\n\r\nGET /second HTTP/1.1\u{0}\u{7f}\u{85}\u{2028}X";
    let hostile = [
        json!({"name": "joe", "a": evil, "b": [evil], "o": {evil: evil}, evil: evil, "z\r\nX-Injected": "yes"}),
        json!({"name": "joe", "a": "\nX-Injected: yes"}),
        json!({"name": "joe", "OAUTH2_CLAIM_sub": "admin", "SUB": "admin", "s\u{fc}b": "admin"}),
    ];
    for (place, _) in &places {
        for claims in &hostile {
            let token = token(claims.clone());
            let (before, answer) =
                (backend.heads().len(), present(&server, None, &format!("/{place}/backend/x"), &token));
            assert_eq!((answer.status, backend.heads().len()), (200, before + 1), "{place}: one request");
            let head = answer.body;
            for line in head.lines().skip(1) {
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line:?} in {head}"));
                let known = ["host", "authorization", "x-remote-user", "x-forwarded", "connection", "via"];
                let name = name.to_ascii_lowercase();
                assert!(
                    name.starts_with("oauth2_claim_") || known.iter().any(|known| name.starts_with(known)),
                    "{line:?} in {head}"
                );
                assert!(!value.bytes().any(|octet| octet < 0x20 || octet == 0x7f), "{line:?}");
            }
            assert_eq!(values(&head, "X-Remote-User"), [if *place == "base64url" { "am9l" } else { "joe" }]);
            let sub = if *place == "base64url" { "am9l" } else { "joe" };
            assert_eq!(values(&head, "OAUTH2_CLAIM_sub"), [sub], "{head}");
        }
    }
    // As a user's name it is no user.
    assert_eq!(present(&server, None, "/none/env", &token(json!({"name": evil}))).status, 401);
}

#[test]
fn a_section_changes_what_it_names() {
    let backend = Backend::http();
    let inner = |path: &str, lines: &str| format!("<Location {path}>\n{lines}\n</Location>\n");
    let server =
        before(&backend, &[("out", &format!("{VERIFY}\nOAuth2TargetPass prefix=P_&authn_header=X-User"))])
            .value("ec", keys().ec.quoted())
            .config(&inner("/out/one", "OAuth2TargetPass prefix=Q_"))
            .config(&inner("/out/one/two", "OAuth2TargetPass remote_user_claim=email"))
            .config(&inner("/out/ec", "OAuth2TokenVerify jwk {ec}"))
            .config(&inner("/out/query", "OAuth2AcceptTokenIn query"))
            .config("AliasMatch \"^/out/.*/env$\" \"{docroot}/cgi/env.cgi\"")
            .start();
    let (one, ec) = (token(json!({"email": "joe@as.test"})), keys().ec.token(&claims(json!({}))));
    let env = |path: &str| present(&server, None, path, &one);
    let out = env("/out/env");
    assert_eq!(
        (out.variable("P_sub"), out.variable("Q_sub"), out.variable("HTTP_X_USER")),
        (Some("joe"), None, Some("joe"))
    );
    let inside = env("/out/one/env");
    assert_eq!(
        (inside.variable("P_sub"), inside.variable("Q_sub"), inside.variable("HTTP_X_USER")),
        (None, Some("joe"), Some("joe"))
    );
    let deep = env("/out/one/two/env");
    assert_eq!((deep.variable("Q_sub"), deep.variable("HTTP_X_USER")), (Some("joe"), Some("joe@as.test")));
    assert_eq!(deep.variable("REMOTE_USER"), Some("joe@as.test"));
    // Verifiers and sources are replaced, not added to.
    assert_eq!((env("/out/ec/env").status, present(&server, None, "/out/ec/env", &ec).status), (401, 200));
    assert_eq!(present(&server, None, "/out/env", &ec).status, 401);
    assert_eq!(env("/out/query/env").status, 401);
    let by_query = get(&server, None, &format!("/out/query/env?access_token={one}"), &[]);
    assert_eq!((by_query.status, by_query.variable("P_sub")), (200, Some("joe")));
    assert_eq!(get(&server, None, &format!("/out/env?access_token={one}"), &[]).status, 401);
}

#[test]
fn other_modules_see_the_claims() {
    let backend = Backend::http();
    let server = before(&backend, &[("api", VERIFY)])
        .load(&["headers", "rewrite"])
        .config("<Location /api>\nRequestHeader set X-Role \"%{OAUTH2_CLAIM_role}e\"\nHeader always set X-Sub \"%{OAUTH2_CLAIM_sub}e\"\n</Location>")
        .config("LogFormat \"%u %{OAUTH2_CLAIM_role}e\" claims\nCustomLog {root}/claims.log claims")
        .start();
    let answer = get(&server, None, "/api/backend/x", &[&bearer(&token(json!({"role": "editor"})))]);
    assert_eq!((values(&answer.body, "X-Role"), answer.header("X-Sub")), (vec!["editor"], Some("joe")));
    // It is written after the response has gone out.
    let logged =
        poll(Duration::from_secs(10), || server.file("claims.log").contains("joe editor").then_some(()));
    assert!(logged.is_some(), "{}", server.file("claims.log"));
}
