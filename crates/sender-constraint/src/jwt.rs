//! JWTs as access tokens (RFC 7515, RFC 7519, RFC 8725, RFC 9068).
//!
//! # jsonwebtoken, and what is not left to it
//!
//! The vocabulary is jsonwebtoken's: [`Header`], [`Algorithm`], and `encode` for the assertions of
//! [`crate::client_auth`]. It runs without a cryptographic back end of its own; [`crate::provider`] is its
//! `CryptoProvider` over the one OpenSSL of the process.
//!
//! * The ready-made provider jsonwebtoken-openssl 2.0.0 was read and measured and is not used. It leaves the salt length
//!   of RSASSA-PSS to OpenSSL, which takes any, where RFC 7518 §3.5 fixes it (a PS256 signature with no salt at all
//!   verified); it takes RSA keys of any size (§3.3); and it builds an OpenSSL key for every token.
//! * `jsonwebtoken::decode` asks its provider for a verifier by the octets of a key for every token, so no provider can
//!   keep a parsed key. Measured here, that is 42 us instead of 26 us for RS256 and 134 us instead of 79 us for ES256.
//!   So requests use the [`VerificationKey`](crate::verification_key::VerificationKey)s that were parsed once.
//! * `jsonwebtoken::Validation` reads the clock itself, rounds dates, takes an issuer array for an issuer, knows neither
//!   `iat` nor `typ`, and keeps the last of duplicate claims. [`crate::claim_rules`] and [`crate::json`] do that.

use jsonwebtoken::{Algorithm, Header};
use serde::Deserialize as _;
use serde_json::Value;
use token_binding::base64url;

use crate::json::{self, Object};
use crate::jwk::KeySet;
use crate::refusal::TokenFault;

/// The longest access token that is looked at, in octets. httpd's own limit for a header line is 8190.
pub const MAX_TOKEN: usize = 16 * 1024;

/// As many signatures are checked for one token. A token with a key ID has one candidate, or a few.
pub const MAX_SIGNATURE_CHECKS: usize = 16;

/// Whether the base64url of a JWT may be padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// RFC 7515 §2: "with all trailing '=' characters omitted".
    Refused,
    /// The tokens of AWS load balancers have it, and their signatures cover it.
    Tolerated,
}

/// A JWT, taken apart and not verified.
pub struct Unverified<'t> {
    header: Header,
    claims: Object,
    /// RFC 7515 §5.2: what the signature is over.
    signed: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Takes a token apart: three parts, each canonical base64url, the first two JSON objects.
    ///
    /// # Errors
    ///
    /// Whatever is not a signed JWT, has an algorithm that is not offered, or needs something that is not understood.
    pub fn parse(token: &'t [u8], padding: Padding) -> Result<Self, TokenFault> {
        let (signed, signature, header, payload) = split(token)?;
        // RFC 8725bis §3: nothing but base64url and dots; the decoder sees to that
        let header = json::parse_object(&decode(header, padding)?)?;
        let header = read_header(header)?;
        Ok(Self {
            header,
            claims: json::parse_object(&decode(payload, padding)?)?,
            signed,
            signature: decode(signature, padding)?,
        })
    }

    /// `kid`, as the sender wrote it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref().filter(|kid| !kid.is_empty())
    }

    /// `typ`.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// A header parameter that RFC 7515 does not register.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.header.extras.inner().get(name)
    }

    /// The claims, which anybody may have written.
    #[must_use]
    pub const fn claims(&self) -> &Object {
        &self.claims
    }

    /// Whether one of the keys made the signature. Which keys may try is decided by the keys, never by the token.
    ///
    /// # Errors
    ///
    /// [`TokenFault::UnknownKey`] when no key may have made it, [`TokenFault::Signature`] when none did.
    pub fn verify(&self, keys: &KeySet) -> Result<(), TokenFault> {
        let algorithm: Algorithm = self.header.alg;
        let mut candidates = keys.candidates(self.kid(), algorithm).take(MAX_SIGNATURE_CHECKS).peekable();
        if candidates.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        let valid = candidates.any(|key| key.verify(algorithm, self.signed, &self.signature));
        if valid { Ok(()) } else { Err(TokenFault::Signature) }
    }

    /// The claims, once [`Self::verify`] has said yes.
    #[must_use]
    pub fn into_claims(self) -> Object {
        self.claims
    }
}

/// Whether a token is meant to be a JWT: three parts, the first of them the JSON object of a JWS header.
#[must_use]
pub fn looks_like_jwt(token: &[u8]) -> bool {
    split(token).is_ok_and(|(_, _, header, _)| {
        decode(header, Padding::Tolerated)
            .is_ok_and(|header| json::parse_object(&header).is_ok_and(|header| header.contains_key("alg")))
    })
}

type Parts<'t> = (&'t [u8], &'t [u8], &'t [u8], &'t [u8]);

/// RFC 7515 §7.1: header, payload and signature, with dots between them; and what is signed.
fn split(token: &[u8]) -> Result<Parts<'_>, TokenFault> {
    let mut dots = token.iter().enumerate().filter(|(_, octet)| **octet == b'.').map(|(index, _)| index);
    let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
        return Err(TokenFault::NotAJwt);
    };
    let (signed, signature) = token.split_at(second);
    let (header, payload) = signed.split_at(first);
    match (header, payload.split_first(), signature.split_first()) {
        ([], ..) | (_, _, None | Some((_, []))) => Err(TokenFault::NotAJwt),
        (header, Some((_, payload)), Some((_, signature))) => Ok((signed, signature, header, payload)),
        _ => Err(TokenFault::NotAJwt),
    }
}

fn decode(part: &[u8], padding: Padding) -> Result<Vec<u8>, TokenFault> {
    let part = match padding {
        Padding::Refused => part,
        Padding::Tolerated => {
            let end = part.iter().rposition(|octet| *octet != b'=').map_or(0, |last| last + 1);
            part.get(..end).unwrap_or_default()
        }
    };
    base64url::decode(part).map_err(|_| TokenFault::NotAJwt)
}

/// Gives the registered parameters their types (RFC 7515 §4.1) and refuses what must not be ignored.
fn read_header(header: Object) -> Result<Header, TokenFault> {
    // RFC 7515 §4.1.11: no extension is understood here, so whatever is critical is too much. Also when it is malformed.
    if header.contains_key("crit") {
        return Err(TokenFault::Critical);
    }
    // RFC 8725 §3.1: `none` and everything else that is not in jsonwebtoken's list ends here
    if json::string(&header, "alg").is_none_or(|name| name.parse::<Algorithm>().is_err()) {
        return Err(TokenFault::Algorithm);
    }
    // RFC 7516 §4.1.2: `enc` makes it a JWE
    if header.contains_key("enc") || header.contains_key("zip") {
        return Err(TokenFault::NotAJwt);
    }
    // `jwk`, `jku`, `x5c` and `x5u` are read and never used: RFC 8725 §3.10, keys come from the configuration
    Header::deserialize(Value::Object(header)).map_err(|_| TokenFault::Header)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
