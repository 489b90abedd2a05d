//! One request to a client may be several to httpd: subrequests and internal redirects keep the identity where they may and
//! are judged by the place they lead to.

use serde_json::json;

use super::tokens::{bound_to, claims, keys, token};
use super::{bearer, get, place, post, present, send, server};
use crate::common::exchange::Answer;
use crate::common::{Backend, Builder, pki};

const ENVIRONMENT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n";
const VERIFY: &str = "OAuth2TokenVerify jwk {one}";

/// A script that redirects within the server (RFC 3875 §6.2.2).
fn redirect(to: &str) -> String {
    format!("#!/bin/sh\nprintf 'Location: {to}\\r\\n\\r\\n'\n")
}

/// `/in` and `/other` trust the key `one`, `/in/deep` merges, `/ec` trusts another key, `/open` asks nobody.
fn site() -> Builder {
    let accept = "OAuth2AcceptTokenIn header strip=on\nOAuth2AcceptTokenIn query strip=on";
    server(&[
        ("in", &format!("{VERIFY}\n{accept}")),
        ("other", &format!("{VERIFY}\n{accept}")),
        ("ec", &format!("OAuth2TokenVerify jwk {{ec}}\n{accept}")),
    ])
    .load(&["include", "rewrite", "actions"])
    .value("ec", keys().ec.quoted())
    .config("<Location /in/deep>\nOAuth2TargetPass prefix=DEEP_\n</Location>")
    .config("<Location /in>\nErrorDocument 404 /in/env.cgi\nDirectoryIndex env.cgi\n</Location>")
    .config("<Directory \"{docroot}/in\">\nRewriteEngine On\nRewriteRule ^rewritten$ env.cgi\nRewriteRule ^to-ec$ /ec/env.cgi [PT]\n</Directory>")
    .file("in/env.cgi", ENVIRONMENT)
    .file("in/deep/env.cgi", ENVIRONMENT)
    .file("other/env.cgi", ENVIRONMENT)
    .file("ec/env.cgi", ENVIRONMENT)
    .file("in/redirect.cgi", &redirect("/in/env.cgi"))
    .file("in/deeper.cgi", &redirect("/in/deep/env.cgi"))
    .file("in/other.cgi", &redirect("/other/env.cgi"))
    .file("in/ec.cgi", &redirect("/ec/env.cgi"))
    .file("open/redirect.cgi", &redirect("/in/env.cgi"))
    .file("in/page.shtml", "<!--#include virtual=\"/in/env.cgi\" -->")
    .file("in/other.shtml", "<!--#include virtual=\"/other/env.cgi\" -->")
    .file("in/ec.shtml", "before<!--#include virtual=\"/ec/env.cgi\" -->")
    .file("open/page.shtml", "<!--#include virtual=\"/in/env.cgi\" -->")
}

/// The token in `Authorization`, and in the query.
fn both_ways(server: &crate::common::Httpd, path: &str, token: &str) -> [Answer; 2] {
    let own = Some(&pki().client_a);
    [present(server, own, path, token), get(server, own, &format!("{path}?access_token={token}"), &[])]
}

#[test]
fn identity_and_claims_go_where_the_request_goes() {
    let server = site().start();
    for token in
        [token(json!({"role": "r"})), token(json!({"role": "r", "cnf": bound_to(&pki().client_a)["cnf"]}))]
    {
        for (path, prefix) in [
            ("/in/env.cgi", "OAUTH2_CLAIM_"),
            ("/in/redirect.cgi", "OAUTH2_CLAIM_"),
            ("/in/deeper.cgi", "DEEP_"),
            ("/in/other.cgi", "OAUTH2_CLAIM_"),
            ("/in/missing", "OAUTH2_CLAIM_"),
            ("/in/", "OAUTH2_CLAIM_"),
            ("/in/rewritten", "OAUTH2_CLAIM_"),
            ("/in/page.shtml", "OAUTH2_CLAIM_"),
            ("/in/other.shtml", "OAUTH2_CLAIM_"),
        ] {
            for answer in both_ways(&server, path, &token) {
                let status = if path == "/in/missing" { 404 } else { 200 };
                assert_eq!(answer.status, status, "{path} {answer:?}");
                for (name, expected) in
                    [("REMOTE_USER", "joe"), ("AUTH_TYPE", "oauth2"), (&format!("{prefix}role"), "r")]
                {
                    assert_eq!(answer.variable(name), Some(expected), "{path} {answer:?}");
                }
            }
        }
    }
}

#[test]
fn a_query_of_its_own_is_not_lost() {
    let server = site()
        .file("in/query.cgi", &redirect("/other/env.cgi?own=1"))
        .file("in/query.shtml", "<!--#include virtual=\"/other/env.cgi?own=1\" -->")
        .start();
    let token = token(json!({}));
    for path in ["/in/query.cgi", "/in/query.shtml"] {
        for query in [format!("?access_token={token}"), format!("?a=1&access_token={token}&b=2")] {
            let answer = get(&server, None, &format!("{path}{query}"), &[]);
            assert_eq!(
                (answer.status, answer.variable("REMOTE_USER")),
                (200, Some("joe")),
                "{path} {answer:?}"
            );
            assert_eq!(answer.variable("QUERY_STRING"), Some("own=1"), "{path}{query}");
            assert!(
                !answer.body.contains(&format!("={token}&")) && !answer.body.contains("?access_token="),
                "{answer:?}"
            );
        }
    }
}

#[test]
fn a_place_asks_for_a_token_of_its_own_wherever_the_request_comes_from() {
    let server = site().allow_log("unable to include").start();
    let (one, ec) = (token(json!({})), keys().ec.token(&claims(json!({}))));
    for path in ["/open/redirect.cgi", "/open/page.shtml"] {
        let answer = present(&server, None, path, &one);
        assert_eq!((answer.status, answer.variable("REMOTE_USER")), (200, Some("joe")), "{path} {answer:?}");
        for token in [&ec, "garbage"] {
            let answer = present(&server, None, path, token);
            assert!(!answer.body.contains("REMOTE_USER"), "{path} {answer:?}");
        }
        assert!(!get(&server, None, path, &[]).body.contains("GATEWAY_INTERFACE"), "{path}");
    }
    // Good at /in, and not at /ec.
    for path in ["/in/ec.cgi", "/in/to-ec", "/in/ec.shtml"] {
        for answer in both_ways(&server, path, &one) {
            assert!(!answer.body.contains("GATEWAY_INTERFACE"), "{path} {answer:?}");
            assert!(path.ends_with("shtml") || answer.status == 401, "{path} {answer:?}");
        }
    }
    // What a bound token needs is asked for there, too.
    let bound = token(bound_to(&pki().client_b));
    for path in ["/open/redirect.cgi", "/open/page.shtml"] {
        assert!(
            !present(&server, Some(&pki().client_a), path, &bound).body.contains("REMOTE_USER"),
            "{path}"
        );
        assert!(
            present(&server, Some(&pki().client_b), path, &bound).body.contains("REMOTE_USER=joe"),
            "{path}"
        );
    }
}

#[test]
fn a_backend_behind_a_redirect_gets_each_claim_once() {
    let backend = Backend::http();
    let server = site()
        .load(&["proxy", "proxy_http"])
        .value("backend", backend.port())
        .config(&place(
            "backend",
            &format!("{VERIFY}\nOAuth2TargetPass authn_header=X-Remote-User\nProxyPass http://127.0.0.1:{{backend}}"),
        ))
        .config("ProxyPass /in/backend http://127.0.0.1:{backend}")
        .file("open/backend.cgi", &redirect("/backend/x"))
        .file("in/backend.cgi", &redirect("/in/backend/x"))
        .start();
    let spoof = ["OAUTH2-CLAIM-role: SPOOF", "X_Remote_User: SPOOF", "OAUTH2_CLAIM_sub: SPOOF"];
    for (path, user) in [("/open/backend.cgi", 1), ("/in/backend.cgi", 0), ("/backend/x", 1)] {
        let authorization = bearer(&token(json!({"role": "r"})));
        let fields: Vec<&str> = spoof.iter().copied().chain([authorization.as_str()]).collect();
        let head = get(&server, None, path, &fields).body.to_ascii_lowercase();
        assert!(head.starts_with("get /x ") && !head.contains("spoof"), "{path} {head}");
        for (line, times) in
            [("oauth2_claim_sub: joe", 1), ("oauth2_claim_role: r", 1), ("x-remote-user: joe", user)]
        {
            assert_eq!(head.lines().filter(|found| *found == line).count(), times, "{path} {line} {head}");
        }
    }
}

#[test]
fn a_form_survives_the_way_to_the_index_of_a_folder() {
    let server = server(&[("form", &format!("{VERIFY}\nOAuth2AcceptTokenIn post strip=on"))])
        .config("<Location /form>\nDirectoryIndex input.cgi\n</Location>")
        .file(
            "form/input.cgi",
            "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\necho \"$REMOTE_USER\"\nexec cat\n",
        )
        .start();
    let form = format!("a=1&access_token={}&b=2", token(json!({})));
    for path in ["/form/input.cgi", "/form/"] {
        let answer = send(&server, post(path, "", &form));
        assert_eq!((answer.status, answer.body.as_str()), (200, "joe\na=1&b=2"), "{path}");
    }
}
