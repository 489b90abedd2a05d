//! The authorization server says what is not so, or far too much.

use serde_json::json;

use crate::common::authorization_server::{AuthorizationServer, Endpoint, Grant};
use crate::common::exchange::Answer;
use crate::common::{Backend, Bound, Httpd, bound, connector, pki};
use crate::oauth2_server::{authorization_server, bearer, opaque, present_plainly, resource_server, status};

/// No keys and no verdicts from here: 503, or 401 where it says clearly that the token is none.
fn refused(answer: &Answer, what: &str) {
    assert!([401, 503].contains(&answer.status), "{what}: {answer:?}");
}

fn server(issuer: &AuthorizationServer) -> Httpd {
    let checked = "{introspect}&verify.cache=none&iss={as}";
    resource_server(
        issuer,
        &[("opaque", "{introspect}&verify.cache=none"), ("checked", checked), ("jwks", "{jwks}")],
    )
    .allow_log("cannot be judged")
    .allow_log("authorization server https://")
    .start()
}

#[test]
fn introspection_lies() {
    let issuer = authorization_server();
    let server = server(&issuer);
    let good = issuer.token(&opaque());
    let active = |more: &str| format!("{{\"active\":true,\"client_id\":\"bearer\"{more}}}");
    let bodies = [
        "",
        "true",
        "[]",
        "null",
        "{}",
        "<html><body>active: true</body></html>",
        "{\"active\":\"true\"}",
        "{\"active\":1}",
        "{\"active\":true",
        "{\"active\":true}{\"active\":true}",
        "{\"active\":false,\"active\":true}",
        "\u{feff}{\"active\":true",
    ];
    for (number, body) in bodies.iter().enumerate() {
        issuer.answer(Endpoint::Introspection, 200, body);
        refused(&present_plainly(&server, "/opaque/env", &format!("lie-{number}")), body);
    }
    for (number, more) in [
        ",\"exp\":1",
        ",\"nbf\":4000000000",
        ",\"exp\":\"later\"",
        ",\"cnf\":{}",
        ",\"cnf\":null",
        // the answer to another client's token
        ",\"cnf\":{\"x5t#S256\":\"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2\"}",
    ]
    .iter()
    .enumerate()
    {
        issuer.answer(Endpoint::Introspection, 200, &active(more));
        refused(&present_plainly(&server, "/opaque/env", &format!("odd-{number}")), more);
    }
    for (number, more) in ["", ",\"iss\":\"https://evil.test\"", ",\"iss\":1"].iter().enumerate() {
        issuer.answer(Endpoint::Introspection, 200, &active(more));
        refused(&present_plainly(&server, "/checked/env", &format!("issuer-{number}")), more);
    }
    // Statuses other than 200 with the same words, and redirects to where they would be found.
    for code in [201, 204, 302, 307, 400, 401, 404, 500] {
        let headers = json!({"Location": issuer.introspection_uri()});
        issuer
            .fault(Endpoint::Introspection, json!({"status": code, "body": active(""), "headers": headers}));
        refused(&present_plainly(&server, "/opaque/env", &format!("status-{code}")), &code.to_string());
    }
    // It is not asked for compressed answers: octets are what they are.
    issuer.fault(
        Endpoint::Introspection,
        json!({"status": 200, "body": "\u{1f}\u{8b}\u{8}", "headers": {"Content-Encoding": "gzip"}}),
    );
    refused(&present_plainly(&server, "/opaque/env", "compressed"), "compressed");
    issuer.recover();
    assert_eq!(status(&server, "/opaque/env", &good), 200);
}

/// The authorization server answers with another token's truth: who presents it still has to prove its binding.
#[test]
fn the_answer_to_another_token_is_of_no_use_without_its_certificate() {
    let issuer = authorization_server();
    let server = server(&issuer);
    let grant = Grant { certificate: Some(&pki().client_a), ..opaque() };
    let token = issuer.token(&Grant { client: "bound", ..grant });
    let body = issuer.introspect(&token).to_string();
    issuer.answer(Endpoint::Introspection, 200, &body);
    let present = |identity| {
        let connector = connector().offer(tokbind::tls::Offer::None).identity(bound::identity(identity));
        let mut client = Bound::connect(&connector.build().unwrap(), server.tls(), "localhost");
        client.unbound("/opaque/env", &["Authorization: Bearer anything"]).status
    };
    assert_eq!(present(&pki().client_b), 401);
    assert_eq!(status(&server, "/opaque/env", "anything-else"), 401);
    assert_eq!(present(&pki().client_a), 200);
}

#[test]
fn key_sets_lie() {
    let issuer = authorization_server();
    let token = issuer.token(&bearer());
    let keys = String::from_utf8(issuer.get("/jwks").body).unwrap();
    for body in [
        "",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "<html></html>",
        &keys[..keys.len() / 2],
        &keys.replace("\"x\":\"", "\"x\":\"AAAA"),
        &keys.replace("\"kty\":\"EC\"", "\"kty\":\"oct\",\"k\":\"AAAA\""),
    ] {
        issuer.answer(Endpoint::Jwks, 200, body);
        let server = server(&issuer);
        refused(&present_plainly(&server, "/jwks/env", &token), body);
        issuer.recover();
    }
    assert_eq!(status(&server(&issuer), "/jwks/env", &token), 200);
}

/// Resident memory of the server's children, in KiB.
fn memory(server: &Httpd) -> u64 {
    super::children(server)
        .iter()
        .filter_map(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?
                .split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
        })
        .max()
        .expect("a child")
}

#[test]
fn a_hundred_megabytes_are_not_read() {
    let flood = Backend::answering(|_| {
        ("200 OK", "application/json", format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(100 << 20)))
    });
    let server = Httpd::builder()
        .load(&["authz_user"])
        .value("flood", flood.port())
        .config(
            "<Location />\nAuthType oauth2\nAuthName api\nRequire valid-user\n\
             OAuth2TokenVerify introspect https://localhost:{flood}/ \
             introspect.ca_file={pki}/ca.pem&introspect.auth=none\n</Location>",
        )
        .allow_log("cannot be judged")
        .allow_log("authorization server https://")
        .start();
    refused(&present_plainly(&server, "/hello.txt", "first"), "the first");
    let before = memory(&server);
    for number in 0..3 {
        refused(&present_plainly(&server, "/hello.txt", &format!("token-{number}")), "the others");
    }
    let after = memory(&server);
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
}
