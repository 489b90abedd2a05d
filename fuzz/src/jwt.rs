//! JWTs: accepted is what one of our keys signed, with its own algorithm, octet by octet, and nothing else.

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey};
use openssl::pkey::PKey;
use sender_constraint::jwk::{self, KeySet};
use sender_constraint::jwt::{MAX_TOKEN, Padding, Unverified, looks_like_jwt};
use sender_constraint::provider;
use sender_constraint::verification_key::VerificationKey;
use token_binding::base64url;

use crate::input::Choices;
use crate::slow::json::Json;
use crate::{keys, nothing_left_in_openssl, slow};

/// A key of an authorization server.
pub struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    name: &'static str,
    kid: Option<&'static str>,
}

/// The cheap ones first and twice.
static SIGNERS: LazyLock<Vec<Signer>> = LazyLock::new(|| {
    provider::install();
    let pkcs8 = |pem: &str| {
        PKey::private_key_from_pem(pem.as_bytes()).and_then(|key| key.private_key_to_pkcs8()).expect("a key")
    };
    let rsa = |pem: &str| {
        let key = PKey::private_key_from_pem(pem.as_bytes()).and_then(|key| key.rsa()).expect("a key");
        EncodingKey::from_rsa_der(&key.private_key_to_der().expect("a key"))
    };
    let signer = |key, algorithm, name, kid| Signer { key, algorithm, name, kid };
    let secret = || EncodingKey::from_secret(keys::SECRET.as_bytes());
    vec![
        signer(secret(), Algorithm::HS256, "HS256", Some("secret")),
        signer(EncodingKey::from_ec_der(&pkcs8(keys::EC[0])), Algorithm::ES256, "ES256", Some("ec")),
        signer(EncodingKey::from_ec_der(&pkcs8(keys::EC[1])), Algorithm::ES256, "ES256", None),
        signer(EncodingKey::from_ed_der(&pkcs8(keys::ED)), Algorithm::EdDSA, "EdDSA", Some("ed")),
        signer(secret(), Algorithm::HS512, "HS512", Some("secret")),
        signer(secret(), Algorithm::HS384, "HS384", Some("secret")),
        signer(EncodingKey::from_ec_der(&pkcs8(keys::P384)), Algorithm::ES384, "ES384", None),
        signer(rsa(keys::RSA[0]), Algorithm::RS256, "RS256", Some("rsa")),
        signer(rsa(keys::RSA[0]), Algorithm::PS256, "PS256", Some("rsa")),
        signer(rsa(keys::RSA[1]), Algorithm::RS512, "RS512", None),
    ]
});

fn public(pem: &str, kid: Option<&str>) -> VerificationKey {
    let key = PKey::private_key_from_pem(pem.as_bytes()).and_then(|key| key.public_key_to_pem());
    jwk::from_pem(&key.expect("a key")).expect("a key").with_kid(kid.map(str::to_owned))
}

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let secret = VerificationKey::from_secret(keys::SECRET.as_bytes()).expect("a secret");
    KeySet::of(secret.with_kid(Some("secret".into())))
        .with(public(keys::EC[0], Some("ec")))
        .with(public(keys::EC[1], None))
        .with(public(keys::ED, Some("ed")))
        .with(public(keys::P384, None))
        .with(public(keys::RSA[0], Some("rsa")))
        .with(public(keys::RSA[1], None))
});

/// Signs with the signer of this number.
pub fn sign(signer: usize, header: &[u8], claims: &[u8]) -> String {
    let signer = &SIGNERS[signer];
    let signed = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &signer.key, signer.algorithm);
    format!("{signed}.{}", signature.expect("signs"))
}

/// A token that was made here and perhaps changed, or any octets.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.rarely(4) {
        let octets = choices.rest();
        assert!(!judge(octets, Padding::Refused, None) && !judge(octets, Padding::Tolerated, None));
        return;
    }
    let number = choices.below(SIGNERS.len());
    let token = sign(number, header(&mut choices, number).as_bytes(), claims(&mut choices).as_bytes());
    let mut changed = token.clone().into_bytes();
    if choices.rarely(2) {
        choices.change(&mut changed);
    }
    for padding in [Padding::Refused, Padding::Tolerated] {
        judge(&changed, padding, Some((number, token.as_bytes())));
    }
}

fn header(choices: &mut Choices<'_>, signer: usize) -> String {
    let claimed = if choices.rarely(4) { choices.below(SIGNERS.len()) } else { signer };
    let algorithm = match choices.below(16) {
        14 => "none".to_owned(),
        15 => choices.text(),
        _ => SIGNERS[claimed].name.to_owned(),
    };
    let mut header = serde_json::json!({ "alg": algorithm });
    match choices.below(8) {
        5 => header["kid"] = choices.text().into(),
        6 => header["kid"] = "rsa".into(),
        7 => (),
        _ => header["kid"] = SIGNERS[claimed].kid.into(),
    }
    let more = ["crit", "enc", "zip", "b64", "jwk", "jku", "x5c", "typ", "cty", "p2c", "signer", "x5t#S256"];
    if choices.rarely(4) {
        let values = ["[\"b64\"]", "\"at+jwt\"", "{}", "null", "1", "[]", "\"A128GCM\""];
        header[*choices.one(&more)] = serde_json::from_str(choices.one::<&str>(&values)).unwrap_or_default();
    }
    if header["kid"].is_null() {
        let _ = header.as_object_mut().and_then(|header| header.remove("kid"));
    }
    header.to_string()
}

fn claims(choices: &mut Choices<'_>) -> String {
    if choices.rarely(2) { choices.text() } else { "{\"sub\":\"joe\",\"exp\":4000000000}".to_owned() }
}

/// What RFC 7515 §7.1 makes of a token.
struct Slow<'t> {
    header: Json,
    claims: Json,
    signed: &'t [u8],
    signature: Vec<u8>,
}

const ALGORITHMS: [&str; 12] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
    "EdDSA",
];

fn parse(token: &[u8], padding: Padding) -> Option<Slow<'_>> {
    let parts: Vec<_> = token.split(|octet| *octet == b'.').collect();
    let [header, claims, signature] = parts.as_slice() else { return None };
    let decode = |part: &[u8]| {
        let padded = part.iter().rev().take_while(|octet| **octet == b'=').count();
        let tolerated = if padding == Padding::Tolerated { padded } else { 0 };
        slow::base64url::decode(&part[..part.len() - tolerated])
    };
    let signed = &token[..header.len() + 1 + claims.len()];
    let (header, claims) =
        (slow::json::parse_object(&decode(header)?)?, slow::json::parse_object(&decode(claims)?)?);
    let known = header.get("alg").and_then(Json::text).is_some_and(|name| ALGORITHMS.contains(&name));
    let strange = ["crit", "enc", "zip"].iter().any(|name| header.get(name).is_some());
    let signature = decode(signature).filter(|_| !signature.is_empty())?;
    (known && !strange).then_some(Slow { header, claims, signed, signature })
}

/// Whether the header has nothing but what is sure to be read: RFC 7515 gives types to the rest.
fn is_plain(header: &Json) -> bool {
    let Json::Object(members) = header else { return false };
    members
        .iter()
        .all(|(name, value)| ["alg", "kid", "typ"].contains(&name.as_str()) && value.text().is_some())
}

/// Whether the token is accepted, which it is if and only if it is the one that `made` says was made.
fn judge(token: &[u8], padding: Padding, made: Option<(usize, &[u8])>) -> bool {
    if token.len() > MAX_TOKEN {
        return false;
    }
    let (ours, theirs) = (Unverified::parse(token, padding).ok(), parse(token, padding));
    assert!(ours.is_none() || theirs.is_some(), "accepted by ours alone");
    assert!(
        ours.is_some() || !theirs.is_some_and(|theirs| is_plain(&theirs.header)),
        "refused by ours alone"
    );
    let Some((ours, theirs)) = ours.zip(parse(token, padding)) else { return false };
    assert!(looks_like_jwt(token));
    crate::json::same(&serde_json::Value::Object(ours.claims().clone()), &theirs.claims);
    let kid = theirs.header.get("kid").and_then(Json::text).filter(|kid| !kid.is_empty());
    assert_eq!(ours.kid(), kid);
    let accepted = ours.verify(&KEYS).is_ok();
    nothing_left_in_openssl();
    assert_eq!(accepted, made.is_some_and(|made| is_genuine(&theirs, kid, made)));
    accepted
}

fn is_genuine(token: &Slow<'_>, kid: Option<&str>, (signer, made): (usize, &[u8])) -> bool {
    let signer = &SIGNERS[signer];
    let dot = made.iter().rposition(|octet| *octet == b'.').expect("two dots");
    token.signed == &made[..dot]
        && Some(&token.signature) == slow::base64url::decode(&made[dot + 1..]).as_ref()
        && token.header.get("alg").and_then(Json::text) == Some(signer.name)
        && kid.is_none_or(|kid| signer.kid.is_none_or(|own| own == kid))
}
