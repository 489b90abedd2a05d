//! Keys: a set verifies only what a key in it signed, by the type of that key, whatever else the document says.

use std::sync::LazyLock;

use openssl::bn::BigNum;
use openssl::pkey::PKey;
use sender_constraint::jwk::{self, KeySet, MAX_KEYS};
use sender_constraint::jwt::{Padding, Unverified};
use serde_json::{Value, json};
use token_binding::base64url;

use crate::input::Choices;
use crate::slow::json::Json;
use crate::{jwt, keys, nothing_left_in_openssl, slow};

/// The public keys of the signers in [`jwt`] and the secret, as JWKs.
pub static JWKS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let rsa = |pem: &str| {
        let key = PKey::private_key_from_pem(pem.as_bytes()).and_then(|key| key.rsa()).expect("a key");
        json!({"kty": "RSA", "n": base64url::encode(&key.n().to_vec()), "e": base64url::encode(&key.e().to_vec())})
    };
    let ec = |pem: &str, curve: &str, length: i32| {
        let key = PKey::private_key_from_pem(pem.as_bytes()).and_then(|key| key.ec_key()).expect("a key");
        let (mut x, mut y) = (BigNum::new().expect("memory"), BigNum::new().expect("memory"));
        let mut context = openssl::bn::BigNumContext::new().expect("memory");
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).expect("a point");
        let text = |number: &BigNum| base64url::encode(&number.to_vec_padded(length).expect("fits"));
        json!({"kty": "EC", "crv": curve, "x": text(&x), "y": text(&y)})
    };
    let ed =
        PKey::private_key_from_pem(keys::ED.as_bytes()).and_then(|key| key.raw_public_key()).expect("a key");
    vec![
        rsa(keys::RSA[0]),
        ec(keys::EC[0], "P-256", 32),
        ec(keys::P384, "P-384", 48),
        json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&ed)}),
        json!({"kty": "oct", "k": base64url::encode(keys::SECRET.as_bytes())}),
        rsa(keys::RSA[1]),
    ]
});

/// What each of those keys signed: number of the key, token.
static TOKENS: LazyLock<Vec<(usize, String)>> = LazyLock::new(|| {
    let claims = b"{\"sub\":\"joe\"}";
    [(0, 7, "RS256"), (0, 8, "PS256"), (1, 1, "ES256"), (2, 6, "ES384"), (3, 3, "EdDSA"), (4, 0, "HS256")]
        .map(|(key, signer, name)| {
            (key, jwt::sign(signer, format!("{{\"alg\":\"{name}\"}}").as_bytes(), claims))
        })
        .into()
});

/// A key set of sound keys with one thing wrong, or any octets; read as a set, as a key and as PEM.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let document = if choices.rarely(3) { choices.rest().to_vec() } else { document(&mut choices) };
    set(&document);
    single(&document);
    let _ = jwk::from_pem(&document);
    nothing_left_in_openssl();
}

/// A set, or one key.
pub fn document(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut jwks: Vec<Value> = Vec::new();
    for _ in 0..=choices.below(4) {
        let mut jwk = choices.one(&JWKS).clone();
        for _ in 0..choices.below(3) {
            let name =
                *choices.one(&["kty", "n", "e", "crv", "x", "y", "k", "use", "key_ops", "alg", "kid", "d"]);
            let texts =
                ["sig", "enc", "RSA", "EC", "oct", "RS256", "ES256", "HS256", "P-256", "AQAB", "AAAB", ""];
            jwk[name] = match choices.below(4) {
                0 => (*choices.one(&texts)).into(),
                1 => choices.one(&JWKS)[name].clone(),
                2 => json!([choices.one(&["verify", "sign"])]),
                _ => choices.text().into(),
            };
        }
        jwks.push(jwk);
    }
    let value = if choices.rarely(2) { jwks.swap_remove(0) } else { json!({"keys": jwks}) };
    let mut text = value.to_string().into_bytes();
    if choices.rarely(4) {
        choices.change(&mut text);
    }
    text
}

fn verifies(keys: &KeySet, token: &str) -> bool {
    Unverified::parse(token.as_bytes(), Padding::Refused).expect("our own").verify(keys).is_ok()
}

fn set(document: &[u8]) {
    let Ok(set) = KeySet::from_jwks(document) else { return };
    let read = slow::json::parse_object(document).expect("refused by one");
    let Some(Json::Array(listed)) = read.get("keys") else { panic!("no keys") };
    for (key, token) in TOKENS.iter().filter(|(_, token)| verifies(&set, token)) {
        let is_there = listed.iter().take(MAX_KEYS).any(|listed| is_key(listed, *key));
        assert!(is_there, "a token verifies by a key that is not in the set: {token}");
        assert_ne!(*key, 4, "a symmetric key was fetched");
    }
}

fn single(text: &[u8]) {
    let Ok(key) = jwk::from_jwk(text) else { return };
    let read = slow::json::parse_object(text).expect("refused by one");
    assert!(["d", "p", "q", "dp", "dq", "qi", "oth"].iter().all(|member| read.get(member).is_none()));
    let set = KeySet::of(key);
    for (number, _) in TOKENS.iter().filter(|(_, token)| verifies(&set, token)) {
        assert!(is_key(&read, *number));
    }
}

/// Whether a JWK is this one of ours, as far as arithmetic goes: RFC 7518 §6.3.1 forbids leading zeros, and they change
/// nothing.
fn is_key(jwk: &Json, number: usize) -> bool {
    let own = &JWKS[number];
    let number_of = |text: &str| {
        let octets = slow::base64url::decode(text.as_bytes())?;
        Some(octets.into_iter().skip_while(|octet| *octet == 0).collect::<Vec<_>>())
    };
    let same_number = |name: &str| {
        let (given, own) = (jwk.get(name).and_then(Json::text), own[name].as_str());
        given.zip(own).is_some_and(|(given, own)| number_of(given) == number_of(own))
    };
    let same_text = |name: &str| jwk.get(name).and_then(Json::text) == own[name].as_str();
    let numbers: &[&str] = match own["kty"].as_str() {
        Some("RSA") => &["n", "e"],
        Some("EC") => &["x", "y"],
        Some("OKP") => &["x"],
        _ => &["k"],
    };
    same_text("kty")
        && (own["crv"].is_null() || same_text("crv"))
        && numbers.iter().all(|name| same_number(name))
}
