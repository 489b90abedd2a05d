use super::*;
use crate::json::JsonFault;
use crate::jwk;
use jsonwebtoken::EncodingKey;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use proptest::prelude::*;
use serde_json::json;

const SECRET: &[u8] = &[7; 64];

fn keys() -> KeySet {
    KeySet::of(crate::verification_key::VerificationKey::from_secret(SECRET).unwrap())
}

fn sign(secret: &[u8], header: &str, payload: &str) -> String {
    let signed =
        format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload.as_bytes()));
    let mac = Signer::new(MessageDigest::sha256(), &PKey::hmac(secret).unwrap())
        .unwrap()
        .sign_oneshot_to_vec(signed.as_bytes())
        .unwrap();
    format!("{signed}.{}", base64url::encode(&mac))
}

fn verify(token: &str) -> Result<Object, TokenFault> {
    let unverified = Unverified::parse(token.as_bytes(), Padding::Refused)?;
    unverified.verify(&keys())?;
    Ok(unverified.into_claims())
}

fn verify_header(header: &str) -> Result<Object, TokenFault> {
    verify(&sign(SECRET, header, "{\"sub\":\"joe\"}"))
}

#[test]
fn a_good_token() {
    let claims = verify_header(r#"{"alg":"HS256","typ":"JWT","x":1}"#).unwrap();
    assert_eq!(json::string(&claims, "sub"), Some("joe"));
}

#[test]
fn alg_tricks() {
    for alg in ["none", "None", "nOnE", "", "HS257", "ES512", "RSA-OAEP", "dir"] {
        let header = json!({ "alg": alg }).to_string();
        assert_eq!(verify_header(&header), Err(TokenFault::Algorithm), "{alg}");
    }
    for header in ["{}", r#"{"alg":1}"#, r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#] {
        assert_eq!(verify_header(header), Err(TokenFault::Algorithm), "{header}");
    }
    // no key for it
    assert_eq!(verify_header(r#"{"alg":"RS256"}"#), Err(TokenFault::UnknownKey));
    let unsigned = format!("{}.{}.", base64url::encode(br#"{"alg":"none"}"#), base64url::encode(b"{}"));
    assert_eq!(verify(&unsigned), Err(TokenFault::NotAJwt));
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let pem = rsa.public_key_to_pem().unwrap();
    let set = KeySet::of(jwk::from_pem(&pem).unwrap());
    for secret in [pem, rsa.public_key_to_der().unwrap(), rsa.rsa().unwrap().n().to_vec()] {
        let token = sign(&secret, r#"{"alg":"HS256"}"#, "{}");
        let unverified = Unverified::parse(token.as_bytes(), Padding::Refused).unwrap();
        assert_eq!(unverified.verify(&set), Err(TokenFault::UnknownKey));
    }
}

#[test]
fn critical_parameters_are_refused() {
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("x")] {
        let header = json!({"alg": "HS256", "crit": crit, "b64": true}).to_string();
        assert_eq!(verify_header(&header), Err(TokenFault::Critical), "{crit}");
    }
}

#[test]
fn header_parameters_have_their_types() {
    for (name, value) in [("kid", json!(1)), ("typ", json!([])), ("x5c", json!("x")), ("jku", json!({}))] {
        let header = json!({"alg": "HS256", name: value}).to_string();
        assert_eq!(verify_header(&header), Err(TokenFault::Header), "{name}");
    }
    assert_eq!(verify_header(r#"{"alg":"HS256","enc":"A128GCM"}"#), Err(TokenFault::NotAJwt));
}

#[test]
fn a_key_in_the_token_is_never_used() {
    let own = [9; 64];
    let header = json!({"alg": "HS256", "jwk": {"kty": "oct", "k": base64url::encode(&own)}}).to_string();
    assert_eq!(verify(&sign(&own, &header, "{}")), Err(TokenFault::Signature));
}

#[test]
fn duplicate_members() {
    let duplicate = Err(TokenFault::Json(JsonFault::DuplicateMember));
    assert_eq!(verify_header(r#"{"alg":"HS256","alg":"HS256"}"#), duplicate);
    assert_eq!(verify_header(r#"{"alg":"HS256","a":1,"a":1}"#), duplicate);
    assert_eq!(verify(&sign(SECRET, r#"{"alg":"HS256"}"#, r#"{"sub":"a","sub":"b"}"#)), duplicate);
}

#[test]
fn only_the_compact_serialization() {
    let good = sign(SECRET, r#"{"alg":"HS256"}"#, "{}");
    let parts: Vec<_> = good.split('.').collect();
    let cases = [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b".into(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.x.y"),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('.', ","),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        format!("{}..{}", parts[0], parts[2]),
        format!(".{}.{}", parts[1], parts[2]),
        "\u{e9}.\u{e9}.\u{e9}".into(),
    ];
    for token in cases {
        assert!(verify(&token).is_err(), "{token}");
    }
    assert!(verify(&good).is_ok());
}

#[test]
fn another_encoding_of_the_signature_is_no_signature() {
    let good = sign(SECRET, r#"{"alg":"HS256"}"#, "{}");
    // 32 octets are 43 characters, the last of which has two unused bits
    let last = good.chars().last().unwrap();
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let twin = ALPHABET.chars().nth(ALPHABET.find(last).unwrap() + 1).unwrap();
    assert_eq!(verify(&format!("{}{twin}", &good[..good.len() - 1])), Err(TokenFault::NotAJwt));
}

#[test]
fn padding_is_tolerated_where_asked_for() {
    let pad = |text: &[u8]| {
        let text = base64url::encode(text);
        format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
    };
    let signed = format!("{}.{}", pad(br#"{"alg":"HS256"}"#), pad(br#"{"a":"bc"}"#));
    let mac = Signer::new(MessageDigest::sha256(), &PKey::hmac(SECRET).unwrap())
        .unwrap()
        .sign_oneshot_to_vec(signed.as_bytes())
        .unwrap();
    let token = format!("{signed}.{}", pad(&mac));
    assert!(Unverified::parse(token.as_bytes(), Padding::Tolerated).unwrap().verify(&keys()).is_ok());
    assert!(Unverified::parse(token.as_bytes(), Padding::Refused).is_err());
}

#[test]
fn work_per_token_is_bounded() {
    let jwk = json!({"kty": "oct", "k": base64url::encode(&[1; 32])});
    let wrong = jwk::from_jwk(jwk.to_string().as_bytes()).unwrap();
    let token = sign(SECRET, r#"{"alg":"HS256"}"#, "{}");
    let set = (1..MAX_SIGNATURE_CHECKS).fold(KeySet::of(wrong.clone()), |set, _| set.with(wrong.clone()));
    let set = set.with(crate::verification_key::VerificationKey::from_secret(SECRET).unwrap());
    let unverified = Unverified::parse(token.as_bytes(), Padding::Refused).unwrap();
    assert_eq!(unverified.verify(&set), Err(TokenFault::Signature), "the good key is one too far");
}

#[test]
fn what_jsonwebtoken_makes_verifies() {
    crate::provider::install();
    let mut header = Header::new(Algorithm::HS512);
    header.kid = Some("k".into());
    let token = jsonwebtoken::encode(&header, &json!({"a": 1}), &EncodingKey::from_secret(SECRET)).unwrap();
    assert!(verify(&token).is_ok());
}

#[test]
fn jwts_are_told_from_opaque_tokens() {
    assert!(looks_like_jwt(sign(SECRET, r#"{"alg":"HS256"}"#, "{}").as_bytes()));
    for token in ["", "opaque", "a.b.c", "e30.e30.e30"] {
        assert!(!looks_like_jwt(token.as_bytes()), "{token}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(token in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(unverified) = Unverified::parse(&token, Padding::Tolerated) {
            let _ = unverified.verify(&keys());
        }
        let _ = looks_like_jwt(&token);
    }

    #[test]
    fn any_changed_octet_is_noticed(index in 0usize..80, flip in 1u8..=255) {
        let mut token = sign(SECRET, r#"{"alg":"HS256","kid":"k"}"#, r#"{"sub":"joe","exp":1}"#).into_bytes();
        let index = index % token.len();
        token[index] ^= flip;
        let verdict = Unverified::parse(&token, Padding::Refused).and_then(|token| token.verify(&keys()));
        prop_assert!(verdict.is_err());
    }
}
