//! Keys that verify tokens: parsed and checked once, then only used.

use jsonwebtoken::Algorithm;
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::md::{Md, MdRef};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};

/// RFC 7518 §3.3, §3.5: "A key of size 2048 bits or larger MUST be used".
pub const RSA_BITS_LEAST: u32 = 2048;
/// Larger moduli only make verification slow; nobody has them.
pub const RSA_BITS_MOST: u32 = 8192;

/// A key that cannot be used to verify tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Smaller than RFC 7518 allows, or absurdly large.
    #[error("an RSA key must have 2048 to 8192 bits, this one has {0}")]
    RsaSize(u32),
    /// An exponent that is even, below 3 or above 32 bits.
    #[error("the RSA public exponent must be odd, at least 3 and of at most 32 bits")]
    RsaExponent,
    /// Neither RSA, EC on P-256 or P-384, Ed25519, nor symmetric.
    #[error("the key must be RSA, EC (P-256 or P-384), Ed25519 or symmetric")]
    Type,
    /// RFC 7518 §3.2: "A key of the same size as the hash output or larger MUST be used".
    #[error("a symmetric key must have at least 32 octets, this one has {0}")]
    TooShort(usize),
    /// The point is not on its curve, a coordinate has the wrong length, a number is missing.
    #[error("the key is malformed")]
    Malformed,
}

impl From<ErrorStack> for KeyError {
    fn from(_: ErrorStack) -> Self {
        Self::Malformed
    }
}

/// The octets of a key, whichever kind they are of.
#[derive(Clone)]
enum Material {
    Public(PKey<Public>),
    Secret(PKey<Private>),
}

/// One key, with the algorithms it may verify and no others.
///
/// RFC 8725 §3.1: the algorithm of a token is compared with what the key is for, never the other way round; so no public
/// key is ever a shared secret, and `none` verifies nothing.
#[derive(Clone)]
pub struct VerificationKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: Material,
    fingerprint: [u8; 32],
}

impl VerificationKey {
    /// A public key, checked.
    ///
    /// # Errors
    ///
    /// Types, sizes, exponents and points that must not be used.
    pub fn from_public(key: &PKeyRef<Public>) -> Result<Self, KeyError> {
        let algorithms = match key.id() {
            Id::RSA => {
                check_rsa(key)?;
                rsa_algorithms()
            }
            Id::EC => {
                let ec = key.ec_key()?;
                ec.check_key()?;
                match ec.group().curve_name() {
                    Some(Nid::X9_62_PRIME256V1) => vec![Algorithm::ES256],
                    Some(Nid::SECP384R1) => vec![Algorithm::ES384],
                    _ => return Err(KeyError::Type),
                }
            }
            Id::ED25519 => vec![Algorithm::EdDSA],
            _ => return Err(KeyError::Type),
        };
        // What comes back from DER lives in OpenSSL's provider and verifies about 5 us faster than what was put together
        // from numbers, which is exported to the provider again and again.
        let der = key.public_key_to_der()?;
        let material = Material::Public(PKey::public_key_from_der(&der)?);
        Ok(Self { kid: None, algorithms, material, fingerprint: openssl::sha::sha256(&der) })
    }

    /// A shared secret for HS256, and for HS384 and HS512 if it is long enough.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        let algorithms: Vec<_> = [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)]
            .into_iter()
            .filter(|(_, least)| secret.len() >= *least)
            .map(|(algorithm, _)| algorithm)
            .collect();
        if algorithms.is_empty() {
            return Err(KeyError::TooShort(secret.len()));
        }
        let material = Material::Secret(PKey::hmac(secret)?);
        Ok(Self { kid: None, algorithms, material, fingerprint: openssl::sha::sha256(secret) })
    }

    /// Gives the key an ID, or another one.
    #[must_use]
    pub fn with_kid(mut self, kid: Option<String>) -> Self {
        self.kid = kid;
        self
    }

    /// Restricts the key to one algorithm (RFC 7517 §4.4). `None` if that is not one of its type.
    #[must_use]
    pub fn only_for(mut self, algorithm: Algorithm) -> Option<Self> {
        if !self.verifies(algorithm) {
            return None;
        }
        self.algorithms = vec![algorithm];
        Some(self)
    }

    /// Its ID, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it is for this algorithm.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// What tells this key and its restrictions from any other; for the identity of a verifier.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = openssl::sha::Sha256::new();
        hasher.update(&self.fingerprint);
        hasher.update(format!("{:?} {:?}", self.algorithms, self.kid).as_bytes());
        hasher.finish()
    }

    /// Whether `signature` over `message` was made by the holder of this key with this algorithm.
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.verifies(algorithm)
            && match &self.material {
                Material::Public(key) => verify_signature(key, algorithm, message, signature),
                Material::Secret(key) => verify_mac(key, algorithm, message, signature),
            }
            .unwrap_or(false)
    }
}

fn rsa_algorithms() -> Vec<Algorithm> {
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    vec![RS256, RS384, RS512, PS256, PS384, PS512]
}

fn check_rsa(key: &PKeyRef<Public>) -> Result<(), KeyError> {
    let rsa = key.rsa()?;
    let bits = u32::try_from(rsa.n().num_bits()).unwrap_or(0);
    if !(RSA_BITS_LEAST..=RSA_BITS_MOST).contains(&bits) {
        return Err(KeyError::RsaSize(bits));
    }
    let exponent = rsa.e();
    if !exponent.is_odd() || exponent.num_bits() < 2 || exponent.num_bits() > 32 || exponent.is_negative() {
        return Err(KeyError::RsaExponent);
    }
    Ok(())
}

/// `Ok(true)` only when OpenSSL said exactly 1; the openssl crate empties OpenSSL's error queue in every other case.
fn verify_signature(
    key: &PKeyRef<Public>,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match algorithm {
        RS256 | PS256 => {
            verify_rsa(key, algorithm, (Md::sha256(), &openssl::sha::sha256(message)), signature)
        }
        RS384 | PS384 => {
            verify_rsa(key, algorithm, (Md::sha384(), &openssl::sha::sha384(message)), signature)
        }
        RS512 | PS512 => {
            verify_rsa(key, algorithm, (Md::sha512(), &openssl::sha::sha512(message)), signature)
        }
        ES256 => verify_ecdsa(key, (Md::sha256(), &openssl::sha::sha256(message)), 32, signature),
        ES384 => verify_ecdsa(key, (Md::sha384(), &openssl::sha::sha384(message)), 48, signature),
        EdDSA => Verifier::new_without_digest(key)?.verify_oneshot(signature, message),
        _ => Ok(false),
    }
}

fn verify_rsa(
    key: &PKeyRef<Public>,
    algorithm: Algorithm,
    (md, digest): (&'static MdRef, &[u8]),
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    // RFC 8017 §8.1.2, §8.2.2: a signature is as long as the modulus
    if signature.len() != key.size() {
        return Ok(false);
    }
    let mut context = PkeyCtx::new(key)?;
    context.verify_init()?;
    if matches!(algorithm, Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512) {
        context.set_rsa_padding(Padding::PKCS1_PSS)?;
        context.set_signature_md(md)?;
        context.set_rsa_mgf1_md(md)?;
        // RFC 7518 §3.5: "The size of the salt value is the same size as the hash function output". OpenSSL's default
        // takes any salt, even none.
        let salt = i32::try_from(digest.len()).map_or(RsaPssSaltlen::DIGEST_LENGTH, RsaPssSaltlen::custom);
        context.set_rsa_pss_saltlen(salt)?;
    } else {
        context.set_rsa_padding(Padding::PKCS1)?;
        context.set_signature_md(md)?;
    }
    context.verify(digest, signature)
}

/// RFC 7518 §3.4: R and S, each as long as the curve's order, one after the other.
fn verify_ecdsa(
    key: &PKeyRef<Public>,
    (md, digest): (&'static MdRef, &[u8]),
    half: usize,
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    if signature.len() != 2 * half {
        return Ok(false);
    }
    let (r, s) = signature.split_at(half);
    let der = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()?;
    let mut context = PkeyCtx::new(key)?;
    context.verify_init()?;
    context.set_signature_md(md)?;
    context.verify(digest, &der)
}

/// RFC 7518 §3.2.
fn verify_mac(
    key: &PKeyRef<Private>,
    algorithm: Algorithm,
    message: &[u8],
    mac: &[u8],
) -> Result<bool, ErrorStack> {
    let digest = match algorithm {
        Algorithm::HS256 => MessageDigest::sha256(),
        Algorithm::HS384 => MessageDigest::sha384(),
        Algorithm::HS512 => MessageDigest::sha512(),
        _ => return Ok(false),
    };
    let expected = Signer::new(digest, key)?.sign_oneshot_to_vec(message)?;
    Ok(expected.len() == mac.len() && openssl::memcmp::eq(&expected, mac))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::rsa::Rsa;

    fn rsa(bits: u32, exponent: u32) -> PKey<Private> {
        let exponent = BigNum::from_u32(exponent).unwrap();
        PKey::from_rsa(Rsa::generate_with_e(bits, &exponent).unwrap()).unwrap()
    }

    fn public(key: &PKey<Private>) -> PKey<Public> {
        PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
    }

    fn pss(key: &PKey<Private>, message: &[u8], salt: i32, mgf1: MessageDigest) -> Vec<u8> {
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
        signer.set_rsa_mgf1_md(mgf1).unwrap();
        signer.sign_oneshot_to_vec(message).unwrap()
    }

    #[test]
    fn pss_salt_is_as_long_as_the_hash() {
        let private = rsa(2048, 65537);
        let key = VerificationKey::from_public(&public(&private)).unwrap();
        let verify = |signature: &[u8]| key.verify(Algorithm::PS256, b"m", signature);
        assert!(verify(&pss(&private, b"m", 32, MessageDigest::sha256())));
        for salt in [0, 20, 31, 33, 222] {
            assert!(!verify(&pss(&private, b"m", salt, MessageDigest::sha256())), "salt {salt}");
        }
        assert!(!verify(&pss(&private, b"m", 32, MessageDigest::sha1())), "MGF1 with SHA-1");
    }

    #[test]
    fn rsa_sizes_and_exponents() {
        assert_eq!(
            VerificationKey::from_public(&public(&rsa(1024, 65537))).err(),
            Some(KeyError::RsaSize(1024))
        );
        assert!(VerificationKey::from_public(&public(&rsa(2048, 3))).is_ok());
        let modulus = rsa(2048, 65537).rsa().unwrap().n().to_owned().unwrap();
        for exponent in [BigNum::from_u32(1), BigNum::from_u32(65536), BigNum::from_dec_str("8589934593")] {
            let key = Rsa::from_public_components(modulus.to_owned().unwrap(), exponent.unwrap()).unwrap();
            let key = PKey::from_rsa(key).unwrap();
            assert_eq!(VerificationKey::from_public(&key).err(), Some(KeyError::RsaExponent));
        }
    }

    #[test]
    fn a_key_serves_only_the_algorithms_of_its_type() {
        let private = rsa(2048, 65537);
        let key = VerificationKey::from_public(&public(&private)).unwrap();
        let signature =
            Signer::new(MessageDigest::sha256(), &private).unwrap().sign_oneshot_to_vec(b"m").unwrap();
        assert!(key.verify(Algorithm::RS256, b"m", &signature));
        assert!(!key.verify(Algorithm::RS384, b"m", &signature));
        assert!(!key.verify(Algorithm::PS256, b"m", &signature));
        assert!(!key.verify(Algorithm::HS256, b"m", &signature));
        let only_ps = key.clone().only_for(Algorithm::PS256).unwrap();
        assert!(!only_ps.verify(Algorithm::RS256, b"m", &signature));
        assert!(key.clone().only_for(Algorithm::HS256).is_none());
        assert!(only_ps.only_for(Algorithm::RS256).is_none());
        assert!(!key.verify(Algorithm::RS256, b"m", &signature[..255]));
        assert!(!key.verify(Algorithm::RS256, b"m", &[&[0], &signature[..]].concat()));
        assert!(ErrorStack::get().errors().is_empty(), "OpenSSL's error queue is left empty");
    }

    #[test]
    fn ecdsa_signatures_have_one_form() {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let private = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let key = VerificationKey::from_public(&public(&private)).unwrap();
        let der = Signer::new(MessageDigest::sha256(), &private).unwrap().sign_oneshot_to_vec(b"m").unwrap();
        let signature = EcdsaSig::from_der(&der).unwrap();
        let pair =
            [signature.r().to_vec_padded(32).unwrap(), signature.s().to_vec_padded(32).unwrap()].concat();
        assert!(key.verify(Algorithm::ES256, b"m", &pair));
        assert!(!key.verify(Algorithm::ES256, b"M", &pair));
        assert!(!key.verify(Algorithm::ES384, b"m", &pair));
        assert!(!key.verify(Algorithm::ES256, b"m", &der), "DER is not the JWS form");
        assert!(!key.verify(Algorithm::ES256, b"m", &[0; 64]), "r = s = 0");
        assert!(!key.verify(Algorithm::ES256, b"m", &[0xff; 64]));
        assert!(!key.verify(Algorithm::ES256, b"m", &[&pair[..32], &[0; 32]].concat()), "s = 0");
        assert!(!key.verify(Algorithm::ES256, b"m", &[]));
        assert!(ErrorStack::get().errors().is_empty());
        let p521 = EcKey::generate(&EcGroup::from_curve_name(Nid::SECP521R1).unwrap()).unwrap();
        let p521 = public(&PKey::from_ec_key(p521).unwrap());
        assert_eq!(VerificationKey::from_public(&p521).err(), Some(KeyError::Type));
    }

    #[test]
    fn ed25519() {
        let private = PKey::generate_ed25519().unwrap();
        let key = VerificationKey::from_public(&public(&private)).unwrap();
        let mut signature = Signer::new_without_digest(&private).unwrap().sign_oneshot_to_vec(b"m").unwrap();
        assert!(key.verify(Algorithm::EdDSA, b"m", &signature));
        signature[63] ^= 1;
        assert!(!key.verify(Algorithm::EdDSA, b"m", &signature));
        let x25519 = public(&PKey::generate_x25519().unwrap());
        assert_eq!(VerificationKey::from_public(&x25519).err(), Some(KeyError::Type));
    }

    #[test]
    fn symmetric_keys_are_as_long_as_their_hash() {
        assert_eq!(VerificationKey::from_secret(&[7; 31]).err(), Some(KeyError::TooShort(31)));
        let key = VerificationKey::from_secret(&[7; 32]).unwrap();
        assert!(key.verifies(Algorithm::HS256) && !key.verifies(Algorithm::HS384));
        let mac = Signer::new(MessageDigest::sha256(), &PKey::hmac(&[7; 32]).unwrap())
            .unwrap()
            .sign_oneshot_to_vec(b"m")
            .unwrap();
        assert!(key.verify(Algorithm::HS256, b"m", &mac));
        assert!(!key.verify(Algorithm::HS256, b"m", &mac[..31]) && !key.verify(Algorithm::HS256, b"m", b""));
        assert!(!key.verify(Algorithm::RS256, b"m", &mac));
    }

    #[test]
    fn fingerprints_tell_keys_and_restrictions_apart() {
        let key = VerificationKey::from_secret(&[7; 64]).unwrap();
        let same = VerificationKey::from_secret(&[7; 64]).unwrap();
        assert_eq!(key.fingerprint(), same.fingerprint());
        assert_ne!(key.fingerprint(), VerificationKey::from_secret(&[8; 64]).unwrap().fingerprint());
        assert_ne!(key.fingerprint(), same.clone().with_kid(Some("k".into())).fingerprint());
        assert_ne!(key.fingerprint(), same.only_for(Algorithm::HS512).unwrap().fingerprint());
    }
}
