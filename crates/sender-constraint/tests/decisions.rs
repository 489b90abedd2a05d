//! Whole decisions: what mod_oauth2 gets wrong (numbered as in the design papers), and the surface's table, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use common::{Get, Location, NOW, Signer, World, claims, status, verifier};
use jsonwebtoken::{Algorithm, Header};
use sender_constraint::challenge::{Scheme, www_authenticate};
use sender_constraint::cnf::{BoundBy, Proofs};
use sender_constraint::refusal::TokenFault;
use sender_constraint::require::ClaimRequirement;
use sender_constraint::target::TargetSettings;
use sender_constraint::thumbprint::Thumbprint;
use sender_constraint::token_source::{Strip, TokenSource, TokenSources};
use serde_json::json;
use token_binding::TokenBindingHash;

fn certificate(thumbprint: &Thumbprint) -> Proofs<'_> {
    Proofs { certificate: Some(thumbprint), token_binding: None }
}

/// W1: a token accepted at one location is refused at another that trusts another server or wants another audience.
#[test]
fn verdicts_belong_to_their_verifiers() {
    let (world, as1, as2) = (World::new(), Signer::new(None), Signer::new(None));
    let (one, two) =
        (Location::new("jwk", &as1.jwk.to_string(), ""), Location::new("jwk", &as2.jwk.to_string(), ""));
    let token = as1.sign(&claims(json!({"aud": "api-a"})));
    assert_eq!(status(two.user(&world, &token)), 401);
    assert_eq!(status(one.user(&world, &token)), 200);
    assert_eq!(status(two.user(&world, &token)), 401, "after it was accepted elsewhere");
    let (a, b) = (
        Location::new("jwk", &as1.jwk.to_string(), "aud=api-a"),
        Location::new("jwk", &as1.jwk.to_string(), "aud=api-b"),
    );
    assert_eq!(status(a.user(&world, &token)), 200);
    assert_eq!(b.user(&world, &token), Err(TokenFault::Audience.into()));
}

/// W1: a document's URL is no token.
#[test]
fn the_url_of_the_keys_is_no_token() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    let url = "https://as/jwks";
    world.serve(url, json!({"keys": [key.jwk], "sub": "joe"}));
    let location = Location::new("jwks_uri", url, "verify.cache=default");
    assert_eq!(status(location.user(&world, &key.sign(&claims(json!({}))))), 200);
    assert_eq!(world.fetches(url), 1);
    assert_eq!(location.user(&world, url), Err(TokenFault::NotAJwt.into()));
}

/// W2: the verifier that accepts a token brings its own policy, remembered or not.
#[test]
fn policies_belong_to_the_verifier_that_accepted() {
    let (world, as1, as2) = (World::new(), Signer::new(None), Signer::new(None));
    let (own, other) = (Thumbprint::of_der(b"own"), Thumbprint::of_der(b"other"));
    let location = Location::of(vec![
        verifier("jwk", &as1.jwk.to_string(), "type=mtls&mtls.policy=optional"),
        verifier("jwk", &as2.jwk.to_string(), "type=mtls&mtls.policy=required"),
    ]);
    let unbound = claims(json!({}));
    let bound = claims(json!({"cnf": {"x5t#S256": own.to_base64url()}}));
    for _ in 0..3 {
        assert_eq!(status(location.user(&world, &as1.sign(&unbound))), 200);
        assert_eq!(status(location.user(&world, &as2.sign(&unbound))), 401);
        assert_eq!(status(location.user_with(&world, &as2.sign(&bound), &certificate(&own))), 200);
        assert_eq!(status(location.user_with(&world, &as2.sign(&bound), &certificate(&other))), 401);
        assert_eq!(status(location.user(&world, &as2.sign(&bound))), 401);
    }
    let first_is_bearer = Location::of(vec![
        verifier("jwk", &as1.jwk.to_string(), ""),
        verifier("jwk", &as2.jwk.to_string(), "type=mtls"),
    ]);
    let token = as2.sign(&bound);
    assert_eq!(status(first_is_bearer.user_with(&world, &token, &certificate(&own))), 200);
    assert_eq!(status(first_is_bearer.user(&world, &token)), 401, "remembered, and no certificate");
}

/// W12, P-27: a token with `cnf` is never a bearer token, whatever the verifier's type and policy.
#[test]
fn bound_tokens_are_never_bearer_tokens() {
    let (world, key, own) = (World::new(), Signer::new(None), Thumbprint::of_der(b"own"));
    let odd = [
        json!({"jkt": "x"}),
        json!({}),
        json!("x"),
        json!(null),
        json!([]),
        json!({"x5t#S256": 5}),
        json!({"x5t#S256": ""}),
        json!({"x5t#S256": own.to_base64url(), "tbh": "x"}),
    ];
    for options in ["", "type=bearer", "type=mtls&mtls.policy=optional", "type=mtls", "type=token-binding"] {
        let location = Location::new("jwk", &key.jwk.to_string(), options);
        for cnf in &odd {
            let token = key.sign(&claims(json!({"cnf": cnf})));
            for _ in 0..2 {
                let refusal = location.user_with(&world, &token, &certificate(&own)).unwrap_err();
                assert_eq!(
                    (refusal.status(), refusal.error()),
                    (401, Some("invalid_token")),
                    "{options} {cnf}"
                );
            }
        }
    }
}

#[test]
fn token_bindings_bind() {
    let (world, key) = (World::new(), Signer::new(None));
    let (own, other) = (TokenBindingHash::of(b"own"), TokenBindingHash::of(b"other"));
    let location = Location::new("jwk", &key.jwk.to_string(), "type=token-binding");
    let token = key.sign(&claims(json!({"cnf": {"tbh": own.to_base64url()}})));
    let proofs = |id| Proofs { certificate: None, token_binding: id };
    for _ in 0..2 {
        let granted = location.ask(&world, &Get::bearer(&token), &proofs(Some(&own))).unwrap();
        assert_eq!(granted.bound, BoundBy { certificate: false, token_binding: true });
        assert_eq!(status(location.user_with(&world, &token, &proofs(Some(&other)))), 401);
        assert_eq!(status(location.user_with(&world, &token, &proofs(None))), 401);
    }
    assert_eq!(status(location.user(&world, &key.sign(&claims(json!({}))))), 401);
}

/// W7: dates count, also for tokens that are remembered.
#[test]
fn no_verdict_outlives_its_token() {
    let (world, key) = (World::new(), Signer::new(None));
    let location = Location::new("jwk", &key.jwk.to_string(), "expiry=3600");
    let token = key.sign(&claims(json!({"exp": NOW + 5})));
    assert_eq!(status(location.user(&world, &token)), 200);
    world.pass(4);
    assert_eq!(status(location.user(&world, &token)), 200);
    assert_eq!(world.count("Remembered"), 1);
    world.pass(1);
    assert_eq!(location.user(&world, &token), Err(TokenFault::Expired.into()));
    for bad in [
        json!({"exp": "4000000000"}),
        json!({"exp": null}),
        json!({"exp": NOW}),
        json!({"nbf": NOW + 60}),
        json!({"nbf": NOW as f64 + 60.5}),
        json!({"iat": NOW + 3600}),
    ] {
        assert_eq!(status(location.user(&world, &key.sign(&claims(bad.clone())))), 401, "{bad}");
    }
    assert_eq!(status(location.user(&world, &key.sign(&json!({"sub": "joe"})))), 401, "no exp");
}

#[test]
fn remembering_can_be_switched_off_and_ends() {
    let (world, key) = (World::new(), Signer::new(None));
    let token = key.sign(&claims(json!({})));
    let off = Location::new("jwk", &key.jwk.to_string(), "expiry=0");
    let short = Location::new("jwk", &key.jwk.to_string(), "expiry=10");
    for location in [&off, &off, &short, &short] {
        assert_eq!(status(location.user(&world, &token)), 200);
    }
    assert_eq!((world.count("Verified"), world.count("Remembered")), (3, 1));
    world.pass(10);
    assert_eq!(status(short.user(&world, &token)), 200);
    assert_eq!(world.count("Verified"), 4);
}

/// W3: no claim makes a second header.
#[test]
fn claims_never_split_a_request() {
    let (world, key) = (World::new(), Signer::new(None));
    let location = Location::new("jwk", &key.jwk.to_string(), "");
    let evil = "x\r\nX-Injected: yes";
    let token = key.sign(&claims(json!({"a": evil, evil: "b", "deep": [{"x": evil}]})));
    let granted = location.ask(&world, &Get::bearer(&token), &Proofs::default()).unwrap();
    for (name, value) in &granted.accepted.passed.pairs {
        assert!(
            !name.as_bytes().iter().chain(value.as_bytes()).any(u8::is_ascii_control),
            "{name:?}: {value:?}"
        );
    }
    assert_eq!(status(location.user(&world, &key.sign(&claims(json!({"sub": evil}))))), 401);
}

#[test]
fn the_challenges_of_the_table() {
    let (world, key, own) = (World::new(), Signer::new(Some("k")), Thumbprint::of_der(b"own"));
    let location =
        Location::new("jwk", &key.jwk.to_string(), "type=mtls&mtls.policy=optional&iss=https://as&aud=api");
    let good = json!({"iss": "https://as", "aud": "api"});
    let with = |more: serde_json::Value| {
        let mut all = claims(good.clone());
        more.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        key.sign(&all)
    };
    let challenge = |request: &Get| {
        let refusal =
            location.ask(&world, request, &certificate(&Thumbprint::of_der(b"other"))).err().unwrap().refusal;
        let value = www_authenticate(&refusal, Scheme::Bearer, Some(b"api"));
        (refusal.status(), value.map(|value| String::from_utf8(value).unwrap()).unwrap_or_default())
    };
    assert_eq!(challenge(&Get::default()), (401, "Bearer realm=\"api\"".into()));
    let two = Get { headers: vec![("Authorization", b"Bearer a, Bearer b".to_vec())], query: None };
    assert_eq!(
        challenge(&two),
        (
            400,
            "Bearer realm=\"api\", error=\"invalid_request\", error_description=\"The request is malformed\""
                .into()
        )
    );
    for (more, description) in [
        (json!({"exp": NOW - 1}), "The access token expired"),
        (json!({"iss": "https://evil"}), "The access token is of another issuer"),
        (json!({"aud": "other"}), "The access token is for another audience"),
        (json!({"nbf": NOW + 9}), "The access token is not valid yet"),
        (
            json!({"cnf": {"x5t#S256": own.to_base64url()}}),
            "Missing / invalid client X.509 certificate for x5t#S256 bound access token",
        ),
    ] {
        let expected =
            format!("Bearer realm=\"api\", error=\"invalid_token\", error_description=\"{description}\"");
        assert_eq!(challenge(&Get::bearer(&with(more))), (401, expected));
    }
    let unknown = Signer::new(Some("unknown")).sign(&claims(good.clone()));
    assert_eq!(location.user(&world, &unknown), Err(TokenFault::UnknownKey.into()));
    let forged = Signer::new(Some("k")).sign(&claims(good.clone()));
    assert_eq!(location.user(&world, &forged), Err(TokenFault::Signature.into()));
}

/// Garbage of all kinds: a refusal, never a panic, and nothing of it in the log.
#[test]
fn garbage() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    let location = Location::new("jwk", &key.jwk.to_string(), "");
    let long = "a".repeat(20_000);
    let nested =
        format!("{{\"sub\":\"joe\",\"exp\":{},\"a\":{}1{}}}", NOW + 9, "[".repeat(5000), "]".repeat(5000));
    let nested = format!("eyJhbGciOiJSUzI1NiJ9.{}.AAAA", token_binding::base64url::encode(nested.as_bytes()));
    for token in
        ["x", "..", "a.b.c", "\u{e9}", "\u{0}", "eyJhbGciOiJub25lIn0.e30.AAAA", &long, &nested, "\"><script>"]
    {
        let refused = location.ask(&world, &Get::bearer(token), &Proofs::default()).err().unwrap();
        assert_eq!(
            (refused.refusal.status(), refused.refusal.error()),
            (401, Some("invalid_token")),
            "{token:.20}"
        );
        let line = refused.to_string();
        assert!(
            line.len() < 300 && line.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()),
            "{line}"
        );
        assert!(token.len() < 5 || !line.contains(token));
    }
    let raw = Get { headers: vec![("Authorization", b"Bearer \xff\xfe".to_vec())], query: None };
    assert_eq!(location.ask(&world, &raw, &Proofs::default()).err().unwrap().refusal.status(), 401);
}

#[test]
fn the_log_line_names_key_and_issuer_and_no_token() {
    let (world, key) = (World::new(), Signer::new(Some("k\r\n1")));
    let location = Location::new("jwk", &Signer::new(Some("other")).jwk.to_string(), "");
    let token = key.sign(&claims(json!({"iss": "https://as"})));
    let line = location.ask(&world, &Get::bearer(&token), &Proofs::default()).err().unwrap().to_string();
    assert_eq!(line, "no key matches the key ID and algorithm of the JWT, kid k??1, iss https://as");
}

#[test]
fn types_and_algorithms_of_jwts() {
    let (world, key) = (World::new(), Signer::new(None));
    let location = Location::new("jwk", &key.jwk.to_string(), "verify.typ=required");
    let typed = |typ: Option<&str>| {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = typ.map(str::to_owned);
        location.user(&world, &key.sign_with(&header, &claims(json!({}))))
    };
    assert_eq!(status(typed(Some("at+jwt"))), 200);
    assert_eq!(typed(Some("JWT")), Err(TokenFault::Type.into()));
    assert_eq!(typed(None), Err(TokenFault::Missing("typ").into()));
    let mut header = Header::new(Algorithm::ES256);
    header.crit = Some(vec!["exp".into()]);
    assert_eq!(
        location.user(&world, &key.sign_with(&header, &claims(json!({})))),
        Err(TokenFault::Critical.into())
    );
}

/// Several verifiers: any may accept, and the refusal that says most is reported.
#[test]
fn several_verifiers() {
    let (world, as1, as2) = (World::new(), Signer::new(Some("1")), Signer::new(Some("2")));
    let location = Location::of(vec![
        verifier("jwk", &as1.jwk.to_string(), "iss=https://one"),
        verifier("jwk", &as2.jwk.to_string(), "iss=https://two"),
    ]);
    let of = |iss: &str| claims(json!({ "iss": iss }));
    assert_eq!(status(location.user(&world, &as1.sign(&of("https://one")))), 200);
    assert_eq!(status(location.user(&world, &as2.sign(&of("https://two")))), 200);
    assert_eq!(status(location.user(&world, &as2.sign(&of("https://one")))), 401, "keys do not mix");
    let mut old = of("https://two");
    old["exp"] = json!(NOW - 1);
    assert_eq!(location.user(&world, &as2.sign(&old)), Err(TokenFault::Expired.into()));
    assert_eq!(Location::of(vec![]).user(&world, "x").unwrap_err().status(), 503);
}

/// What is passed on belongs to the location, also when the token is remembered.
#[test]
fn targets_do_not_mix() {
    let (world, key) = (World::new(), Signer::new(None));
    let shared = verifier("jwk", &key.jwk.to_string(), "");
    let mut one = Location::of(vec![Arc::clone(&shared)]);
    let mut two = Location::of(vec![shared]);
    one.target = Arc::new(TargetSettings::parse(b"remote_user_claim=email&prefix=A_").unwrap().0);
    two.target = Arc::new(TargetSettings::parse(b"prefix=B_").unwrap().0);
    let token = key.sign(&claims(json!({"email": "a@b"})));
    for _ in 0..2 {
        assert_eq!(one.user(&world, &token).as_deref(), Ok("a@b"));
        assert_eq!(two.user(&world, &token).as_deref(), Ok("joe"));
        for (location, prefix) in [(&one, "A_"), (&two, "B_")] {
            let granted = location.ask(&world, &Get::bearer(&token), &Proofs::default()).unwrap();
            let pairs = &granted.accepted.passed.pairs;
            assert!(pairs.iter().all(|(name, _)| name.to_str().unwrap().starts_with(prefix)));
        }
    }
    assert_eq!(world.count("Verified"), 2);
    // equal settings are the same target, wherever they were written
    two.target = Arc::new(TargetSettings::parse(b"prefix=B_").unwrap().0);
    assert!(two.user(&world, &token).is_ok());
    assert_eq!(world.count("Verified"), 2);
}

#[test]
fn requirements_and_stripping() {
    let (world, key) = (World::new(), Signer::new(None));
    let mut location = Location::new("jwk", &key.jwk.to_string(), "");
    location.sources = TokenSources::new(vec![TokenSource::parse("query", b"strip=on").unwrap().0]);
    let token = key.sign(&claims(json!({"scope": "read write"})));
    let query = format!("a=1&access_token={token}").into_bytes();
    let request = Get { headers: vec![], query: Some(query) };
    let granted = location.ask(&world, &request, &Proofs::default()).unwrap();
    assert_eq!(granted.strip, Some(Strip::Query(Some(b"a=1".to_vec()))));
    let claims = &granted.accepted.verdict.claims;
    assert!(ClaimRequirement::parse(["scope:read"]).unwrap().holds(claims));
    assert!(!ClaimRequirement::parse(["scope:admin"]).unwrap().holds(claims));
}
