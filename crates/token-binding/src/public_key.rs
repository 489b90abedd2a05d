//! Judging a single key and a single signature.

use crate::key_parameters::KeyParameters;
use crate::message::{PublicKey, TokenBinding};
use crate::verification::Rejection;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcGroupRef, EcKey, EcKeyRef, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::RsaPssSaltlen;
use std::sync::OnceLock;

/// RFC 8471 §3.2: a modulus of 2048 bits.
const MODULUS_LEN: usize = 256;
/// The longest exponent, in octets. Every exponent in use (65537, 17, 3) fits in 3. The RFC allows 255, with which one
/// verification costs more than a hundred times that of 65537; with 4 it costs less than four times as much.
const MAX_EXPONENT_LEN: usize = 4;
/// RFC 8471 §3.2: X and Y of 32 octets each, leading zeros kept.
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
}

/// A key and a signature whose octets are sound, so that only arithmetic can tell whether they belong together.
pub(crate) enum Claim<'a> {
    Ecdsa {
        point: &'a [u8; POINT_LEN],
        r: &'a [u8; 32],
        s: &'a [u8; 32],
    },
    Rsa {
        scheme: KeyParameters,
        modulus: &'a [u8],
        public_exponent: &'a [u8],
        signature: &'a [u8; MODULUS_LEN],
    },
}

impl<'a> Claim<'a> {
    /// What a binding claims.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidKey`], or [`Rejection::InvalidSignature`] for a signature that none can be: of another length
    /// than its scheme's, or of a scheme that is unknown.
    pub(crate) fn of(binding: &TokenBinding<'a>) -> Result<Self, Rejection> {
        let scheme = binding.key_parameters().map_err(|_| Rejection::InvalidSignature)?;
        match binding.public_key() {
            PublicKey::EcPoint(point) => {
                let point = point.try_into().map_err(|_| KeyFault::PointLength(point.len()))?;
                let (r, s) = split_ecdsa(binding.signature).ok_or(Rejection::InvalidSignature)?;
                Ok(Self::Ecdsa { point, r, s })
            }
            PublicKey::Rsa { modulus, public_exponent } => {
                check_rsa(modulus, public_exponent)?;
                // RFC 8017 §8.1.2 and §8.2.2, step 1: as long as the modulus.
                let signature = binding.signature.try_into().map_err(|_| Rejection::InvalidSignature)?;
                Ok(Self::Rsa { scheme, modulus, public_exponent, signature })
            }
            PublicKey::Unknown(_) => Err(Rejection::InvalidSignature),
        }
    }

    /// The scheme, whose octet is signed.
    pub(crate) const fn key_parameters(&self) -> KeyParameters {
        match self {
            Self::Ecdsa { .. } => KeyParameters::EcdsaP256,
            Self::Rsa { scheme, .. } => *scheme,
        }
    }

    /// Whether the signature over `input` is the key's. A fault of OpenSSL's, of whatever kind, is no success: it counts
    /// as an invalid signature, and the `openssl` crate has then emptied OpenSSL's error queue.
    ///
    /// # Errors
    ///
    /// The point is not on the curve.
    pub(crate) fn holds(&self, input: &[u8]) -> Result<bool, KeyFault> {
        // RFC 8471 §3.3: every scheme hashes the input with SHA-256.
        let digest = openssl::sha::sha256(input);
        match *self {
            Self::Ecdsa { point, r, s } => {
                let Ok(group) = p256() else { return Ok(false) };
                let key = ec_key(group, point).map_err(|_| KeyFault::NotOnCurve)?;
                Ok(verify_ecdsa(&key, &digest, r, s).unwrap_or(false))
            }
            Self::Rsa { scheme, modulus, public_exponent, signature } => {
                Ok(verify_rsa(scheme, modulus, public_exponent, &digest, signature).unwrap_or(false))
            }
        }
    }
}

/// RFC 8471 §3.3: R and S, each 32 octets with leading zeros kept, not DER.
fn split_ecdsa(signature: &[u8]) -> Option<(&[u8; 32], &[u8; 32])> {
    let (r, s) = signature.split_first_chunk()?;
    Some((r, s.try_into().ok()?))
}

/// What can be said of an RSA key without arithmetic.
pub(crate) fn check_rsa(modulus: &[u8], public_exponent: &[u8]) -> Result<(), KeyFault> {
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

/// The curve, kept, since to make it costs a sixth of a verification. That it could not be made is not kept: the next
/// verification has the memory that this one lacked.
fn p256() -> Result<&'static EcGroup, ErrorStack> {
    static P256: OnceLock<EcGroup> = OnceLock::new();
    if let Some(group) = P256.get() {
        return Ok(group);
    }
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(P256.get_or_init(|| group))
}

/// OpenSSL makes sure that the coordinates are reduced and the point is on the curve. That is all there is to check: the
/// cofactor of P-256 is 1, and this form cannot express the point at infinity.
fn ec_key(group: &EcGroupRef, point: &[u8; POINT_LEN]) -> Result<EcKey<Public>, ErrorStack> {
    // SEC 1 §2.3.3: 4 stands before an uncompressed point.
    let mut uncompressed = [4; 1 + POINT_LEN];
    let [_, coordinates @ ..] = &mut uncompressed;
    coordinates.copy_from_slice(point);
    let point = EcPoint::from_bytes(group, &uncompressed, &mut *BigNumContext::new()?)?;
    EcKey::from_public_key(group, &point)
}

/// With the key as it is, not through `PkeyCtx`: OpenSSL would write the curve and the point down for its provider, and make both
/// again from that, which costs a quarter of the verification.
fn verify_ecdsa(
    key: &EcKeyRef<Public>,
    digest: &[u8; 32],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<bool, ErrorStack> {
    let (r, s) = (BigNum::from_slice(r)?, BigNum::from_slice(s)?);
    // FIPS 186-4 §6.4: R and S lie between 1 and n - 1. OpenSSL checks both bounds; zero is too cheap a forgery
    // (CVE-2022-21449 elsewhere) to leave to others.
    if r.num_bits() == 0 || s.num_bits() == 0 {
        return Ok(false);
    }
    let valid = EcdsaSig::from_private_components(r, s)?.verify(digest, key)?;
    if !valid {
        // For R or S out of bounds OpenSSL answers "not valid", and leaves an error in its queue all the same.
        drop(ErrorStack::get());
    }
    Ok(valid)
}

fn verify_rsa(
    scheme: KeyParameters,
    modulus: &[u8],
    public_exponent: &[u8],
    digest: &[u8; 32],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let (modulus, public_exponent) = (BigNum::from_slice(modulus)?, BigNum::from_slice(public_exponent)?);
    let key = PKey::from_rsa(Rsa::from_public_components(modulus, public_exponent)?)?;
    let mut context = PkeyCtx::new(&key)?;
    context.verify_init()?;
    set_rsa_scheme(&mut context, scheme)?;
    context.verify(digest, signature)
}

/// Sets every parameter of an RSA scheme, so that none is left to OpenSSL's defaults.
pub(crate) fn set_rsa_scheme<T>(context: &mut PkeyCtx<T>, scheme: KeyParameters) -> Result<(), ErrorStack> {
    if scheme == KeyParameters::Rsa2048Pss {
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
