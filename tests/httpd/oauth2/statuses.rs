//! The table of statuses and challenges, row by row, and one line in the log for each refusal.

use serde_json::{Value, json};

use super::tokens::{self, ISSUER, bound_to, claims, keys, now, token};
use super::{
    WRONG_BINDING, WRONG_CERTIFICATE, bearer, challenge, get, invalid_token, post, present, send, server,
};
use crate::common::bound::tbh;
use crate::common::pki;

#[test]
fn every_refusal_has_its_status_its_challenge_and_its_line() {
    let server = server(&[(
        "api",
        "OAuth2TokenVerify jwk {one} iss=https://as.test&aud=https://api.test&verify.iat.slack_before=600",
    )])
    .start();
    let aud = |more: Value| {
        let mut all = claims(json!({"aud": ["https://other.test", "https://api.test"]}));
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let one = &keys().one;
    let good = one.token(&aud(json!({})));
    assert_eq!(present(&server, None, "/api/env", &good).status, 200);
    let without = |name: &str| {
        let mut all = aud(json!({}));
        all.as_object_mut().unwrap().remove(name);
        one.token(&all)
    };
    let with = |more| one.token(&aud(more));
    let unknown_key = one.sign(&json!({"alg": "RS256", "kid": "two"}), &aud(json!({})));
    let rows = [
        (with(json!({"exp": now() - 1})), "The access token expired", "token has expired"),
        (with(json!({"exp": now()})), "The access token expired", "token has expired"),
        (with(json!({"nbf": now() + 60})), "The access token is not valid yet", "token is not valid yet"),
        (
            with(json!({"iat": now() - 700})),
            "The access token was issued outside of the accepted time",
            "token was issued outside of the accepted time",
        ),
        (unknown_key, "The access token is signed with an unknown key", "no key matches"),
        (
            with(json!({"iss": "https://evil.test"})),
            "The access token is of another issuer",
            "token is of another issuer, kid one, iss https://evil.test",
        ),
        (without("iss"), "A required claim of the access token is missing", "claim iss is missing, kid one"),
        (
            with(json!({"aud": "https://other.test"})),
            "The access token is for another audience",
            "another audience",
        ),
        (with(json!({"aud": []})), "The access token is for another audience", "another audience"),
        (
            with(json!({"aud": 5})),
            "A claim of the access token is malformed",
            "claim aud is of the wrong type",
        ),
        (without("aud"), "A required claim of the access token is missing", "claim aud is missing"),
        (without("exp"), "A required claim of the access token is missing", "claim exp is missing"),
        (without("sub"), "Could not determine remote user.", "token names no user"),
        (with(json!({"sub": 5})), "Could not determine remote user.", "token names no user"),
        (with(json!({"sub": ""})), "Could not determine remote user.", "token names no user"),
        (with(json!({"sub": "joe\nadmin"})), "Could not determine remote user.", "token names no user"),
        (
            with(bound_to(&pki().client_a)),
            WRONG_CERTIFICATE,
            "bound by x5t#S256, and the connection has no such proof",
        ),
        (
            with(json!({"cnf": {"tbh": tbh(&crate::common::keys().a)}})),
            WRONG_BINDING,
            "bound by tbh, and the connection has no such proof",
        ),
        (
            with(json!({"cnf": {"jkt": "x"}})),
            "The access token is bound in a way that is not supported",
            "cnf has no member",
        ),
        (
            with(json!({"cnf": "x"})),
            "The confirmation of the access token is malformed",
            "cnf is not an object",
        ),
    ];
    for (token, description, reason) in rows {
        server.forbid_in_log(&token);
        server.forbid_in_log(token.rsplit('.').next().unwrap());
        let mark = server.log_mark();
        let answer = present(&server, None, "/api/env", &token);
        assert_eq!((answer.status, challenge(&answer)), (401, Some(invalid_token(description).as_str())));
        let log = server.log_since(mark);
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("[token_binding:info]")).collect();
        assert_eq!(lines.len(), 1, "{log}");
        for part in ["request to /api/env refused: ", reason, ", kid "] {
            assert!(lines[0].contains(part), "{part}: {lines:?}");
        }
        assert!(reason.contains("iss") || lines[0].contains(&format!("iss {ISSUER}")), "{lines:?}");
    }
    assert_eq!(present(&server, None, "/api/env", &good).status, 200);
}

#[test]
fn one_token_and_no_more() {
    let server = server(&[(
        "api",
        "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn header\nOAuth2AcceptTokenIn query\n\
         OAuth2AcceptTokenIn post\nOAuth2AcceptTokenIn cookie",
    )])
    .start();
    let token = token(json!({}));
    let (header, cookie) = (bearer(&token) + "\r\n", format!("Cookie: a=b; access_token={token}\r\n"));
    let query = format!("/api/env?access_token={token}");
    let form = format!("access_token={token}");
    let several = "Bearer realm=\"api\", error=\"invalid_request\", \
                   error_description=\"Multiple methods used to include access token\"";
    for (path, fields, form, expected) in [
        ("/api/env", header.clone(), "", None),
        ("/api/env", cookie.clone(), "", None),
        (&query, String::new(), "", None),
        ("/api/env", String::new(), form.as_str(), None),
        (&query, header.clone(), "", Some(several)),
        (&query, cookie.clone(), "", Some(several)),
        (&query, String::new(), &form, Some(several)),
        ("/api/env", header.clone(), &form, Some(several)),
        ("/api/env", header + &cookie, "", Some(several)),
        ("/api/env", format!("Cookie: access_token={token}; access_token={token}\r\n"), "", Some(several)),
        (&format!("{query}&access%5Ftoken=x"), String::new(), "", Some(several)),
        ("/api/env", String::new(), &format!("{form}&{form}"), Some(several)),
    ] {
        let answer = send(&server, post(path, &fields, form));
        let status = if expected.is_some() { 400 } else { 200 };
        assert_eq!((answer.status, challenge(&answer)), (status, expected), "{path} {fields} {form}");
    }
}

#[test]
fn methods_and_bodies_of_every_kind_are_judged_alike() {
    let server = server(&[(
        "api",
        "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn header\nOAuth2AcceptTokenIn post",
    )])
    .load(&["dav"])
    .start();
    let good = bearer(&token(json!({})));
    for method in
        ["GET", "HEAD", "OPTIONS", "PATCH", "PUT", "DELETE", "PROPFIND", "MKACTIVITY", "BREW", "get"]
    {
        let request = |fields: &str| {
            format!("{method} /api/env HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{fields}\r\n")
        };
        let answer = send(&server, request(""));
        assert_eq!((answer.status, challenge(&answer)), (401, Some("Bearer realm=\"api\"")), "{method}");
        let answer = send(&server, request(&format!("{good}\r\n")));
        // What the handler makes of the method is its own affair.
        assert!(![400, 401, 403, 500].contains(&answer.status), "{method} {answer:?}");
    }
    let form = format!("access_token={}", token(json!({})));
    let length = form.len();
    for (field, status) in [
        ("Content-Type: application/x-www-form-urlencoded\r\n", 200),
        ("content-type: Application/X-WWW-Form-Urlencoded ; charset=utf-8\r\n", 200),
        // A child of mod_oauth2 dies of this one.
        ("", 401),
        ("Content-Type:\r\n", 401),
        ("Content-Type: ;\r\n", 401),
        ("Content-Type: text/plain\r\n", 401),
        ("Content-Type: multipart/form-data; boundary=x\r\n", 401),
    ] {
        let head =
            format!("POST /api/env HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{field}\r\n");
        assert_eq!(send(&server, format!("{head}{form}")).status, status, "{field}");
    }
    // RFC 6750 §2.2: not with a method whose body has no meaning.
    assert_eq!(send(&server, post("/api/env", "", &form).replacen("POST", "GET", 1)).status, 401);
}

#[test]
fn a_place_without_verifier_cannot_judge() {
    let server = server(&[("api", "")]).expect_log("no OAuth2TokenVerify applies here").start();
    let answer = present(&server, None, "/api/env", &token(json!({})));
    assert_eq!((answer.status, challenge(&answer), answer.header("Retry-After")), (503, None, Some("10")));
    assert_eq!(get(&server, None, "/api/env", &[]).status, 401);
}

#[test]
fn basic_is_the_challenge_where_a_password_is_the_only_way() {
    let server = server(&[("basic", "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn basic")]).start();
    let credentials = |password: &str| {
        let encoded = openssl::base64::encode_block(format!("joe:{password}").as_bytes());
        format!("Authorization: Basic {encoded}")
    };
    let nothing = get(&server, None, "/basic/env", &[]);
    assert_eq!((nothing.status, challenge(&nothing)), (401, Some("Basic realm=\"api\"")));
    assert_eq!(get(&server, None, "/basic/env", &[&credentials(&token(json!({})))]).status, 200);
    let expired = credentials(&token(json!({"exp": now() - 5})));
    let answer = get(&server, None, "/basic/env", &[&expired]);
    assert_eq!((answer.status, challenge(&answer)), (401, Some("Basic realm=\"api\"")));
    assert_eq!(get(&server, None, "/basic/env", &["Authorization: Basic !!!"]).status, 400);
    assert_eq!(get(&server, None, "/basic/env", &[&bearer(&token(json!({})))]).status, 401);
}

#[test]
fn realms_are_quoted() {
    let server = server(&[("api", "OAuth2TokenVerify jwk {one}\nAuthName \"a \\\"b\\\" c\"")]).start();
    assert_eq!(challenge(&get(&server, None, "/api/env", &[])), Some("Bearer realm=\"a \\\"b\\\" c\""));
}

#[test]
fn keys_may_lie_in_files() {
    let ca = pki().ca.key.public_key_to_pem().unwrap();
    let signer = tokens::Key { kid: "", algorithm: "ES256", private: pki().ca.key.clone() };
    let places = [
        ("pubkey", "OAuth2TokenVerify pubkey {docroot}/one.pem"),
        ("relative", "OAuth2TokenVerify pubkey htdocs/one.pem"),
        ("named", "OAuth2TokenVerify pubkey {docroot}/one.pem kid=one"),
        ("other", "OAuth2TokenVerify pubkey {docroot}/one.pem kid=two"),
        ("certificate", "OAuth2TokenVerify pem {pki}/ca.pem"),
        ("ec", "OAuth2TokenVerify pubkey {docroot}/ca-key.pem"),
    ];
    let server = server(&places)
        .file("one.pem", &keys().one.pem())
        .file("ca-key.pem", &String::from_utf8(ca).unwrap())
        .start();
    let statuses =
        |token: &str| places.map(|(name, _)| present(&server, None, &format!("/{name}/env"), token).status);
    assert_eq!(statuses(&token(json!({}))), [200, 200, 200, 401, 401, 401]);
    assert_eq!(
        statuses(&signer.sign(&json!({"alg": "ES256"}), &claims(json!({})))),
        [401, 401, 401, 401, 200, 200]
    );
}

#[test]
fn the_algorithms_of_the_table_verify() {
    let keys = keys();
    let all = [&keys.one, &keys.pss, &keys.ec, &keys.p384, &keys.ed25519, &keys.secret];
    let places: Vec<(String, String)> = all
        .iter()
        .map(|key| (key.kid.to_owned(), format!("OAuth2TokenVerify jwk {}", key.quoted())))
        .collect();
    let places: Vec<(&str, &str)> =
        places.iter().map(|(name, lines)| (name.as_str(), lines.as_str())).collect();
    let server = server(&places).start();
    for signer in all {
        for place in all {
            let token = signer.token(&claims(json!({})));
            let status = present(&server, None, &format!("/{}/env", place.kid), &token).status;
            let expected = if signer.kid == place.kid { 200 } else { 401 };
            assert_eq!(status, expected, "{} at {}", signer.kid, place.kid);
        }
    }
}
