//! Judging a single key and a single signature.

use crate::key_parameters::KeyParameters;
use crate::message::PublicKey;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::RsaPssSaltlen;

/// RFC 8471 §3.2: a modulus of 2048 bits.
const MODULUS_LEN: usize = 256;
/// The longest exponent, in octets. The RFC allows 255, with which one verification costs as much as dozens; every
/// exponent in use (65537, 3, 17) fits in 3, and 4 is what the pickiest RSA libraries still accept.
const MAX_EXPONENT_LEN: usize = 4;
/// RFC 8471 §3.2: X and Y of 32 octets each.
const POINT_LEN: usize = 64;

/// Why a public key is refused. A key has one Token Binding ID only, so every other way to write it is refused as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// RFC 8471 §3.2: 256 octets; a leading zero octet makes 257.
    #[error("modulus has {0} octets instead of 256")]
    ModulusLength(usize),
    /// RFC 8471 §3.2: 2048 bits, so that the first bit is set.
    #[error("modulus has less than 2048 bits")]
    ModulusTooSmall,
    /// No product of two odd primes is even.
    #[error("modulus is even")]
    ModulusEven,
    /// RFC 8471 §3.2: leading zero octets are omitted.
    #[error("public exponent begins with a zero octet")]
    ExponentLeadingZero,
    /// Longer than any exponent in use.
    #[error("public exponent has {0} octets, at most 4 are accepted")]
    ExponentTooLong(usize),
    /// No even number is an RSA exponent, and with 1 everyone could sign.
    #[error("public exponent is not an odd number of at least 3")]
    ExponentUnsound,
    /// RFC 8471 §3.2: X and Y, leading zeros kept, without a prefix.
    #[error("point has {0} octets instead of 64")]
    PointLength(usize),
    /// No point of P-256, or a coordinate not reduced.
    #[error("point is not on the curve P-256")]
    NotOnCurve,
    /// A key of a kind that no key parameters describe.
    #[error("key is of an unknown kind")]
    UnknownKind,
}

/// What can be said of a key without arithmetic.
pub(crate) fn check(public_key: PublicKey<'_>) -> Result<(), KeyFault> {
    match public_key {
        PublicKey::Rsa { modulus, public_exponent } => check_rsa(modulus, public_exponent),
        PublicKey::EcPoint(point) if point.len() != POINT_LEN => Err(KeyFault::PointLength(point.len())),
        PublicKey::EcPoint(_) => Ok(()),
        PublicKey::Unknown(_) => Err(KeyFault::UnknownKind),
    }
}

fn check_rsa(modulus: &[u8], public_exponent: &[u8]) -> Result<(), KeyFault> {
    // RFC 8471 §3.2: big-endian, 2048 bits, leading zero octets omitted.
    if modulus.len() != MODULUS_LEN {
        return Err(KeyFault::ModulusLength(modulus.len()));
    }
    if modulus.first().is_none_or(|first| first & 0x80 == 0) {
        return Err(KeyFault::ModulusTooSmall);
    }
    if is_even(modulus) {
        return Err(KeyFault::ModulusEven);
    }
    if public_exponent.first().is_none_or(|&first| first == 0) {
        return Err(KeyFault::ExponentLeadingZero);
    }
    if public_exponent.len() > MAX_EXPONENT_LEN {
        return Err(KeyFault::ExponentTooLong(public_exponent.len()));
    }
    if is_even(public_exponent) || public_exponent == [1] {
        return Err(KeyFault::ExponentUnsound);
    }
    Ok(())
}

fn is_even(number: &[u8]) -> bool {
    number.last().is_none_or(|last| last & 1 == 0)
}

/// RFC 8471 §3.3: the length of a signature, in octets. RSA: that of the modulus (RFC 8017 §8.1.2, §8.2.2). ECDSA: R and S
/// of 32 octets each, leading zeros kept, not DER.
pub(crate) const fn signature_len(key_parameters: KeyParameters) -> usize {
    match key_parameters {
        KeyParameters::Rsa2048Pkcs1_5 | KeyParameters::Rsa2048Pss => MODULUS_LEN,
        KeyParameters::EcdsaP256 => 64,
    }
}

/// Whether the signature over `input` is the key's. A fault of OpenSSL's, of whatever kind, is no success: it counts as
/// an invalid signature, and the `openssl` crate has then emptied OpenSSL's error queue.
///
/// # Errors
///
/// The key is not sound.
pub(crate) fn verify(
    key_parameters: KeyParameters,
    public_key: PublicKey<'_>,
    input: &[u8],
    signature: &[u8],
) -> Result<bool, KeyFault> {
    check(public_key)?;
    if signature.len() != signature_len(key_parameters) {
        return Ok(false);
    }
    // RFC 8471 §3.3: every scheme hashes the input with SHA-256.
    let digest = openssl::sha::sha256(input);
    match public_key {
        PublicKey::EcPoint(point) => {
            let point = point.try_into().map_err(|_| KeyFault::PointLength(point.len()))?;
            let key = ec_key(point).map_err(|_| KeyFault::NotOnCurve)?;
            Ok(verify_ecdsa(&key, &digest, signature).unwrap_or(false))
        }
        PublicKey::Rsa { modulus, public_exponent } => {
            Ok(verify_rsa(key_parameters, modulus, public_exponent, &digest, signature).unwrap_or(false))
        }
        PublicKey::Unknown(_) => Err(KeyFault::UnknownKind),
    }
}

/// OpenSSL makes sure that the coordinates are reduced and the point is on the curve. That is all there is to check: the
/// cofactor of P-256 is 1, and this form cannot express the point at infinity.
fn ec_key(point: &[u8; POINT_LEN]) -> Result<PKey<Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    // SEC 1 §2.3.3: 4 stands before an uncompressed point.
    let mut uncompressed = [4; 1 + POINT_LEN];
    let [_, coordinates @ ..] = &mut uncompressed;
    coordinates.copy_from_slice(point);
    let point = EcPoint::from_bytes(&group, &uncompressed, &mut *BigNumContext::new()?)?;
    PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)
}

fn verify_ecdsa(key: &PKey<Public>, digest: &[u8; 32], signature: &[u8]) -> Result<bool, ErrorStack> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let (r, s) = (BigNum::from_slice(r)?, BigNum::from_slice(s)?);
    // FIPS 186-4 §6.4: R and S lie between 1 and n - 1. OpenSSL checks both bounds; zero is too cheap a forgery
    // (CVE-2022-21449 elsewhere) to leave to others.
    if r.num_bits() == 0 || s.num_bits() == 0 {
        return Ok(false);
    }
    let der = EcdsaSig::from_private_components(r, s)?.to_der()?;
    let mut context = PkeyCtx::new(key)?;
    context.verify_init()?;
    context.set_signature_md(Md::sha256())?;
    context.verify(digest, &der)
}

fn verify_rsa(
    key_parameters: KeyParameters,
    modulus: &[u8],
    public_exponent: &[u8],
    digest: &[u8; 32],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let (modulus, public_exponent) = (BigNum::from_slice(modulus)?, BigNum::from_slice(public_exponent)?);
    let key = PKey::from_rsa(Rsa::from_public_components(modulus, public_exponent)?)?;
    let mut context = PkeyCtx::new(&key)?;
    context.verify_init()?;
    set_rsa_scheme(&mut context, key_parameters)?;
    context.verify(digest, signature)
}

/// Sets every parameter of an RSA scheme: OpenSSL's defaults are other ones.
pub(crate) fn set_rsa_scheme<T>(
    context: &mut PkeyCtx<T>,
    key_parameters: KeyParameters,
) -> Result<(), ErrorStack> {
    if key_parameters == KeyParameters::Rsa2048Pss {
        // RFC 8471 §3.3: SHA-256, MGF1 with SHA-256, a salt of exactly 32 octets.
        context.set_rsa_padding(Padding::PKCS1_PSS)?;
        context.set_signature_md(Md::sha256())?;
        context.set_rsa_mgf1_md(Md::sha256())?;
        context.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32))
    } else {
        // RFC 8471 §3.3: RSASSA-PKCS1-v1_5 with SHA-256.
        context.set_rsa_padding(Padding::PKCS1)?;
        context.set_signature_md(Md::sha256())
    }
}
