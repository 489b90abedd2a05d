//! Several requests at the same time: who waits for the authorization server, and what the others are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use common::{Location, NOW, Signer, World, claims, jwks, status};
use sender_constraint::exchange::Answer;
use sender_constraint::refusal::{Outage, TokenFault};
use serde_json::json;

const JWKS: &str = "https://as/jwks";
const INTROSPECT: &str = "https://as/introspect";

/// Workers of this or other processes wait for it: nobody else does, nothing is taken for a failure, and all is well as soon as
/// they left.
#[test]
fn a_server_that_many_wait_for_is_not_asked() {
    for in_this_process in [true, false] {
        many_wait(in_this_process);
    }
}

fn many_wait(in_this_process: bool) {
    let (world, old, new) = (World::new(), Signer::new(Some("old")), Signer::new(Some("new")));
    world.serve(JWKS, jwks(&[&old, &new]));
    world.serve(INTROSPECT, json!({"active": true, "sub": "joe", "exp": NOW + 100}));
    let keys = Location::new("jwks_uri", JWKS, "jwks_uri.cache=none&jwks_uri.expiry=60");
    let opaque = Location::new("introspect", INTROSPECT, "");
    let token = old.sign(&claims(json!({})));
    let waiting = world.crowd("https://AS:443/anything", in_this_process);
    for _ in 0..3 {
        assert_eq!(keys.user(&world, &token), Err(Outage::Crowded.into()));
        assert_eq!(keys.user(&world, &token), Err(Outage::Pending.into()), "the next try is a second later");
        assert_eq!(opaque.user(&world, "opaque"), Err(Outage::Crowded.into()));
        world.pass(1);
    }
    assert_eq!((world.fetches(JWKS), world.fetches(INTROSPECT)), (0, 0));
    assert_eq!((world.count("Failed"), world.count("Introspected")), (0, 0));
    drop(waiting);
    assert_eq!(status(keys.user(&world, &token)), 200);
    assert_eq!(status(opaque.user(&world, "opaque")), 200);
    // What there is serves on, fresh or stale, and a key that could not be looked for is not called unknown.
    world.serve(JWKS, jwks(&[&new]));
    world.pass(10);
    let waiting = world.crowd(JWKS, in_this_process);
    assert_eq!(status(keys.user(&world, &old.sign(&claims(json!({"n": 1}))))), 200);
    let stranger = Signer::new(Some("stranger")).sign(&claims(json!({})));
    assert_eq!(keys.user(&world, &stranger), Err(Outage::Crowded.into()));
    assert_eq!(keys.user(&world, &stranger), Err(Outage::Pending.into()));
    world.pass(900);
    assert_eq!(status(keys.user(&world, &old.sign(&claims(json!({"n": 2}))))), 200);
    drop(waiting);
    world.pass(1);
    assert_eq!(keys.user(&world, &stranger), Err(TokenFault::UnknownKey.into()));
}

/// Nobody waits for a file.
#[test]
fn a_file_is_read_though_many_wait() {
    let (world, key) = (World::new(), Signer::new(Some("k")));
    let file = "file:///etc/jwks.json";
    world.serve(file, jwks(&[&key]));
    let _waiting = [true, false].map(|in_this_process| world.crowd("https://as/", in_this_process));
    let location = Location::new("jwks_uri", file, "");
    assert_eq!(status(location.user(&world, &key.sign(&claims(json!({}))))), 200);
}

/// A token with a new key comes while another one's new key is fetched: before its end nobody knows, afterwards the key is there.
#[test]
fn a_new_key_that_somebody_else_is_fetching_is_not_called_unknown() {
    let (old, new) = (Signer::new(Some("old")), Signer::new(Some("new")));
    let (world, body) = (Rc::new(World::new()), jwks(&[&old, &new]).to_string().into_bytes());
    world.serve(JWKS, jwks(&[&old]));
    let location = Rc::new(Location::new("jwks_uri", JWKS, "jwks_uri.cache=none"));
    assert_eq!(status(location.user(&world, &old.sign(&claims(json!({}))))), 200);
    world.pass(10);
    let tokens = [1, 2, 3].map(|n| new.sign(&claims(json!({ "n": n }))));
    let [first, second, third] = tokens.clone();
    let (asker, asked) = (Rc::clone(&world), Rc::clone(&location));
    world.answer(JWKS, move |_| {
        assert_eq!(asked.user(&asker, &second), Err(Outage::Pending.into()));
        Ok(Answer { status: 200, cache_control: None, body: body.clone() })
    });
    // The third one has looked at the keys when the first one fetches newer ones.
    let (asker, asked) = (Rc::clone(&world), Rc::clone(&location));
    let fetched = move || assert_eq!(status(asked.user(&asker, &first)), 200);
    *world.meanwhile.borrow_mut() = vec![Some(Box::new(fetched)), None];
    assert_eq!(status(location.user(&world, &third)), 200);
    assert_eq!(world.fetches(JWKS), 2);
    assert_eq!(status(location.user(&world, &tokens[1])), 200);
    let stranger = Signer::new(Some("stranger")).sign(&claims(json!({})));
    assert_eq!(location.user(&world, &stranger), Err(TokenFault::UnknownKey.into()));
}
