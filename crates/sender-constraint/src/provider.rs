//! jsonwebtoken's `CryptoProvider` over the process's OpenSSL, with the same checks as [`crate::verification_key`].

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};

use crate::verification_key::{KeyError, VerificationKey};

/// The provider. Its JWK utilities are not implemented: nothing here makes JWKs of keys.
static OPENSSL: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes jsonwebtoken use OpenSSL. Without a provider it would panic; calling this again changes nothing.
pub fn install() {
    // the error says that a provider is installed already, and nobody but this crate installs one
    let _ = OPENSSL.install_default();
}

/// Signs with one key and algorithm.
struct OpenSslSigner {
    key: PKey<Private>,
    algorithm: Algorithm,
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = match key.family() {
        AlgorithmFamily::Hmac => PKey::hmac(key.as_bytes()),
        _ => PKey::private_key_from_der(key.as_bytes()),
    };
    let key = key.map_err(|_| ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(OpenSslSigner { key, algorithm: *algorithm }))
}

impl JwtSigner for OpenSslSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Signer<Vec<u8>> for OpenSslSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        sign(&self.key, self.algorithm, message).map_err(signature::Error::from_source)
    }
}

fn sign(
    key: &PKey<Private>,
    algorithm: Algorithm,
    message: &[u8],
) -> std::result::Result<Vec<u8>, ErrorStack> {
    let Some(digest) = digest(algorithm) else {
        return Signer::new_without_digest(key)?.sign_oneshot_to_vec(message);
    };
    let mut signer = Signer::new(digest, key)?;
    match algorithm {
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => {
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            signer.set_rsa_mgf1_md(digest)?;
            // RFC 7518 §3.5
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            signer.sign_oneshot_to_vec(message)
        }
        Algorithm::ES256 | Algorithm::ES384 => {
            let half = if algorithm == Algorithm::ES256 { 32 } else { 48 };
            let pair = EcdsaSig::from_der(&signer.sign_oneshot_to_vec(message)?)?;
            // RFC 7518 §3.4
            Ok([pair.r().to_vec_padded(half)?, pair.s().to_vec_padded(half)?].concat())
        }
        _ => signer.sign_oneshot_to_vec(message),
    }
}

/// The hash of an algorithm; `None` for EdDSA, which has its own.
fn digest(algorithm: Algorithm) -> Option<MessageDigest> {
    use Algorithm::{ES256, ES384, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
    match algorithm {
        HS256 | RS256 | PS256 | ES256 => Some(MessageDigest::sha256()),
        HS384 | RS384 | PS384 | ES384 => Some(MessageDigest::sha384()),
        HS512 | RS512 | PS512 => Some(MessageDigest::sha512()),
        _ => None,
    }
}

/// Verifies with one key and algorithm.
struct OpenSslVerifier {
    key: VerificationKey,
    algorithm: Algorithm,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = from_decoding_key(*algorithm, key).map_err(|_| ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(OpenSslVerifier { key, algorithm: *algorithm }))
}

fn from_decoding_key(
    algorithm: Algorithm,
    key: &DecodingKey,
) -> std::result::Result<VerificationKey, KeyError> {
    let public = match (key.family(), key.kind()) {
        (AlgorithmFamily::Hmac, DecodingKeyKind::SecretOrDer(secret)) => {
            return VerificationKey::from_secret(secret);
        }
        (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(der)) => {
            PKey::from_rsa(Rsa::public_key_from_der_pkcs1(der)?)?
        }
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            PKey::from_rsa(Rsa::from_public_components(BigNum::from_slice(n)?, BigNum::from_slice(e)?)?)?
        }
        (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
            let curve = if algorithm == Algorithm::ES256 { Nid::X9_62_PRIME256V1 } else { Nid::SECP384R1 };
            let group = EcGroup::from_curve_name(curve)?;
            let mut context = openssl::bn::BigNumContext::new()?;
            let point = EcPoint::from_bytes(&group, point, &mut context)?;
            PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)?
        }
        (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(raw)) => {
            PKey::public_key_from_raw_bytes(raw, Id::ED25519)?
        }
        _ => return Err(KeyError::Type),
    };
    VerificationKey::from_public(&public)
}

impl JwtVerifier for OpenSslVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for OpenSslVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        if self.key.verify(self.algorithm, message, signature) {
            Ok(())
        } else {
            Err(signature::Error::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Header, Validation, decode, encode};
    use serde_json::{Value, json};

    fn round_trip(algorithm: Algorithm, signing: &EncodingKey, verifying: &DecodingKey) {
        install();
        let token = encode(&Header::new(algorithm), &json!({"exp": 4_000_000_000u64}), signing).unwrap();
        let validation = Validation::new(algorithm);
        assert!(decode::<Value>(&token, verifying, &validation).is_ok(), "{algorithm:?}");
        let mut forged = token.into_bytes();
        let dot = forged.iter().rposition(|octet| *octet == b'.').unwrap();
        forged[dot + 1] ^= 1;
        assert!(decode::<Value>(&forged, verifying, &validation).is_err(), "{algorithm:?}");
    }

    #[test]
    fn every_algorithm_of_jsonwebtoken() {
        let rsa = Rsa::generate(2048).unwrap();
        let signing = EncodingKey::from_rsa_der(&rsa.private_key_to_der().unwrap());
        let verifying = DecodingKey::from_rsa_raw_components(&rsa.n().to_vec(), &rsa.e().to_vec());
        for algorithm in AlgorithmFamily::Rsa.algorithms() {
            round_trip(*algorithm, &signing, &verifying);
        }
        round_trip(
            Algorithm::RS256,
            &signing,
            &DecodingKey::from_rsa_der(&rsa.public_key_to_der_pkcs1().unwrap()),
        );

        for (algorithm, curve) in
            [(Algorithm::ES256, Nid::X9_62_PRIME256V1), (Algorithm::ES384, Nid::SECP384R1)]
        {
            let group = EcGroup::from_curve_name(curve).unwrap();
            let key = EcKey::generate(&group).unwrap();
            let mut context = openssl::bn::BigNumContext::new().unwrap();
            let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
            let point = key.public_key().to_bytes(&group, form, &mut context).unwrap();
            let signing = PKey::from_ec_key(key).unwrap().private_key_to_pkcs8().unwrap();
            round_trip(algorithm, &EncodingKey::from_ec_der(&signing), &DecodingKey::from_ec_der(&point));
        }

        let ed = PKey::generate_ed25519().unwrap();
        let verifying = DecodingKey::from_ed_der(&ed.raw_public_key().unwrap());
        round_trip(
            Algorithm::EdDSA,
            &EncodingKey::from_ed_der(&ed.private_key_to_pkcs8().unwrap()),
            &verifying,
        );

        for algorithm in AlgorithmFamily::Hmac.algorithms() {
            round_trip(*algorithm, &EncodingKey::from_secret(&[3; 64]), &DecodingKey::from_secret(&[3; 64]));
        }
    }

    #[test]
    fn small_keys_stay_refused() {
        install();
        let rsa = Rsa::generate(1024).unwrap();
        let verifying = DecodingKey::from_rsa_raw_components(&rsa.n().to_vec(), &rsa.e().to_vec());
        assert!(verifier(&Algorithm::RS256, &verifying).is_err());
        assert!(verifier(&Algorithm::HS256, &verifying).is_err());
        assert!(signer(&Algorithm::RS256, &EncodingKey::from_secret(&[3; 64])).is_err());
    }
}
