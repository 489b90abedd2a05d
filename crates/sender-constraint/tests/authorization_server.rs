//! Keys that are fetched and tokens that are asked about, while the authorization server behaves and while it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Location, NOW, Signer, World, claims, jwks, status, verifier};
use jsonwebtoken::{Algorithm, Header};
use sender_constraint::cnf::Proofs;
use sender_constraint::exchange::Answer;
use sender_constraint::refusal::{Outage, TokenFault};
use sender_constraint::thumbprint::Thumbprint;
use serde_json::{Value, json};

const JWKS: &str = "https://as/jwks";
const INTROSPECT: &str = "https://as/introspect";
const METADATA: &str = "https://as/.well-known/oauth-authorization-server";

/// W6: bad tokens cause no storm of fetches.
#[test]
fn unknown_keys_cause_one_fetch_in_ten_seconds() {
    let (world, key) = (World::new(), Signer::new(Some("known")));
    world.serve(JWKS, jwks(&[&key]));
    let location = Location::new("jwks_uri", JWKS, "jwks_uri.cache=none");
    assert_eq!(status(location.user(&world, &key.sign(&claims(json!({}))))), 200);
    let strangers: Vec<_> = (0..5).map(|n| Signer::new(Some(&format!("unknown-{n}")))).collect();
    for second in 0..30 {
        for stranger in &strangers {
            let token = stranger.sign(&claims(json!({ "n": second })));
            assert_eq!(location.user(&world, &token), Err(TokenFault::UnknownKey.into()));
        }
        let forged = Signer::new(Some("known")).sign(&claims(json!({})));
        if second % 10 == 0 {
            assert_eq!(location.user(&world, &forged), Err(TokenFault::Signature.into()));
        }
        world.pass(1);
    }
    assert!((3..=4).contains(&world.fetches(JWKS)), "{}", world.fetches(JWKS));
}

/// What is wrong with a token by itself causes no fetch at all.
#[test]
fn tokens_that_are_bad_anyway_cause_no_fetch() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    let location = Location::new("jwks_uri", JWKS, "iss=https://as&aud=api");
    let good = json!({"iss": "https://as", "aud": "api"});
    for more in [json!({"iss": "https://other"}), json!({"aud": "x"}), json!({"exp": 1}), json!({"exp": "x"})]
    {
        let mut all = claims(good.clone());
        more.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        assert_eq!(status(location.user(&world, &key.sign(&all))), 401);
    }
    assert_eq!(status(location.user(&world, "opaque")), 401);
    assert_eq!(world.fetches(JWKS), 0);
}

#[test]
fn rotation() {
    let (world, old, new) = (World::new(), Signer::new(Some("old")), Signer::new(Some("new")));
    world.serve(JWKS, jwks(&[&old]));
    let location = Location::new("jwks_uri", JWKS, "jwks_uri.cache=none");
    assert_eq!(status(location.user(&world, &old.sign(&claims(json!({}))))), 200);
    world.serve(JWKS, jwks(&[&old, &new]));
    let token = new.sign(&claims(json!({})));
    assert_eq!(status(location.user(&world, &token)), 401, "fetched a moment ago");
    world.pass(10);
    assert_eq!(status(location.user(&world, &token)), 200);
    assert_eq!(world.fetches(JWKS), 2);
}

/// A shared document that is as old as ours does not know the new key either.
#[test]
fn rotation_with_a_shared_cache() {
    let (world, old, new) = (World::new(), Signer::new(Some("old")), Signer::new(Some("new")));
    world.serve(JWKS, jwks(&[&old]));
    let process = || Location::new("jwks_uri", JWKS, "expiry=0");
    let (one, two) = (process(), process());
    let token = old.sign(&claims(json!({})));
    // no memory of tokens, so that each process verifies for itself
    assert_eq!((status(one.user(&world, &token)), status(two.user(&world, &token))), (200, 200));
    world.serve(JWKS, jwks(&[&old, &new]));
    world.pass(10);
    let token = new.sign(&claims(json!({"n": 1})));
    assert_eq!(status(one.user(&world, &token)), 200);
    world.pass(5);
    assert_eq!(status(two.user(&world, &token)), 200, "with what the other process fetched a moment ago");
    assert_eq!(world.fetches(JWKS), 2);
}

#[test]
fn keys_without_ids_rotate_too() {
    let (world, old, new) = (World::new(), Signer::new(None), Signer::new(None));
    world.serve(JWKS, jwks(&[&old]));
    let location = Location::new("jwks_uri", JWKS, "jwks_uri.cache=none");
    assert_eq!(status(location.user(&world, &old.sign(&claims(json!({}))))), 200);
    world.serve(JWKS, jwks(&[&new]));
    world.pass(10);
    assert_eq!(status(location.user(&world, &new.sign(&claims(json!({}))))), 200);
    assert_eq!(location.user(&world, &old.sign(&claims(json!({"n": 1})))), Err(TokenFault::Signature.into()));
}

#[test]
fn stale_keys_serve_while_the_server_is_down() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    world.serve(JWKS, jwks(&[&key]));
    let location = Location::new("jwks_uri", JWKS, "jwks_uri.expiry=60&expiry=0&jwks_uri.cache=none");
    let token = |n: i64| key.sign(&claims(json!({"n": n, "exp": NOW + 1_000_000})));
    assert_eq!(status(location.user(&world, &token(0))), 200);
    world.answer(JWKS, |_| Ok(Answer { status: 500, ..Answer::default() }));
    world.pass(61);
    for second in 0..120 {
        assert_eq!(status(location.user(&world, &token(second))), 200);
        world.pass(1);
    }
    let fetches = world.fetches(JWKS);
    assert!((6..=9).contains(&fetches), "1, 2, 4, 8, 16, 30, ... seconds apart: {fetches}");
    let unknown = Signer::new(Some("new")).sign(&claims(json!({"exp": NOW + 1_000_000})));
    assert_eq!(status(location.user(&world, &unknown)), 503, "nobody knows whether that key exists");
    world.pass(25 * 3600);
    assert_eq!(status(location.user(&world, &token(1))), 503, "not for ever");
}

/// No keys: 503 with Retry-After, and no challenge that would make clients throw good tokens away.
#[test]
fn no_keys_no_judgement() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    let location = Location::new("jwks_uri", JWKS, "");
    let token = key.sign(&claims(json!({})));
    for body in ["", "<html>", "{}", "{\"keys\":[]}"] {
        world.serve(JWKS, body);
        let refusal = location.user(&world, &token).unwrap_err();
        assert_eq!((refusal.status(), refusal.retry_after().is_some()), (503, true), "{body}");
        world.pass(31);
    }
    world.serve(JWKS, jwks(&[&key]));
    assert_eq!(status(location.user(&world, &token)), 200);
    assert_eq!(world.count("Failed"), 4);
}

#[test]
fn cache_control_is_respected() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    let body = jwks(&[&key]).to_string().into_bytes();
    world.answer(JWKS, move |_| {
        Ok(Answer { status: 200, cache_control: Some("max-age=60".into()), body: body.clone() })
    });
    let location = Location::new("jwks_uri", JWKS, "expiry=0&jwks_uri.cache=none");
    for expected in [1, 1, 2, 2, 3] {
        assert_eq!(status(location.user(&world, &key.sign(&claims(json!({}))))), 200);
        assert_eq!(world.fetches(JWKS), expected);
        world.pass(30);
    }
}

/// Processes share documents: one fetch for all of them.
#[test]
fn processes_share_keys() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    world.serve(JWKS, jwks(&[&key]));
    let token = key.sign(&claims(json!({})));
    for _ in 0..5 {
        let process = Location::new("jwks_uri", JWKS, "");
        assert_eq!(status(process.user(&world, &token)), 200);
        let unknown = Signer::new(Some("unknown")).sign(&claims(json!({})));
        assert_eq!(status(process.user(&world, &unknown)), 401);
    }
    assert_eq!(world.fetches(JWKS), 1);
    let unverified = Location::new("jwks_uri", JWKS, "jwks_uri.ssl_verify=false");
    assert_eq!(status(unverified.user(&world, &token)), 200);
    assert_eq!(world.fetches(JWKS), 2, "a document from an unverified server is another document");
}

#[test]
fn preparation_leaves_nothing_to_wait_for() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    world.serve(JWKS, jwks(&[&key]));
    let keys = verifier("jwks_uri", JWKS, "jwks_uri.expiry=100&jwks_uri.cache=none&expiry=0");
    let location = Location::of(vec![keys.clone()]);
    for _ in 0..20 {
        keys.prepare(&world);
        let before = world.fetches(JWKS);
        assert_eq!(status(location.user(&world, &key.sign(&claims(json!({}))))), 200);
        assert_eq!(world.fetches(JWKS), before);
        world.pass(15);
    }
    assert!(world.fetches(JWKS) <= 4);
}

fn active(more: Value) -> Value {
    let mut answer = json!({"active": true, "sub": "joe"});
    more.as_object().unwrap().iter().for_each(|(name, value)| answer[name] = value.clone());
    answer
}

#[test]
fn introspection() {
    let (world, own) = (World::new(), Thumbprint::of_der(b"own"));
    let location = Location::new(
        "introspect",
        INTROSPECT,
        "introspect.auth=client_secret_basic&client_id=rs&client_secret=x&expiry=60&verify.cache=none",
    );
    world.serve(INTROSPECT, active(json!({"cnf": {"x5t#S256": own.to_base64url()}})));
    let proofs = Proofs { certificate: Some(&own), token_binding: None };
    for _ in 0..3 {
        assert_eq!(status(location.user_with(&world, "opaque", &proofs)), 200);
        assert_eq!(
            status(location.user(&world, "opaque")),
            401,
            "the binding counts for remembered verdicts too"
        );
    }
    assert_eq!(world.fetches(INTROSPECT), 1);
    let requests = world.requests.borrow();
    let (_, form, authorization) = &requests[0];
    assert_eq!(form, "token=opaque&token_type_hint=access_token");
    assert!(authorization.as_deref().unwrap().starts_with("Basic "));
    drop(requests);
    world.pass(60);
    assert_eq!(status(location.user_with(&world, "opaque", &proofs)), 200);
    assert_eq!(world.fetches(INTROSPECT), 2);
}

/// P-35, W7: what the answer says counts from the first use.
#[test]
fn introspection_answers_are_checked() {
    let world = World::new();
    let location = Location::new("introspect", INTROSPECT, "aud=api&iss=https://as&verify.cache=none");
    let good = json!({"aud": ["api"], "iss": "https://as"});
    let ask = |token: &str, more: Value| {
        let mut answer = active(good.clone());
        more.as_object().unwrap().iter().for_each(|(name, value)| answer[name] = value.clone());
        world.serve(INTROSPECT, answer);
        location.user(&world, token)
    };
    assert_eq!(status(ask("a", json!({}))), 200);
    for (number, (more, fault)) in [
        (json!({"exp": NOW - 1}), TokenFault::Expired),
        (json!({"exp": "soon"}), TokenFault::IllTyped("exp")),
        (json!({"nbf": NOW + 60}), TokenFault::NotYetValid),
        (json!({"aud": "other"}), TokenFault::Audience),
        (json!({"iss": "https://evil"}), TokenFault::Issuer),
        (json!({"token_type": "DPoP"}), sender_constraint::cnf::ConfirmationFault::NoSupportedMember.into()),
        (json!({"sub": 1}), TokenFault::NoUser),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask(&format!("b{number}"), more), Err(fault.into()));
    }
    for (number, answer) in
        ["{\"active\":\"true\",\"sub\":\"joe\"}", "{\"active\":1}", "{}", "nonsense"].iter().enumerate()
    {
        world.serve(INTROSPECT, answer);
        assert_eq!(status(location.user(&world, &format!("odd-{number}"))), 503);
    }
    // exp ends what is remembered
    assert_eq!(status(ask("c", json!({"exp": NOW + 5}))), 200);
    world.pass(5);
    assert_eq!(status(ask("c", json!({"exp": NOW + 5}))), 401);
}

/// W6: the same inactive token again and again asks once in ten seconds, and drives out no good one.
#[test]
fn inactive_tokens_are_remembered_for_ten_seconds() {
    let world = World::new();
    world.answer(INTROSPECT, |form| {
        let active = form.starts_with("token=good");
        let body = json!({"active": active, "sub": "joe"}).to_string().into_bytes();
        Ok(Answer { status: 200, cache_control: None, body })
    });
    let location = Location::new("introspect", INTROSPECT, "verify.cache=none");
    for _ in 0..20 {
        assert_eq!(location.user(&world, "bad"), Err(TokenFault::Inactive.into()));
    }
    assert_eq!(world.fetches(INTROSPECT), 1);
    world.pass(10);
    assert_eq!(status(location.user(&world, "bad")), 401);
    assert_eq!(world.fetches(INTROSPECT), 2);
    assert_eq!(status(location.user(&world, "good")), 200);
    for number in 0..5000 {
        assert_eq!(status(location.user(&world, &format!("bad-{number}"))), 401);
    }
    let before = world.fetches(INTROSPECT);
    assert_eq!(status(location.user(&world, "good")), 200);
    assert_eq!(world.fetches(INTROSPECT), before);
}

#[test]
fn a_server_that_hangs_is_left_alone() {
    let world = World::new();
    let location = Location::new("introspect", INTROSPECT, "");
    for number in 0..100 {
        let refusal = location.user(&world, &format!("t{number}")).unwrap_err();
        assert_eq!((refusal.status(), refusal.retry_after().is_some()), (503, true));
    }
    assert_eq!(world.fetches(INTROSPECT), 1);
    // an answer that is no use keeps nobody waiting and closes nothing
    world.pass(60);
    world.answer(INTROSPECT, |_| Ok(Answer { status: 400, ..Answer::default() }));
    for number in 0..10 {
        assert_eq!(location.user(&world, &format!("u{number}")), Err(Outage::Status(400).into()));
    }
    assert_eq!(world.fetches(INTROSPECT), 11);
}

/// Processes share verdicts; each belongs to its verifier, and what is stored is believed only while it is good.
#[test]
fn processes_share_introspection_verdicts() {
    let mut world = World::new();
    world.serve(INTROSPECT, active(json!({"exp": NOW + 100})));
    let location = Location::new("introspect", INTROSPECT, "");
    let other = Location::new("introspect", INTROSPECT, "verify.aud=skip");
    assert_eq!(status(location.user(&world, "opaque")), 200);
    world.restart();
    assert_eq!(status(location.user(&world, "opaque")), 200);
    assert_eq!((world.fetches(INTROSPECT), world.count("Shared")), (1, 1));
    assert_eq!(status(other.user(&world, "opaque")), 200);
    assert_eq!(world.fetches(INTROSPECT), 2, "another verifier asks for itself");
    world.pass(100);
    world.restart();
    world.serve(INTROSPECT, json!({"active": false}));
    assert_eq!(status(location.user(&world, "opaque")), 401);
    // a cache full of rubbish is an empty cache
    world.cache.borrow_mut().values_mut().for_each(|value| *value = vec![0xff; 40]);
    world.restart();
    world.serve(INTROSPECT, active(json!({})));
    assert_eq!(status(location.user(&world, "opaque")), 200);
}

#[test]
fn metadata_leads_to_keys_and_to_introspection() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    world.serve(
        METADATA,
        json!({"issuer": "https://as", "jwks_uri": JWKS, "introspection_endpoint": INTROSPECT}),
    );
    world.serve(JWKS, jwks(&[&key]));
    world.serve(INTROSPECT, active(json!({})));
    let location = Location::new("metadata", METADATA, "");
    let token = key.sign(&claims(json!({"iss": "https://as"})));
    assert_eq!(status(location.user(&world, &token)), 200);
    assert_eq!(world.fetches(INTROSPECT), 0);
    assert_eq!(status(location.user(&world, "opaque")), 200);
    assert_eq!((world.fetches(METADATA), world.fetches(JWKS), world.fetches(INTROSPECT)), (1, 1, 1));
    assert_eq!(location.user(&world, &key.sign(&claims(json!({})))), Err(TokenFault::Missing("iss").into()));
    let other = key.sign(&claims(json!({"iss": "https://other"})));
    assert_eq!(location.user(&world, &other), Err(TokenFault::Issuer.into()));
    let forged = Signer::new(Some("k")).sign(&claims(json!({"iss": "https://as"})));
    assert_eq!(location.user(&world, &forged), Err(TokenFault::Signature.into()));
    assert_eq!(world.fetches(INTROSPECT), 1, "a bad JWT is not asked about");
    world.serve(INTROSPECT, active(json!({"iss": "https://evil"})));
    assert_eq!(location.user(&world, "opaque-2"), Err(TokenFault::Issuer.into()));
    world.serve(INTROSPECT, active(json!({"iss": "https://as"})));
    assert_eq!(status(location.user(&world, "opaque-3")), 200);
}

#[test]
fn metadata_of_another_issuer_is_refused() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    world.serve(METADATA, json!({"issuer": "https://evil", "jwks_uri": JWKS}));
    world.serve(JWKS, jwks(&[&key]));
    let location = Location::new("metadata", METADATA, "metadata.cache=none");
    assert_eq!(status(location.user(&world, &key.sign(&claims(json!({"iss": "https://evil"}))))), 503);
    assert_eq!(world.fetches(JWKS), 0);
    world.pass(31);
    world.serve(METADATA, json!({"issuer": "https://as", "jwks_uri": JWKS}));
    assert_eq!(location.user(&world, "opaque"), Err(TokenFault::NotAJwt.into()), "no introspection there");
    assert_eq!(status(location.user(&world, &key.sign(&claims(json!({"iss": "https://as"}))))), 200);
}

#[test]
fn load_balancers() {
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/y";
    let base = "https://public-keys.auth.elb.eu-west-1.amazonaws.com/";
    let (world, key) = (World::new(), Signer::new(None));
    let pem = String::from_utf8(key.pem.clone()).unwrap();
    world.serve(&format!("{base}kid-1"), &pem);
    world.serve(&format!("{base}kid-2"), &pem);
    let location = Location::new("aws_alb", arn, "aws_alb.cache=none");
    let token = |kid: &str, signer: &str| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.to_owned());
        header.extras.insert("signer", signer);
        key.sign_with(&header, &claims(json!({"kid": kid})))
    };
    assert_eq!(status(location.user(&world, &token("kid-1", arn))), 200);
    assert_eq!(location.user(&world, &token("kid-1", "arn:other")), Err(TokenFault::Issuer.into()));
    world.pass(10);
    assert_eq!(status(location.user(&world, &token("kid-2", arn))), 200);
    assert_eq!(status(location.user(&world, &token("kid-1", arn))), 200, "the first key is still known");
    for evil in ["../../evil", "a/b", "a?b", "http://x", "", "%2e%2e"] {
        world.pass(60);
        assert_eq!(location.user(&world, &token(evil, arn)), Err(TokenFault::UnknownKey.into()), "{evil}");
    }
    assert_eq!(world.requests.borrow().len(), 2);
}
