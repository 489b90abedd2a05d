//! Access tokens as authorization servers and attackers make them: JWTs put together octet by octet over OpenSSL, not by
//! the library that the module uses.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::{Value, json};
use token_binding::base64url;

use crate::common::certificates::Identity;

/// The issuer of all tokens that do not say otherwise.
pub const ISSUER: &str = "https://as.test";

/// 64 octets, enough for HS512.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A key of an authorization server.
pub struct Key {
    pub kid: &'static str,
    /// The `alg` of its tokens (RFC 7518 §3.1).
    pub algorithm: &'static str,
    pub private: PKey<Private>,
}

/// The keys of this test run. `one` signs wherever nothing else is said; nobody trusts `stranger`.
pub struct Keys {
    pub one: Key,
    pub pss: Key,
    pub ec: Key,
    pub p384: Key,
    pub ed25519: Key,
    pub secret: Key,
    pub stranger: Key,
}

pub fn keys() -> &'static Keys {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
        one: Key { kid: "one", algorithm: "RS256", private: rsa() },
        pss: Key { kid: "pss", algorithm: "PS256", private: rsa() },
        ec: Key { kid: "ec", algorithm: "ES256", private: ec(Nid::X9_62_PRIME256V1) },
        p384: Key { kid: "p384", algorithm: "ES384", private: ec(Nid::SECP384R1) },
        ed25519: Key { kid: "ed", algorithm: "EdDSA", private: PKey::generate_ed25519().unwrap() },
        secret: Key { kid: "secret", algorithm: "HS256", private: PKey::hmac(SECRET).unwrap() },
        stranger: Key { kid: "one", algorithm: "RS256", private: rsa() },
    });
    &KEYS
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn ec(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims of a token that is good for five minutes, with these on top.
pub fn claims(more: Value) -> Value {
    let mut claims = json!({"iss": ISSUER, "sub": "joe", "iat": now(), "exp": now() + 300});
    claims.as_object_mut().unwrap().extend(more.as_object().expect("an object").clone());
    claims
}

/// A good token of the key `one` with these claims.
pub fn token(more: Value) -> String {
    keys().one.token(&claims(more))
}

/// RFC 8705 §3.1: bound to this certificate.
pub fn bound_to(identity: &Identity) -> Value {
    let der = identity.certificate.to_der().unwrap();
    json!({"cnf": {"x5t#S256": base64url::encode(&hash(MessageDigest::sha256(), &der).unwrap())}})
}

impl Key {
    /// The header of its tokens.
    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm, "kid": self.kid, "typ": "at+jwt"})
    }

    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }

    /// A token with any header, signed by the algorithm of the key all the same.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_octets(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// RFC 7515 §5.1, of whatever octets.
    pub fn sign_octets(&self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", base64url::encode(&signature))
    }

    fn signature(&self, signed: &[u8]) -> Vec<u8> {
        match self.private.id() {
            Id::EC => self.ecdsa(signed),
            Id::ED25519 => {
                Signer::new_without_digest(&self.private).unwrap().sign_oneshot_to_vec(signed).unwrap()
            }
            _ => {
                let mut signer = Signer::new(MessageDigest::sha256(), &self.private).unwrap();
                if self.algorithm == "PS256" {
                    signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                    signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
                }
                signer.sign_oneshot_to_vec(signed).unwrap()
            }
        }
    }

    /// RFC 7518 §3.4: R and S side by side.
    fn ecdsa(&self, signed: &[u8]) -> Vec<u8> {
        let (digest, half) = match self.algorithm {
            "ES384" => (MessageDigest::sha384(), 48),
            _ => (MessageDigest::sha256(), 32),
        };
        let digest = hash(digest, signed).unwrap();
        let signature = EcdsaSig::sign(&digest, &self.private.ec_key().unwrap()).unwrap();
        let [r, s] = [signature.r(), signature.s()].map(|number| number.to_vec_padded(half).unwrap());
        [r, s].concat()
    }

    /// The public key (RFC 7517; of the secret one, the secret).
    pub fn jwk(&self) -> Value {
        let text = |number: &openssl::bn::BigNumRef| base64url::encode(&number.to_vec());
        let mut jwk = match self.private.id() {
            Id::RSA => {
                let rsa = self.private.rsa().unwrap();
                json!({"kty": "RSA", "n": text(rsa.n()), "e": text(rsa.e())})
            }
            Id::EC => {
                let key = self.private.ec_key().unwrap();
                let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
                let mut context = BigNumContext::new().unwrap();
                key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).unwrap();
                let (curve, half) = if self.algorithm == "ES384" { ("P-384", 48) } else { ("P-256", 32) };
                let [x, y] = [x, y].map(|number| base64url::encode(&number.to_vec_padded(half).unwrap()));
                json!({"kty": "EC", "crv": curve, "x": x, "y": y})
            }
            Id::ED25519 => {
                let x = base64url::encode(&self.private.raw_public_key().unwrap());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            _ => json!({"kty": "oct", "k": base64url::encode(SECRET)}),
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public key in PEM, as an administrator keeps it in a file.
    pub fn pem(&self) -> String {
        String::from_utf8(self.private.public_key_to_pem().unwrap()).unwrap()
    }

    /// The key as a directive's argument.
    pub fn quoted(&self) -> String {
        format!("'{}'", self.jwk())
    }
}

/// What is no good token for the key `one`, each with a name and the description that the client gets.
pub fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    const MALFORMED: &str = "The access token is malformed";
    const ALGORITHM: &str = "The algorithm of the access token is not supported";
    const SIGNATURE: &str = "The signature of the access token is invalid";
    const DATE: &str = "A claim of the access token is malformed";
    let one = &keys().one;
    let good = token(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let with = |name: &str, value: Value| {
        let mut all = claims(json!({}));
        all[name] = value;
        one.token(&all)
    };
    let unsigned = |algorithm: &str| {
        let header = base64url::encode(json!({"alg": algorithm, "kid": "one"}).to_string().as_bytes());
        format!("{header}.{}.", parts[1])
    };
    let nested = format!("{{\"sub\":\"joe\",\"a\":{}1{}}}", "[".repeat(2000), "]".repeat(2000));
    let twice = format!("{{\"sub\":\"joe\",\"exp\":{0},\"sub\":\"admin\"}}", now() + 300);
    let text = |name, token: String, description| (name, token.into_bytes(), description);
    vec![
        text("garbage", "garbage".into(), MALFORMED),
        text("dots", "...".into(), MALFORMED),
        text("opaque of three parts", "a.b.c".into(), MALFORMED),
        text("no signature", format!("{}.{}.", parts[0], parts[1]), MALFORMED),
        text("alg none, no signature", unsigned("none"), MALFORMED),
        text("alg none", format!("{}AA", unsigned("none")), ALGORITHM),
        text("alg NoNe", format!("{}AA", unsigned("NoNe")), ALGORITHM),
        text("alg unknown", one.sign(&json!({"alg": "RS1", "kid": "one"}), &claims(json!({}))), ALGORITHM),
        text("alg a number", one.sign(&json!({"alg": 256, "kid": "one"}), &claims(json!({}))), ALGORITHM),
        text("alg missing", one.sign(&json!({"kid": "one"}), &claims(json!({}))), ALGORITHM),
        text(
            "public key as a secret",
            mac_with_public_key(one),
            "The access token is signed with an unknown key",
        ),
        text("crit", one.sign(&json!({"alg": "RS256", "crit": ["exp"]}), &claims(json!({}))), MALFORMED),
        text("crit empty", one.sign(&json!({"alg": "RS256", "crit": []}), &claims(json!({}))), MALFORMED),
        text(
            "signature of another token",
            format!(
                "{}.{}.{}",
                parts[0],
                token(json!({"sub": "admin"})).split('.').nth(1).unwrap(),
                parts[2]
            ),
            SIGNATURE,
        ),
        text("another's signature", keys().stranger.token(&claims(json!({}))), SIGNATURE),
        text("own jwk in the header", own_jwk(), SIGNATURE),
        text("padded", format!("{good}=="), MALFORMED),
        text("exp a string", with("exp", json!((now() + 300).to_string())), DATE),
        text("exp null", with("exp", Value::Null), DATE),
        text("exp a float of the past", with("exp", json!(1.5)), "The access token expired"),
        text("exp huge and negative", with("exp", json!(-1e300)), "The access token expired"),
        text("nbf a string", with("nbf", json!("0")), DATE),
        text(
            "nbf a float of the future",
            with("nbf", json!(4.0e9 + 0.5)),
            "The access token is not valid yet",
        ),
        text(
            "iat of the future",
            with("iat", json!(now() + 3600)),
            "The access token was issued outside of the accepted time",
        ),
        text(
            "duplicate members",
            one.sign_octets(one.header().to_string().as_bytes(), twice.as_bytes()),
            MALFORMED,
        ),
        text(
            "deeply nested",
            one.sign_octets(one.header().to_string().as_bytes(), nested.as_bytes()),
            MALFORMED,
        ),
        text(
            "payload not an object",
            one.sign_octets(one.header().to_string().as_bytes(), b"[1]"),
            MALFORMED,
        ),
        text(
            "payload not UTF-8",
            one.sign_octets(one.header().to_string().as_bytes(), b"{\"sub\":\"\xff\xfe\"}"),
            MALFORMED,
        ),
        text(
            "an ID token",
            one.sign(&json!({"alg": "RS256", "kid": "one", "typ": "logout+jwt"}), &claims(json!({}))),
            "The access token is of the wrong type",
        ),
        ("not ASCII", [good.as_bytes(), b"\xc3\xa4\xff"].concat(), MALFORMED),
    ]
}

/// RFC 8725 §2.1: HS256 with what everybody knows, the public key in PEM, as the secret.
fn mac_with_public_key(key: &Key) -> String {
    let secret = PKey::hmac(key.pem().as_bytes()).unwrap();
    let confused = Key { kid: key.kid, algorithm: "HS256", private: secret };
    confused.token(&claims(json!({})))
}

/// RFC 8725 §3.10: a token that brings the key to verify it with.
fn own_jwk() -> String {
    let stranger = &keys().stranger;
    let header =
        json!({"alg": "RS256", "kid": "one", "jwk": stranger.jwk(), "jku": "https://evil.test/jwks"});
    stranger.sign(&header, &claims(json!({})))
}
