//! The `Token-Binding-Context` header (draft-campbell-tokbind-tls-term-00): what a backend needs to verify a
//! `Sec-Token-Binding` field by itself. It holds the EKM, so it goes to trusted backends only.

use crate::base64url::{self, Base64UrlError};
use crate::key_parameters::KeyParameters;
use crate::negotiation::{Negotiated, ProtocolVersion};
use crate::secret::{EKM_LEN, Ekm};
use zeroize::Zeroizing;

/// draft-campbell-tokbind-tls-term-00 §2: version (2 octets), key parameters (1), EKM (32). As text 47 characters.
const CONTEXT_LEN: usize = 3 + EKM_LEN;

/// A text that is no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Not canonical base64url; two header fields joined by a comma are not either.
    #[error("token binding context is not base64url: {0}")]
    Base64Url(#[from] Base64UrlError),
    /// Another length than that of version, key parameters and EKM.
    #[error("token binding context has {0} octets instead of 35")]
    Length(usize),
    /// Key parameters that no server can have negotiated.
    #[error("token binding context names unknown key parameters {0}")]
    UnknownKeyParameters(u8),
}

/// Namespace for the two directions of the `Token-Binding-Context` header.
pub struct TokenBindingContext;

impl TokenBindingContext {
    /// The header's value for a connection: 47 characters. It is as secret as the EKM in it.
    #[must_use]
    pub fn encode(negotiated: &Negotiated, ekm: &Ekm) -> String {
        let mut octets = Zeroizing::new(Vec::with_capacity(CONTEXT_LEN));
        octets.extend([negotiated.version.major, negotiated.version.minor, negotiated.key_parameters.code()]);
        octets.extend(ekm.as_bytes());
        base64url::encode(&octets)
    }

    /// What a trusted proxy says about its connection with the client.
    ///
    /// The version is given as the proxy negotiated it: whether to go along with another one than 1.0 is the backend's
    /// decision.
    ///
    /// # Errors
    ///
    /// The value is not one that [`Self::encode`] makes.
    pub fn decode(value: &[u8]) -> Result<(Negotiated, Ekm), ContextError> {
        let octets = Zeroizing::new(base64url::decode(value)?);
        let wrong_length = ContextError::Length(octets.len());
        let (&[major, minor, code], ekm) = octets.split_first_chunk().ok_or(wrong_length)?;
        let ekm = Ekm::new(ekm.try_into().map_err(|_| wrong_length)?);
        let key_parameters =
            KeyParameters::from_code(code).ok_or(ContextError::UnknownKeyParameters(code))?;
        Ok((Negotiated { version: ProtocolVersion { major, minor }, key_parameters }, ekm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ekm() -> Ekm {
        Ekm::new(std::array::from_fn(|i| u8::try_from(i).unwrap()))
    }

    #[test]
    fn there_and_back() {
        let negotiated =
            Negotiated { version: ProtocolVersion::V1_0, key_parameters: KeyParameters::EcdsaP256 };
        let value = TokenBindingContext::encode(&negotiated, &ekm());
        assert_eq!(value, "AQACAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        assert_eq!(value.len(), 47);
        let (decoded, decoded_ekm) = TokenBindingContext::decode(value.as_bytes()).unwrap();
        assert_eq!(decoded, negotiated);
        assert_eq!(decoded_ekm.as_bytes(), ekm().as_bytes());
    }

    #[test]
    fn refuses_everything_else() {
        let refusal = |value: &[u8]| TokenBindingContext::decode(value).err().unwrap();
        let of = |octets: &[u8]| refusal(base64url::encode(octets).as_bytes());
        assert_eq!(of(&[]), ContextError::Length(0));
        assert_eq!(of(&[1, 0]), ContextError::Length(2));
        assert_eq!(of(&[2; 34]), ContextError::Length(34));
        assert_eq!(of(&[2; 36]), ContextError::Length(36));
        assert_eq!(of(&[3; 35]), ContextError::UnknownKeyParameters(3));
        assert!(matches!(refusal(b"AQAC,AQAC"), ContextError::Base64Url(_)));
    }
}
