//! Access tokens: one verdict for each request, with the verifier that gave it.

use std::time::Duration;

use serde_json::json;

use super::{counters, moved, watch};
use crate::common::exchange::get_plain;
use crate::common::process::poll;
use crate::common::{Backend, Builder, Httpd, pki};
use crate::oauth2::tokens::{bound_to, claims, keys, now, token};

/// A server with these places, each with its directives.
fn api(places: &[(&str, &str)]) -> Builder {
    let builder = watch(Httpd::builder()).load(&["authz_user"]).value("one", keys().one.quoted());
    places.iter().fold(builder, |builder, (name, lines)| {
        let page = format!("{name}/page.txt");
        let require = if lines.contains("Require ") { "" } else { "Require valid-user" };
        builder.file(&page, "inside\n").config(&format!(
            "<Location /{name}>\nAuthType oauth2\nAuthName api\n{require}\n{lines}\n</Location>"
        ))
    })
}

/// The status of a request with this token.
fn present(server: &Httpd, place: &str, token: &str) -> u16 {
    let field = format!("Authorization: Bearer {token}");
    get_plain(server.plain(), "localhost", &format!("/{place}/page.txt"), &[&field]).status
}

/// The status, and what it adds to the counters.
fn counted(server: &Httpd, place: &str, token: &str) -> String {
    let mut status = 0;
    let change = moved(server, || status = present(server, place, token));
    format!("{status} {change}")
}

/// The same token with another signature.
fn forged(token: &str) -> String {
    let (rest, end) = token.split_at(token.len() - 10);
    let other = if end.starts_with('A') { "B" } else { "A" };
    format!("{rest}{other}{}", &end[1..])
}

#[test]
fn each_verdict_of_keys_in_the_configuration() {
    let server = api(&[
        ("api", "OAuth2TokenVerify jwk {one} aud=here&verify.iat.slack_after=60"),
        ("bound", "OAuth2TokenVerify jwk {one} type=mtls"),
        ("issuer", "OAuth2TokenVerify jwk {one} iss=https://as.test"),
        ("scope", "OAuth2TokenVerify jwk {one}\nRequire oauth2_claim scope:write"),
    ])
    .start();
    let one = &keys().one;
    server.allow_log("AH01631");
    let good = json!({"aud": "here"});
    let with = |more: serde_json::Value| {
        let mut all = claims(good.clone());
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one.token(&all)
    };
    let remembered = with(json!({"jti": "1"}));
    assert_eq!(counted(&server, "api", &remembered), "200 OAuth2KeysVerified 1");
    assert_eq!(counted(&server, "api", &remembered), "200 OAuth2KeysRemembered 1");
    let mut critical = one.header();
    critical.as_object_mut().unwrap().extend(json!({"crit": ["x"], "x": 1}).as_object().unwrap().clone());
    let header = |name: &str, value: &str| {
        let mut header = one.header();
        header[name] = json!(value);
        one.sign(&header, &claims(good.clone()))
    };
    for (token, label) in [
        ("opaque".to_owned(), "MalformedToken"),
        (one.sign(&critical, &claims(good.clone())), "CriticalHeader"),
        (header("alg", "none"), "Algorithm"),
        (header("typ", "secevent+jwt"), "Type"),
        (header("kid", "nobody"), "UnknownKey"),
        (keys().stranger.token(&claims(good.clone())), "Signature"),
        (with(json!({"exp": "soon"})), "Claims"),
        (with(json!({"exp": now() - 10})), "Expired"),
        (with(json!({"nbf": now() + 100})), "NotValidYet"),
        (with(json!({"aud": "there"})), "Audience"),
        (with(json!({"sub": 7})), "NoUser"),
        (with(bound_to(&pki().client_a)), "Binding"),
    ] {
        assert_eq!(counted(&server, "api", &token), format!("401 OAuth2KeysRefused{label} 1"));
    }
    assert_eq!(counted(&server, "bound", &token(json!({}))), "401 OAuth2KeysRefusedUnbound 1");
    let others = token(json!({"iss": "https://other.test"}));
    assert_eq!(counted(&server, "issuer", &others), "401 OAuth2KeysRefusedIssuer 1");
    // A token that is known is refused all the same, and by the verifier that knew it.
    let bound = token(bound_to(&pki().client_a));
    for _ in 0..2 {
        assert_eq!(counted(&server, "bound", &bound), "401 OAuth2KeysRefusedBinding 1");
    }
    let reader = token(json!({"scope": "read"}));
    assert_eq!(
        counted(&server, "scope", &reader),
        "403 OAuth2KeysVerified 1, OAuth2RefusedInsufficientScope 1"
    );
}

#[test]
fn requests_that_no_verifier_saw_have_counters_of_their_own() {
    let server = api(&[
        ("api", "OAuth2TokenVerify jwk {one}\nOAuth2AcceptTokenIn header\nOAuth2AcceptTokenIn query"),
        ("none", ""),
    ])
    .config("LimitRequestFieldSize 20000")
    .allow_log("cannot be judged")
    .start();
    let get = |path: &str, fields: &[&str]| get_plain(server.plain(), "localhost", path, fields).status;
    let change = moved(&server, || assert_eq!(get("/api/page.txt", &[]), 401));
    assert_eq!(change, "OAuth2RefusedNoToken 1");
    let good = format!("Authorization: Bearer {}", token(json!({})));
    let twice = "/api/page.txt?access_token=x";
    let change = moved(&server, || assert_eq!(get(twice, &[&good]), 400));
    assert_eq!(change, "OAuth2RefusedSeveralTokens 1");
    let change = moved(&server, || assert_eq!(get("/api/page.txt", &["Authorization: Bearer a b"]), 400));
    assert_eq!(change, "OAuth2RefusedMalformedRequest 1");
    let change = moved(&server, || {
        assert_eq!(get("/api/page.txt", &[&format!("Authorization: Bearer {}", "a".repeat(17_000))]), 401);
    });
    assert_eq!(change, "OAuth2RefusedMalformedToken 1");
    let change = moved(&server, || assert_eq!(get("/none/page.txt", &[&good]), 503));
    assert_eq!(change, "OAuth2RefusedUnavailable 1");
    let change = moved(&server, || assert_eq!(get("/hello.txt", &[]), 200));
    assert_eq!(change, "");
}

#[test]
fn of_several_verifiers_the_one_whose_word_holds_is_counted() {
    let jwks = json!({"keys": [keys().ec.jwk()]}).to_string();
    let server = api(&[(
        "api",
        "OAuth2TokenVerify jwk {one} iss=https://other.test\nOAuth2TokenVerify jwks_uri file://{docroot}/keys.json",
    )])
    .file("keys.json", &jwks)
    .start();
    let fetched = || (counters(&server)["OAuth2Fetched"] == 1).then_some(());
    poll(Duration::from_secs(10), fetched).expect("keys are fetched once, when the child starts");
    let good = keys().ec.token(&claims(json!({})));
    assert_eq!(counted(&server, "api", &good), "200 OAuth2JwksUriVerified 1");
    assert_eq!(counted(&server, "api", &good), "200 OAuth2JwksUriRemembered 1");
    // The first one says only that it is of another issuer.
    assert_eq!(counted(&server, "api", &forged(&good)), "401 OAuth2JwksUriRefusedSignature 1");
    let other = keys().one.token(&claims(json!({"iss": "https://other.test"})));
    assert_eq!(counted(&server, "api", &other), "200 OAuth2KeysVerified 1");
}

#[test]
fn what_a_shared_cache_knew() {
    const VERIFY: &str = "OAuth2TokenVerify jwk {one} verify.cache=default";
    let other = format!("{VERIFY}\nOAuth2TokenVerify plain 0123456789abcdef0123456789abcdef");
    let server = api(&[("first", VERIFY), ("second", &other)]).config("OAuth2Cache shm").start();
    let token = token(json!({}));
    assert_eq!(counted(&server, "first", &token), "200 OAuth2KeysVerified 1");
    // Another list of verifiers remembers nothing of it, and the verifier is the same one.
    assert_eq!(counted(&server, "second", &token), "200 OAuth2KeysShared 1");
    assert_eq!(counted(&server, "second", &token), "200 OAuth2KeysRemembered 1");
}

#[test]
fn a_shared_cache_that_failed() {
    let server = api(&[("api", "OAuth2TokenVerify jwk {one} verify.cache=default")])
        // Nobody listens there.
        .config("OAuth2CryptoPassphrase \"correct horse battery staple\"\nOAuth2Cache redis host=127.0.0.1&port=1")
        .expect_log("token cache: redis at 127.0.0.1:1")
        .start();
    let change = "200 OAuth2CacheFailed 1, OAuth2KeysVerified 1";
    assert_eq!(counted(&server, "api", &token(json!({"jti": "1"}))), change);
    // It is not asked again for some seconds.
    assert_eq!(counted(&server, "api", &token(json!({"jti": "2"}))), "200 OAuth2KeysVerified 1");
}

/// Keys of `keys().ec` in each form that is fetched: PEM, and metadata that names a set.
fn key_server() -> Backend {
    Backend::answering(|head| {
        let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
        let body = match head.split(' ').nth(1) {
            Some("/key.pem" | "/of-load-balancers/ec") => {
                String::from_utf8(keys().ec.private.public_key_to_pem().unwrap()).unwrap()
            }
            Some("/.well-known/openid-configuration") => {
                json!({"issuer": format!("https://{host}"), "jwks_uri": format!("https://{host}/keys")})
                    .to_string()
            }
            _ => json!({"keys": [keys().ec.jwk()]}).to_string(),
        };
        ("200 OK", "application/json", body)
    })
}

#[test]
fn each_kind_of_verifier_that_fetches_keys() {
    const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/y";
    let issuer = key_server();
    let ca = "ca_file={pki}/ca.pem";
    let host = "https://localhost:{issuer}";
    let balancer =
        format!("OAuth2TokenVerify aws_alb {ARN} alb_base_url={host}/of-load-balancers&aws_alb.{ca}");
    let metadata = format!(
        "OAuth2TokenVerify metadata {host}/.well-known/openid-configuration metadata.{ca}&jwks_uri.{ca}"
    );
    let pem = format!("OAuth2TokenVerify eckey_uri {host}/key.pem iss=https://as.test&eckey_uri.{ca}");
    let server = api(&[("pem", &pem), ("balancer", &balancer), ("metadata", &metadata)])
        .value("issuer", issuer.port())
        .start();
    let fetched = || (counters(&server)["OAuth2Fetched"] == 2).then_some(());
    poll(Duration::from_secs(10), fetched).expect("metadata and a set are fetched when the child starts");
    let ec = &keys().ec;
    let of_balancer =
        |signer: &str| ec.sign(&json!({"alg": "ES256", "kid": "ec", "signer": signer}), &claims(json!({})));
    let of_issuer = |issuer: &str| ec.token(&claims(json!({"iss": issuer})));
    let named = format!("https://localhost:{}", issuer.port());
    for (place, kind, good, others, fetches) in [
        // A single key is fetched when the first token needs it.
        ("pem", "EckeyUri", of_issuer("https://as.test"), of_issuer(&named), ", OAuth2Fetched 1"),
        ("balancer", "AwsAlb", of_balancer(ARN), of_balancer("arn:aws:other"), ", OAuth2Fetched 1"),
        ("metadata", "Metadata", of_issuer(&named), of_issuer("https://as.test"), ""),
    ] {
        assert_eq!(counted(&server, place, &good), format!("200 OAuth2{kind}Verified 1{fetches}"));
        assert_eq!(counted(&server, place, &good), format!("200 OAuth2{kind}Remembered 1"));
        assert_eq!(counted(&server, place, &forged(&good)), format!("401 OAuth2{kind}RefusedSignature 1"));
        assert_eq!(counted(&server, place, &others), format!("401 OAuth2{kind}RefusedIssuer 1"));
    }
}

#[test]
fn introspection_and_its_failures() {
    let issuer = Backend::answering(|head| {
        let body = match head.split(' ').nth(1) {
            Some("/active") => json!({"active": true, "sub": "joe", "exp": now() + 60}),
            _ => json!({"active": false}),
        };
        ("200 OK", "application/json", body.to_string())
    });
    let useless = Backend::http();
    let server = api(&[
        ("active", "OAuth2TokenVerify introspect https://localhost:{issuer}/active introspect.ca_file={pki}/ca.pem"),
        ("inactive", "OAuth2TokenVerify introspect https://localhost:{issuer}/inactive introspect.ca_file={pki}/ca.pem"),
        ("useless", "OAuth2TokenVerify introspect http://127.0.0.1:{useless}/"),
        ("away", "OAuth2TokenVerify jwks_uri http://127.0.0.1:1/"),
    ])
    .value("issuer", issuer.port())
    .value("useless", useless.port())
    .allow_log("cannot be judged")
    .allow_log("authorization server")
    .start();
    let failed = || (counters(&server)["OAuth2FetchFailed"] == 1).then_some(());
    poll(Duration::from_secs(10), failed).expect("the child that starts asks for keys, once");
    assert_eq!(counted(&server, "active", "t1"), "200 OAuth2IntrospectVerified 1, OAuth2Introspected 1");
    assert_eq!(counted(&server, "active", "t1"), "200 OAuth2IntrospectRemembered 1");
    assert_eq!(
        counted(&server, "inactive", "t2"),
        "401 OAuth2IntrospectRefusedInactive 1, OAuth2Introspected 1"
    );
    assert_eq!(counted(&server, "inactive", "t2"), "401 OAuth2IntrospectRefusedInactive 1");
    assert_eq!(
        counted(&server, "useless", "t3"),
        "503 OAuth2IntrospectRefusedUnavailable 1, OAuth2Introspected 1, OAuth2IntrospectionFailed 1"
    );
    assert_eq!(counted(&server, "away", &token(json!({}))), "503 OAuth2JwksUriRefusedUnavailable 1");
}
