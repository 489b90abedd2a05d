//! JSON Web Keys and key sets (RFC 7517, RFC 7518 §6, RFC 8037), and keys in PEM.

use jsonwebtoken::Algorithm;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use serde_json::Value;
use token_binding::base64url;

use crate::json::{self, JsonFault, Object};
use crate::verification_key::{KeyError, VerificationKey};

/// As many keys of a set are looked at. Each may cost a token without key ID one signature check.
pub const MAX_KEYS: usize = 64;

/// A JWK, JWK set or PEM text that gives no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not even a JSON object.
    #[error(transparent)]
    Json(#[from] JsonFault),
    /// A required member is missing, not a string or not canonical base64url.
    #[error("JWK member \"{0}\" is missing or not what RFC 7518 wants")]
    Member(&'static str),
    /// The key must not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// RFC 7517 §4.2, §4.3: the key is for something else.
    #[error("the JWK is not for verifying signatures (use, key_ops)")]
    Use,
    /// RFC 7517 §4.4: an algorithm that is unknown here or not one of the key's type.
    #[error("the JWK is for an algorithm that is not supported or not of its type (alg)")]
    Algorithm,
    /// A resource server needs no private key of the authorization server and must not have it.
    #[error("the JWK holds a private key; put the public key here")]
    Private,
    /// RFC 7517 §5: the set has no `keys`, or none that can be used.
    #[error("the JWK set has no key that can be used")]
    NoKeys,
    /// Neither a certificate nor a public key.
    #[error("the PEM text holds neither a certificate nor a public key")]
    Pem,
}

impl From<openssl::error::ErrorStack> for JwkError {
    fn from(error: openssl::error::ErrorStack) -> Self {
        Self::Key(error.into())
    }
}

/// The keys of one verifier.
#[derive(Clone)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
}

impl KeySet {
    /// A set of one.
    #[must_use]
    pub fn of(key: VerificationKey) -> Self {
        Self { keys: vec![key] }
    }

    /// Reads a JWK set that was fetched (RFC 7517 §5).
    ///
    /// Keys that cannot be used are left out: unknown types, other uses, symmetric keys (what everybody can fetch is no
    /// secret). Private members are ignored; the fault is the authorization server's and its public key still verifies.
    ///
    /// # Errors
    ///
    /// Not a JWK set, or nothing in it that can be used.
    pub fn from_jwks(document: &[u8]) -> Result<Self, JwkError> {
        let document = json::parse_object(document)?;
        let Some(Value::Array(keys)) = document.get("keys") else { return Err(JwkError::NoKeys) };
        let keys: Vec<_> = keys
            .iter()
            .take(MAX_KEYS)
            .filter_map(Value::as_object)
            .filter(|jwk| json::string(jwk, "kty") != Some("oct"))
            // RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set" that they do not understand
            .filter_map(|jwk| key(jwk).ok())
            .collect();
        if keys.is_empty() { Err(JwkError::NoKeys) } else { Ok(Self { keys }) }
    }

    /// The keys that a token with this header may have been signed with.
    ///
    /// A key is left out when both have an ID and the two differ, or when it is not for the algorithm.
    pub fn candidates<'k>(
        &'k self,
        kid: Option<&'k str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'k VerificationKey> {
        self.keys.iter().filter(move |key| {
            key.verifies(algorithm)
                && match (key.kid(), kid) {
                    (Some(own), Some(wanted)) => own == wanted,
                    _ => true,
                }
        })
    }

    /// These keys and one more; the oldest goes when there are too many.
    #[must_use]
    pub fn with(&self, key: VerificationKey) -> Self {
        let superfluous = (self.keys.len() + 1).saturating_sub(MAX_KEYS);
        Self { keys: self.keys.iter().skip(superfluous).cloned().chain([key]).collect() }
    }

    /// What tells this set from any other; for the identity of a verifier.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = openssl::sha::Sha256::new();
        self.keys.iter().for_each(|key| hasher.update(&key.fingerprint()));
        hasher.finish()
    }
}

/// Reads a JWK from the configuration: public or symmetric, never private.
///
/// # Errors
///
/// Whatever keeps the key from being used.
pub fn from_jwk(text: &[u8]) -> Result<VerificationKey, JwkError> {
    let jwk = json::parse_object(text)?;
    // RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2
    if ["d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|member| jwk.contains_key(*member)) {
        return Err(JwkError::Private);
    }
    key(&jwk)
}

/// Reads an X.509 certificate or a public key in PEM.
///
/// # Errors
///
/// Whatever keeps the key from being used. Validity and chain of a certificate are not looked at: it is named by the
/// administrator.
pub fn from_pem(text: &[u8]) -> Result<VerificationKey, JwkError> {
    let has = |label: &str| text.windows(label.len()).any(|window| window == label.as_bytes());
    let key = if has("-----BEGIN CERTIFICATE-----") {
        X509::from_pem(text).and_then(|certificate| certificate.public_key())
    } else if has("-----BEGIN PUBLIC KEY-----") {
        PKey::public_key_from_pem(text)
    } else if has("-----BEGIN RSA PUBLIC KEY-----") {
        Rsa::public_key_from_pem_pkcs1(text).and_then(PKey::from_rsa)
    } else if has("PRIVATE KEY-----") {
        return Err(JwkError::Private);
    } else {
        return Err(JwkError::Pem);
    };
    Ok(VerificationKey::from_public(&*key.map_err(|_| JwkError::Pem)?)?)
}

fn key(jwk: &Object) -> Result<VerificationKey, JwkError> {
    check_use(jwk)?;
    let key = match json::string(jwk, "kty") {
        Some("RSA") => VerificationKey::from_public(&*rsa(jwk)?),
        Some("EC") => VerificationKey::from_public(&*ec(jwk)?),
        Some("OKP") => VerificationKey::from_public(&*okp(jwk)?),
        Some("oct") => VerificationKey::from_secret(&member(jwk, "k")?),
        Some(_) => Err(KeyError::Type),
        None => return Err(JwkError::Member("kty")),
    }?;
    let kid = match jwk.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err(JwkError::Member("kid")),
    };
    restrict(key, jwk).map(|key| key.with_kid(kid.filter(|kid| !kid.is_empty())))
}

fn check_use(jwk: &Object) -> Result<(), JwkError> {
    match jwk.get("use") {
        None => (),
        Some(Value::String(usage)) if usage == "sig" => (),
        Some(_) => return Err(JwkError::Use),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(_) => Err(JwkError::Use),
    }
}

fn restrict(key: VerificationKey, jwk: &Object) -> Result<VerificationKey, JwkError> {
    match jwk.get("alg") {
        None => Ok(key),
        Some(Value::String(name)) => {
            name.parse().ok().and_then(|algorithm| key.only_for(algorithm)).ok_or(JwkError::Algorithm)
        }
        Some(_) => Err(JwkError::Algorithm),
    }
}

fn member(jwk: &Object, name: &'static str) -> Result<Vec<u8>, JwkError> {
    json::string(jwk, name)
        .and_then(|text| base64url::decode(text.as_bytes()).ok())
        .filter(|octets| !octets.is_empty())
        .ok_or(JwkError::Member(name))
}

/// RFC 7518 §6.3.1.
fn rsa(jwk: &Object) -> Result<PKey<Public>, JwkError> {
    let modulus = BigNum::from_slice(&member(jwk, "n")?)?;
    let exponent = BigNum::from_slice(&member(jwk, "e")?)?;
    Ok(PKey::from_rsa(Rsa::from_public_components(modulus, exponent)?)?)
}

/// RFC 7518 §6.2.1: coordinates have the full length of the curve's field. OpenSSL checks that the point is on the curve.
fn ec(jwk: &Object) -> Result<PKey<Public>, JwkError> {
    let (curve, length) = match json::string(jwk, "crv") {
        Some("P-256") => (Nid::X9_62_PRIME256V1, 32),
        Some("P-384") => (Nid::SECP384R1, 48),
        Some(_) => return Err(KeyError::Type.into()),
        None => return Err(JwkError::Member("crv")),
    };
    let coordinate = |name| {
        member(jwk, name).and_then(|octets| {
            if octets.len() == length {
                Ok(BigNum::from_slice(&octets)?)
            } else {
                Err(JwkError::Member(name))
            }
        })
    };
    let (x, y) = (coordinate("x")?, coordinate("y")?);
    let group = EcGroup::from_curve_name(curve)?;
    Ok(PKey::from_ec_key(EcKey::from_public_key_affine_coordinates(&group, &x, &y)?)?)
}

/// RFC 8037 §2.
fn okp(jwk: &Object) -> Result<PKey<Public>, JwkError> {
    match json::string(jwk, "crv") {
        Some("Ed25519") => Ok(PKey::public_key_from_raw_bytes(&member(jwk, "x")?, Id::ED25519)?),
        Some(_) => Err(KeyError::Type.into()),
        None => Err(JwkError::Member("crv")),
    }
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
