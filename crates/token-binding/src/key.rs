//! Private keys: for clients and for tests.

use crate::encode::signature_input;
use crate::key_parameters::KeyParameters;
use crate::public_key::{self, KeyFault};
use crate::secret::Ekm;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Rsa;
use zeroize::Zeroizing;

/// A key pair together with the scheme it is used in. It cannot be printed.
pub struct KeyPair {
    key_parameters: KeyParameters,
    private_key: PKey<Private>,
    id: Vec<u8>,
}

/// Why a private key cannot be used for Token Binding.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyError {
    /// No PEM of an unencrypted private key.
    #[error("not an unencrypted private key in PEM form")]
    NotAPrivateKey,
    /// A key of another kind than the key parameters ask for, or than any do.
    #[error("private key is neither RSA with 2048 bits nor elliptic curve P-256")]
    WrongKind,
    /// The key is of the right kind, but not for the wanted key parameters.
    #[error("private key does not fit key parameters {0}")]
    DoesNotFit(KeyParameters),
    /// A server would refuse the key.
    #[error("private key cannot be used: {0}")]
    Fault(#[from] KeyFault),
    /// OpenSSL failed.
    #[error("openssl: {0}")]
    OpenSsl(#[from] ErrorStack),
}

impl KeyPair {
    /// A new key.
    ///
    /// # Errors
    ///
    /// OpenSSL failed.
    pub fn generate(key_parameters: KeyParameters) -> Result<Self, KeyError> {
        let private_key = match key_parameters {
            KeyParameters::Rsa2048Pkcs1_5 | KeyParameters::Rsa2048Pss => {
                PKey::from_rsa(Rsa::generate(2048)?)?
            }
            KeyParameters::EcdsaP256 => {
                PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?
            }
        };
        Self::new(private_key, key_parameters)
    }

    /// A key from its PEM form, PKCS #8 or traditional; certificates in the same text are passed over.
    ///
    /// A PEM does not say which scheme an RSA key is for. Without `key_parameters` it is `rsa2048_pss`.
    ///
    /// # Errors
    ///
    /// The text is no such key, is encrypted, or does not fit `key_parameters`.
    pub fn from_private_key_pem(pem: &[u8], key_parameters: Option<KeyParameters>) -> Result<Self, KeyError> {
        // Without a callback OpenSSL would ask the terminal for a passphrase.
        let private_key = PKey::private_key_from_pem_callback(pem, |_| Err(ErrorStack::get()))
            .map_err(|_| KeyError::NotAPrivateKey)?;
        let key_parameters = match key_parameters {
            Some(key_parameters) => key_parameters,
            None if private_key.id() == Id::EC => KeyParameters::EcdsaP256,
            None => KeyParameters::Rsa2048Pss,
        };
        Self::new(private_key, key_parameters)
    }

    fn new(private_key: PKey<Private>, key_parameters: KeyParameters) -> Result<Self, KeyError> {
        let id = match (private_key.id(), key_parameters) {
            (Id::EC, KeyParameters::EcdsaP256) => ec_id(&private_key)?,
            (Id::RSA, KeyParameters::Rsa2048Pkcs1_5 | KeyParameters::Rsa2048Pss) => {
                rsa_id(&private_key, key_parameters)?
            }
            (Id::EC | Id::RSA, _) => return Err(KeyError::DoesNotFit(key_parameters)),
            _ => return Err(KeyError::WrongKind),
        };
        Ok(Self { key_parameters, private_key, id })
    }

    /// The scheme.
    #[must_use]
    pub const fn key_parameters(&self) -> KeyParameters {
        self.key_parameters
    }

    /// The octets of the Token Binding ID (RFC 8471 §3.2).
    #[must_use]
    pub fn id(&self) -> Vec<u8> {
        self.id.clone()
    }

    /// The key in unencrypted PKCS #8 PEM form.
    ///
    /// # Errors
    ///
    /// OpenSSL failed.
    pub fn to_private_key_pem(&self) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        self.private_key.private_key_to_pem_pkcs8().map(Zeroizing::new)
    }

    /// The signature of a binding of this type, over this connection (RFC 8471 §3.3).
    ///
    /// # Errors
    ///
    /// OpenSSL failed.
    pub fn sign(&self, token_binding_type: u8, ekm: &Ekm) -> Result<Vec<u8>, ErrorStack> {
        let input = Zeroizing::new(signature_input(token_binding_type, self.key_parameters.code(), ekm));
        let digest = openssl::sha::sha256(&*input);
        let mut context = PkeyCtx::new(&self.private_key)?;
        context.sign_init()?;
        let mut signature = Vec::new();
        match self.key_parameters {
            KeyParameters::Rsa2048Pkcs1_5 | KeyParameters::Rsa2048Pss => {
                public_key::set_rsa_scheme(&mut context, self.key_parameters)?;
                context.sign_to_vec(&digest, &mut signature)?;
            }
            KeyParameters::EcdsaP256 => {
                context.set_signature_md(Md::sha256())?;
                context.sign_to_vec(&digest, &mut signature)?;
                let der = EcdsaSig::from_der(&signature)?;
                // RFC 8471 §3.3: R and S of 32 octets each, leading zeros kept.
                signature = [der.r().to_vec_padded(32)?, der.s().to_vec_padded(32)?].concat();
            }
        }
        Ok(signature)
    }
}

/// RFC 8471 §3.2: key parameters, key length, point length, X and Y.
fn ec_id(private_key: &PKey<Private>) -> Result<Vec<u8>, KeyError> {
    let key = private_key.ec_key()?;
    if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
        return Err(KeyError::WrongKind);
    }
    let point = key.public_key().to_bytes(
        key.group(),
        PointConversionForm::UNCOMPRESSED,
        &mut *BigNumContext::new()?,
    )?;
    let coordinates = point.get(1..).unwrap_or_default();
    Ok([&[KeyParameters::EcdsaP256.code(), 0, 65, 64], coordinates].concat())
}

/// RFC 8471 §3.2: key parameters, key length, then modulus and exponent with their lengths, leading zeros omitted.
fn rsa_id(private_key: &PKey<Private>, key_parameters: KeyParameters) -> Result<Vec<u8>, KeyError> {
    let key = private_key.rsa()?;
    let (modulus, public_exponent) = (key.n().to_vec(), key.e().to_vec());
    public_key::check_rsa(&modulus, &public_exponent)?;
    // The check leaves a modulus of 256 octets and an exponent of at most 4.
    let exponent_len = public_exponent.iter().fold(0_u8, |length, _| length.saturating_add(1));
    let key_len = 2 + 256 + 1 + u16::from(exponent_len);
    Ok([
        &[key_parameters.code()],
        key_len.to_be_bytes().as_slice(),
        &[1, 0],
        &modulus,
        &[exponent_len],
        &public_exponent,
    ]
    .concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyParameters::{EcdsaP256, Rsa2048Pkcs1_5, Rsa2048Pss};

    #[test]
    fn a_key_survives_its_pem() {
        let ekm = Ekm::new([3; 32]);
        for key_parameters in [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs1_5] {
            let key = KeyPair::generate(key_parameters).unwrap();
            let pem = key.to_private_key_pem().unwrap();
            let read = KeyPair::from_private_key_pem(&pem, Some(key_parameters)).unwrap();
            assert_eq!((read.key_parameters(), read.id()), (key_parameters, key.id()));
            let signature_len = if key_parameters == EcdsaP256 { 64 } else { 256 };
            assert_eq!(read.sign(0, &ekm).unwrap().len(), signature_len);
            let guessed = KeyPair::from_private_key_pem(&pem, None).unwrap().key_parameters();
            assert_eq!(guessed, if key_parameters == EcdsaP256 { EcdsaP256 } else { Rsa2048Pss });
        }
    }

    #[test]
    fn lengths_of_ids() {
        assert_eq!(KeyPair::generate(EcdsaP256).unwrap().id().len(), 68);
        assert_eq!(KeyPair::generate(Rsa2048Pss).unwrap().id().len(), 265);
    }

    #[test]
    fn keys_that_do_not_serve() {
        let pem = |key: PKey<Private>| key.private_key_to_pem_pkcs8().unwrap();
        let refused = |pem: &[u8], wanted| KeyPair::from_private_key_pem(pem, wanted).err().unwrap();
        let p384 = EcKey::generate(&EcGroup::from_curve_name(Nid::SECP384R1).unwrap()).unwrap();
        assert!(matches!(refused(&pem(PKey::from_ec_key(p384).unwrap()), None), KeyError::WrongKind));
        assert!(matches!(refused(&pem(PKey::generate_ed25519().unwrap()), None), KeyError::WrongKind));
        let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        assert!(matches!(refused(&pem(short), None), KeyError::Fault(KeyFault::ModulusLength(128))));
        let ec = KeyPair::generate(EcdsaP256).unwrap();
        let ec_pem = ec.to_private_key_pem().unwrap();
        assert!(matches!(refused(&ec_pem, Some(Rsa2048Pss)), KeyError::DoesNotFit(Rsa2048Pss)));
        assert!(matches!(refused(b"nonsense", None), KeyError::NotAPrivateKey));
        let cipher = openssl::symm::Cipher::aes_128_cbc();
        let locked = ec.private_key.private_key_to_pem_pkcs8_passphrase(cipher, b"word").unwrap();
        // It is refused without asking the terminal.
        assert!(matches!(refused(&locked, None), KeyError::NotAPrivateKey));
        assert!(ErrorStack::get().errors().is_empty());
    }
}
