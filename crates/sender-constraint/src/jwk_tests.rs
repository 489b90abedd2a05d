use super::*;
use openssl::bn::BigNumContext;
use openssl::pkey::{PKeyRef, Private};
use proptest::prelude::*;
use serde_json::json;

fn b64(number: &openssl::bn::BigNumRef) -> String {
    base64url::encode(&number.to_vec())
}

fn rsa_jwk(bits: u32) -> (PKey<Private>, Value) {
    let rsa = Rsa::generate(bits).unwrap();
    let jwk = json!({"kty": "RSA", "n": b64(rsa.n()), "e": b64(rsa.e())});
    (PKey::from_rsa(rsa).unwrap(), jwk)
}

fn ec_jwk(curve: Nid, name: &str, length: i32) -> Value {
    let group = EcGroup::from_curve_name(curve).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let mut context = BigNumContext::new().unwrap();
    key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
    let coordinate = |number: &BigNum| base64url::encode(&number.to_vec_padded(length).unwrap());
    json!({"kty": "EC", "crv": name, "x": coordinate(&x), "y": coordinate(&y)})
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn read(jwk: &Value) -> Result<VerificationKey, JwkError> {
    from_jwk(jwk.to_string().as_bytes())
}

#[test]
fn types_and_algorithms() {
    let rsa = read(&rsa_jwk(2048).1).unwrap();
    assert!(rsa.verifies(Algorithm::RS256) && rsa.verifies(Algorithm::PS512));
    assert!(!rsa.verifies(Algorithm::ES256) && !rsa.verifies(Algorithm::HS256));
    let p256 = read(&ec_jwk(Nid::X9_62_PRIME256V1, "P-256", 32)).unwrap();
    assert!(p256.verifies(Algorithm::ES256) && !p256.verifies(Algorithm::ES384));
    assert!(read(&ec_jwk(Nid::SECP384R1, "P-384", 48)).unwrap().verifies(Algorithm::ES384));
    assert!(matches!(read(&ec_jwk(Nid::SECP521R1, "P-521", 66)), Err(JwkError::Key(KeyError::Type))));
    let ed = PKey::generate_ed25519().unwrap().raw_public_key().unwrap();
    let okp = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&ed)});
    assert!(read(&okp).unwrap().verifies(Algorithm::EdDSA));
    assert!(read(&with(okp, "x", json!("AAAA"))).is_err());
    assert!(
        read(&json!({"kty": "oct", "k": base64url::encode(&[1; 32])})).unwrap().verifies(Algorithm::HS256)
    );
    assert!(read(&json!({"kty": "oct", "k": "c2hvcnQ"})).is_err());
    assert_eq!(read(&json!({"kty": "AKP"})).err(), Some(JwkError::Key(KeyError::Type)));
    assert_eq!(read(&json!({})).err(), Some(JwkError::Member("kty")));
}

#[test]
fn small_rsa_keys_are_refused() {
    assert_eq!(read(&rsa_jwk(1024).1).err(), Some(JwkError::Key(KeyError::RsaSize(1024))));
}

#[test]
fn points_off_the_curve_are_refused() {
    let jwk = ec_jwk(Nid::X9_62_PRIME256V1, "P-256", 32);
    let x = jwk["x"].clone();
    assert!(read(&with(jwk.clone(), "y", x)).is_err());
    assert!(read(&with(jwk.clone(), "crv", json!("P-384"))).is_err());
    assert!(read(&with(jwk, "x", json!("AQ"))).is_err(), "a coordinate without its leading zeros");
}

#[test]
fn alg_use_and_key_ops_restrict() {
    let (_, jwk) = rsa_jwk(2048);
    let only = read(&with(jwk.clone(), "alg", json!("PS256"))).unwrap();
    assert!(only.verifies(Algorithm::PS256) && !only.verifies(Algorithm::RS256));
    for alg in [json!("ES256"), json!("HS256"), json!("RSA-OAEP"), json!("none"), json!(1)] {
        assert_eq!(read(&with(jwk.clone(), "alg", alg)).err(), Some(JwkError::Algorithm));
    }
    assert!(read(&with(jwk.clone(), "use", json!("sig"))).is_ok());
    for usage in [json!("enc"), json!(["sig"]), json!(null), json!("SIG")] {
        assert_eq!(read(&with(jwk.clone(), "use", usage)).err(), Some(JwkError::Use));
    }
    assert!(read(&with(jwk.clone(), "key_ops", json!(["verify"]))).is_ok());
    assert_eq!(read(&with(jwk, "key_ops", json!(["encrypt"]))).err(), Some(JwkError::Use));
}

#[test]
fn a_private_key_is_refused_in_the_configuration_and_public_in_a_fetched_set() {
    let (private, jwk) = rsa_jwk(2048);
    let jwk = with(jwk, "d", json!(b64(private.rsa().unwrap().d())));
    assert_eq!(read(&jwk).err(), Some(JwkError::Private));
    let set = KeySet::from_jwks(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
    assert_eq!(set.candidates(None, Algorithm::RS256).count(), 1);
}

#[test]
fn sets_keep_what_can_be_used() {
    let jwks = json!({"keys": [
        with(rsa_jwk(2048).1, "kid", json!("one")),
        with(rsa_jwk(2048).1, "use", json!("enc")),
        rsa_jwk(1024).1,
        {"kty": "oct", "k": base64url::encode(&[1; 64])},
        {"kty": "future"}, 1, null, [],
        with(ec_jwk(Nid::X9_62_PRIME256V1, "P-256", 32), "kid", json!("two")),
        ec_jwk(Nid::X9_62_PRIME256V1, "P-256", 32),
    ]});
    let set = KeySet::from_jwks(jwks.to_string().as_bytes()).unwrap();
    let count = |kid, algorithm| set.candidates(kid, algorithm).count();
    assert_eq!(count(None, Algorithm::RS256), 1);
    assert_eq!(count(Some("one"), Algorithm::RS256), 1);
    assert_eq!(count(Some("other"), Algorithm::RS256), 0);
    assert_eq!(count(Some("two"), Algorithm::ES256), 2, "a key without an ID may be meant by any");
    assert_eq!(count(Some("x"), Algorithm::ES256), 1);
    assert_eq!(count(None, Algorithm::HS256), 0, "a secret that is published is none");
    for bad in ["{}", "{\"keys\":[]}", "{\"keys\":{}}", "{\"keys\":[{\"kty\":\"future\"}]}"] {
        assert_eq!(KeySet::from_jwks(bad.as_bytes()).err(), Some(JwkError::NoKeys), "{bad}");
    }
    assert!(matches!(KeySet::from_jwks(b"<html>"), Err(JwkError::Json(_))));
    assert!(matches!(KeySet::from_jwks(br#"{"keys":[],"keys":[]}"#), Err(JwkError::Json(_))));
}

#[test]
fn sets_are_bounded() {
    let many = vec![ec_jwk(Nid::X9_62_PRIME256V1, "P-256", 32); MAX_KEYS + 10];
    let set = KeySet::from_jwks(json!({"keys": many}).to_string().as_bytes()).unwrap();
    assert_eq!(set.candidates(None, Algorithm::ES256).count(), MAX_KEYS);
}

fn certificate(key: &PKeyRef<Private>) -> Vec<u8> {
    let mut builder = X509::builder().unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(1).unwrap()).unwrap();
    let digest = if key.id() == Id::ED25519 {
        openssl::hash::MessageDigest::null()
    } else {
        openssl::hash::MessageDigest::sha256()
    };
    builder.sign(key, digest).unwrap();
    builder.build().to_pem().unwrap()
}

#[test]
fn pem_of_all_kinds() {
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let ec = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
    let ec = PKey::from_ec_key(ec).unwrap();
    let ed = PKey::generate_ed25519().unwrap();
    assert!(from_pem(&certificate(&rsa)).unwrap().verifies(Algorithm::RS256));
    assert!(from_pem(&certificate(&ec)).unwrap().verifies(Algorithm::ES256));
    assert!(from_pem(&rsa.public_key_to_pem().unwrap()).unwrap().verifies(Algorithm::PS256));
    assert!(from_pem(&ed.public_key_to_pem().unwrap()).unwrap().verifies(Algorithm::EdDSA));
    let pkcs1 = rsa.rsa().unwrap().public_key_to_pem_pkcs1().unwrap();
    assert!(from_pem(&pkcs1).unwrap().verifies(Algorithm::RS256));
    assert_eq!(from_pem(&rsa.private_key_to_pem_pkcs8().unwrap()).err(), Some(JwkError::Private));
    assert_eq!(from_pem(b"hello").err(), Some(JwkError::Pem));
    assert_eq!(from_pem(b"-----BEGIN PUBLIC KEY-----\nAAAA\n").err(), Some(JwkError::Pem));
}

#[test]
fn a_jwk_and_a_pem_of_one_key_are_one_key() {
    let (private, jwk) = rsa_jwk(2048);
    let pem = from_pem(&private.public_key_to_pem().unwrap()).unwrap();
    assert_eq!(read(&jwk).unwrap().fingerprint(), pem.fingerprint());
}

proptest! {
    #[test]
    fn garbage_never_panics(kty in "RSA|EC|OKP|oct", name in "n|e|x|y|k|crv|kid|alg|use", text in "[A-Za-z0-9_-]{0,50}") {
        let _ = read(&json!({"kty": kty, "crv": "P-256", "n": text, "e": "AQAB", name: text}));
    }
}
