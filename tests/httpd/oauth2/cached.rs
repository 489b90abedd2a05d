//! What is remembered of a token ends where it must: with the verifiers that judged it, and with the token.

use std::thread;
use std::time::Duration;

use openssl::ssl::SslVersion;
use serde_json::{Value, json};

use super::tokens::{bound_to, claims, keys, now, token};
use super::{bearer, challenge, connect, invalid_token, present, server};
use crate::common::bound::tbh;
use crate::common::{Independent, Mpm, pki};

#[test]
fn a_token_that_is_good_here_is_not_good_there() {
    let server = server(&[
        ("one", "OAuth2TokenVerify jwk {one}"),
        ("ec", "OAuth2TokenVerify jwk {ec}"),
        ("a", "OAuth2TokenVerify jwk {one} aud=https://a.test"),
        ("b", "OAuth2TokenVerify jwk {one} aud=https://b.test"),
        ("as", "OAuth2TokenVerify jwk {one} iss=https://as.test"),
        ("as2", "OAuth2TokenVerify jwk {one} iss=https://as2.test"),
        ("kid", "OAuth2TokenVerify jwk {one} kid=two"),
        ("list", "OAuth2TokenVerify jwk {ec}\nOAuth2TokenVerify jwk {one} aud=https://a.test"),
        ("mtls", "OAuth2TokenVerify jwk {one} type=mtls"),
        ("typ", "OAuth2TokenVerify jwk {one} verify.typ=required"),
        ("young", "OAuth2TokenVerify jwk {one} verify.iat.slack_before=100"),
    ])
    .value("ec", keys().ec.quoted())
    .start();
    let plain = |more: Value| keys().one.sign(&json!({"alg": "RS256", "kid": "one"}), &claims(more));
    for (token, good_at) in [
        (plain(json!({"aud": "https://a.test"})), ["one", "a", "as", "list", "young"].as_slice()),
        (plain(json!({"iss": "https://as2.test"})), &["one", "as2", "young"]),
        (token(json!({"iat": now() - 200})), &["one", "as", "typ"]),
        (keys().ec.token(&claims(json!({}))), &["ec", "list"]),
    ] {
        for round in 0..3 {
            for place in ["one", "ec", "a", "b", "as", "as2", "kid", "list", "mtls", "typ", "young"] {
                let status = present(&server, None, &format!("/{place}/env"), &token).status;
                let expected = if good_at.contains(&place) { 200 } else { 401 };
                assert_eq!(status, expected, "round {round} {place} {good_at:?}");
            }
        }
    }
}

#[test]
fn a_name_of_a_document_is_no_token() {
    let server = server(&[
        ("file", "OAuth2TokenVerify jwks_uri file://{root}/htdocs/jwks.json"),
        ("shared", "OAuth2TokenVerify jwks_uri file://{root}/htdocs/jwks.json verify.cache=verdicts&jwks_uri.cache=verdicts"),
    ])
    .config("OAuth2Cache shm name=verdicts")
    .file("jwks.json", &json!({"keys": [keys().one.jwk(), {"kty": "?"}], "sub": "joe", "exp": now() + 300}).to_string())
    .start();
    let url = format!("file://{}", server.document_root().join("jwks.json").display());
    for place in ["file", "shared"] {
        let path = format!("/{place}/env");
        assert_eq!(present(&server, None, &path, &token(json!({}))).status, 200, "{}", server.log());
        for _ in 0..2 {
            let answer = present(&server, None, &path, &url);
            let expected = invalid_token("The access token is malformed");
            assert_eq!((answer.status, challenge(&answer)), (401, Some(expected.as_str())));
        }
    }
}

#[test]
fn the_end_of_a_token_is_the_end_of_what_is_remembered() {
    for mpm in [Mpm::Event, Mpm::Prefork] {
        let server = server(&[
            ("kept", "OAuth2TokenVerify jwk {one} expiry=3600"),
            ("shared", "OAuth2TokenVerify jwk {one} expiry=3600&verify.cache=verdicts"),
        ])
        .config("OAuth2Cache shm name=verdicts")
        .mpm(mpm)
        .start();
        let end = now() + 4;
        let token = token(json!({"exp": end}));
        let expected = invalid_token("The access token expired");
        let mut good = 0;
        while now() < end + 1 {
            for place in ["/kept/env", "/shared/env"] {
                let (before, answer, after) = (now(), present(&server, None, place, &token), now());
                if after < end {
                    assert_eq!(answer.status, 200, "{mpm:?} {place}");
                    good += 1;
                } else if before >= end {
                    assert_eq!(
                        (answer.status, challenge(&answer)),
                        (401, Some(expected.as_str())),
                        "{mpm:?} {place}"
                    );
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
        assert!(good > 2, "it was good for a while");
        assert_eq!(present(&server, None, "/kept/env", &token).status, 401);
    }
}

#[test]
fn many_at_once_are_told_apart() {
    let server = server(&[("api", "OAuth2TokenVerify jwk {one} type=mtls&mtls.policy=optional")])
        .file("api/hello.txt", "hello\n")
        .start();
    let pki = pki();
    let field = bearer(&token(bound_to(&pki.client_a)));
    let clients =
        [(Some(&pki.client_a), 200), (Some(&pki.client_b), 401), (None, 401), (Some(&pki.self_signed), 401)];
    thread::scope(|scope| {
        for (identity, status) in clients {
            let (server, field) = (&server, &field);
            scope.spawn(move || {
                let mut client = connect(server, identity, SslVersion::TLS1_3);
                for _ in 0..150 {
                    assert_eq!(client.unbound("/api/hello.txt", &[field]).status, status);
                }
            });
        }
    });
}

#[test]
fn a_shared_cache_in_shared_memory_changes_no_verdict() {
    let server = server(&[
        ("a", "OAuth2TokenVerify jwk {one} verify.cache=verdicts&type=mtls&mtls.policy=optional"),
        ("b", "OAuth2TokenVerify jwk {one} verify.cache=verdicts&type=mtls"),
        ("c", "OAuth2TokenVerify jwk {ec} verify.cache=verdicts"),
        ("sealed", "OAuth2TokenVerify jwk {one} verify.cache=sealed"),
    ])
    .config("OAuth2CryptoPassphrase \"correct horse battery staple\"")
    .config("OAuth2Cache shm name=verdicts\nOAuth2Cache shm name=sealed&encrypt=true")
    .value("ec", keys().ec.quoted())
    .mpm(Mpm::Prefork)
    .children(4)
    .start();
    let pki = pki();
    let (bound, unbound) = (token(bound_to(&pki.client_a)), token(json!({})));
    // With prefork, requests meet processes that know the token from the shared cache only.
    for _ in 0..8 {
        for (identity, token, expected) in [
            (None, &unbound, [200, 401, 401, 200]),
            (Some(&pki.client_a), &bound, [200, 200, 401, 200]),
            (Some(&pki.client_b), &bound, [401; 4]),
            (None, &bound, [401; 4]),
        ] {
            let statuses = ["a", "b", "c", "sealed"]
                .map(|place| present(&server, identity, &format!("/{place}/env"), token).status);
            assert_eq!(statuses, expected);
        }
    }
}

#[test]
fn each_stream_of_http2_brings_its_own_token_and_proof() {
    let server = server(&[
        ("api", "OAuth2TokenVerify jwk {one}"),
        ("tb", "OAuth2TokenVerify jwk {one} type=token-binding"),
    ])
    .load(&["http2"])
    .config("Protocols h2 http/1.1")
    .start();
    let mut client = Independent::start();
    let (a, b) = (client.key("a", "ecdsap256"), client.key("b", "ecdsap256"));
    let file = |name: &str| server.pki(name).display().to_string();
    let x5t = token(bound_to(&pki().self_signed));
    let tbh_a = token(json!({"cnf": {"tbh": a.tbh}, "sub": "alice"}));
    let tbh_b = token(json!({"cnf": {"tbh": b.tbh}, "sub": "bob"}));
    let elsewhere = token(json!({"cnf": {"tbh": tbh(&crate::common::keys().a)}}));
    for tls in ["1.2", "1.3"] {
        for (name, certificate) in [("own", Some("self_signed")), ("other", Some("client_b")), ("none", None)]
        {
            let connection = format!("{tls} {name}");
            let mut options = json!({"tls": tls, "alpn": "h2", "offer": "01000102"});
            if let Some(certificate) = certificate {
                options["certificate"] = json!(file(&format!("{certificate}.pem")));
                options["private_key"] = json!(file(&format!("{certificate}.key")));
            }
            client.connect(&connection, server.tls(), &options).done();
            let messages = ["a", "b"].map(|key| client.message(&connection, &json!([{"key": key}])));
            let stream = |path: &str, token: &str, message: Option<&String>| {
                let mut headers = vec![json!(["authorization", bearer(token).split_once(": ").unwrap().1])];
                headers.extend(message.map(|message| json!(["sec-token-binding", message])));
                json!({"path": path, "headers": headers})
            };
            let [a, b] = [Some(&messages[0]), Some(&messages[1])];
            let own = if name == "own" { 200 } else { 401 };
            let rows = [
                ("/api/env", &x5t, a, own),
                ("/api/env", &x5t, None, own),
                ("/tb/env", &tbh_a, a, 200),
                ("/tb/env", &tbh_b, b, 200),
                ("/tb/env", &tbh_a, b, 401),
                ("/tb/env", &tbh_b, a, 401),
                ("/api/env", &tbh_a, None, 401),
                ("/api/env", &elsewhere, a, 401),
            ];
            let requests: Vec<Value> =
                rows.iter().map(|(path, token, message, _)| stream(path, token, *message)).collect();
            for _ in 0..3 {
                let answers = client.streams(&connection, &json!(requests));
                let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
                assert_eq!(statuses, rows.map(|(.., status)| status), "{connection}");
                assert_eq!(answers[2].variable("REMOTE_USER"), Some("alice"));
                assert_eq!(answers[3].variable("REMOTE_USER"), Some("bob"));
            }
        }
    }
}
