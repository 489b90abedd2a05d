//! Tokens that are none: each is refused by the check that is made for it, in the words of the table, without a trace of
//! the token, and the server goes on.

use serde_json::json;
use token_binding::base64url;

use super::tokens::{self, claims, keys, now, token};
use super::{bearer, challenge, invalid_token, post, present, send, server};

#[test]
fn every_bad_token_is_refused_for_its_own_reason() {
    let server = server(&[("api", "OAuth2TokenVerify jwk {one}")]).start();
    for (name, octets, description) in tokens::hostile() {
        let mark = server.log_mark();
        let head = b"GET /api/env HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ";
        let answer = send(&server, [head, &octets[..], b"\r\n\r\n"].concat());
        assert_eq!(answer.status, 401, "{name}: {answer:?}");
        assert_eq!(challenge(&answer), Some(invalid_token(description).as_str()), "{name}");
        // The reason, once, and nothing of the token.
        let log = server.log_since(mark);
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("refused")).collect();
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        assert!(
            lines[0].contains("[token_binding:info]") && lines[0].contains("/api/env"),
            "{name}: {lines:?}"
        );
        let longest = octets.split(|octet| *octet == b'.').max_by_key(|part| part.len()).unwrap();
        if longest.len() > 8 {
            server.forbid_in_log(&String::from_utf8_lossy(longest));
        }
    }
    // Nothing of that was remembered, and the child is the same.
    assert_eq!(present(&server, None, "/api/env", &token(json!({}))).status, 200);
}

#[test]
fn dates_are_numbers_of_any_kind() {
    let server = server(&[("api", "OAuth2TokenVerify jwk {one}")]).start();
    let soon = now() + 60;
    let float = |number: u64| format!("{number}.5");
    for date in [soon.to_string(), float(soon), format!("{}e0", soon), "1e300".to_owned()] {
        let payload = format!("{{\"sub\":\"joe\",\"nbf\":{}.25,\"exp\":{date}}}", now() - 60);
        let one = &keys().one;
        let token = one.sign_octets(one.header().to_string().as_bytes(), payload.as_bytes());
        assert_eq!(present(&server, None, "/api/env", &token).status, 200, "{date}");
    }
    let missing = keys().one.token(&json!({"sub": "joe"}));
    let answer = present(&server, None, "/api/env", &missing);
    let expected = invalid_token("A required claim of the access token is missing");
    assert_eq!((answer.status, challenge(&answer)), (401, Some(expected.as_str())));
}

#[test]
fn size_is_bounded() {
    let server = server(&[
        ("api", "OAuth2TokenVerify jwk {one}"),
        ("form", "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn post"),
    ])
    .config("LimitRequestFieldSize 262144")
    .start();
    let sized = |octets: usize| token(json!({"filler": "x".repeat(octets)}));
    // RFC 8725 asks for limits and leaves them to us: 16 KiB.
    assert_eq!(present(&server, None, "/api/env", &sized(10_000)).status, 200);
    let malformed = invalid_token("The access token is malformed");
    for token in [sized(20_000), sized(75_000), "A".repeat(100_000)] {
        let answer = present(&server, None, "/api/env", &token);
        assert_eq!((answer.status, challenge(&answer)), (401, Some(malformed.as_str())));
        let answer = send(&server, post("/form/env", "", &format!("access_token={token}")));
        assert_eq!((answer.status, challenge(&answer)), (401, Some(malformed.as_str())));
    }
}

#[test]
fn what_a_token_says_about_itself_is_made_fit_for_the_log() {
    let server = server(&[("api", "OAuth2TokenVerify jwk {one}")]).start();
    let stranger = &keys().stranger;
    let mark = server.log_mark();
    let header = json!({"alg": "RS256", "kid": "k\r\n[token_binding:error] forged"});
    let issuer = json!({"iss": format!("https://evil.test/\u{1b}[31m\n{}", "x".repeat(5000))});
    assert_eq!(present(&server, None, "/api/env", &stranger.sign(&header, &claims(issuer))).status, 401);
    let line = server.wait_for_log(mark, "request to /api/env refused: *, kid k*, iss https://evil.test/*");
    assert!(line.len() < 600, "{line}");
    assert!(
        !line.contains('\u{1b}') && server.log_since(mark).lines().all(|line| line.starts_with("[")),
        "{line}"
    );
}

#[test]
fn what_comes_instead_of_a_token() {
    let server = server(&[("api", "OAuth2TokenVerify jwk {one}")]).start();
    let good = token(json!({}));
    let nothing = Some("Bearer realm=\"api\"");
    let malformed =
        "Bearer realm=\"api\", error=\"invalid_request\", error_description=\"The request is malformed\"";
    let basic = format!("Authorization: Basic {}", base64url::encode(b"joe:secret"));
    for (fields, status, expected) in [
        (vec![], 401, nothing),
        (vec![basic], 401, nothing),
        (vec!["Authorization: Digest username=\"joe\"".into()], 401, nothing),
        (vec![format!("Authorization: Bearers {good}")], 401, nothing),
        (vec![format!("Authorization: {good}")], 401, nothing),
        (vec!["Authorization:".into()], 401, nothing),
        (vec!["Authorization: Bearer".into()], 400, Some(malformed)),
        (vec!["Authorization: Bearer   ".into()], 400, Some(malformed)),
        (vec![format!("Authorization: Bearer {good} {good}")], 400, Some(malformed)),
        // httpd makes one field of two.
        (vec![bearer(&good), bearer(&good)], 400, Some(malformed)),
        (vec![bearer(&good), "authorization: Basic x".into()], 400, Some(malformed)),
        // RFC 9110 §11.1: schemes are case-insensitive, and blanks may be many.
        (vec![format!("authorization: bEARER    {good}")], 200, None),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let mark = server.log_mark();
        let answer = super::get(&server, None, "/api/env", &fields);
        assert_eq!((answer.status, challenge(&answer)), (status, expected), "{fields:?}");
        let log = server.log_since(mark);
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("[token_binding:info]")).collect();
        assert_eq!(lines.len(), usize::from(status != 200), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("request to /api/env refused: ")), "{lines:?}");
    }
}
