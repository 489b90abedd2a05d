//! Making messages: for clients and for tests.

use crate::base64url;
use crate::message::Field;
use crate::secret::{EKM_LEN, Ekm};

/// What a signature is made over. RFC 8471 §3.3: type (1 octet), key parameters (1 octet) and EKM (32 octets).
#[must_use]
pub fn signature_input(token_binding_type: u8, key_parameters: u8, ekm: &Ekm) -> [u8; 2 + EKM_LEN] {
    let mut input = [0; 2 + EKM_LEN];
    let [first, second, rest @ ..] = &mut input;
    *first = token_binding_type;
    *second = key_parameters;
    rest.copy_from_slice(ekm.as_bytes());
    input
}

/// A field that is longer than its length octets can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} would have more than 65535 octets")]
pub struct EncodeError(pub Field);

/// One `TokenBinding` (RFC 8471 §3). Any octets are taken, valid or not.
///
/// # Errors
///
/// Signature or extensions are longer than 65535 octets.
pub fn encode_binding(
    token_binding_type: u8,
    id: &[u8],
    signature: &[u8],
    extensions: &[u8],
) -> Result<Vec<u8>, EncodeError> {
    let mut binding = Vec::with_capacity(1 + id.len() + 2 + signature.len() + 2 + extensions.len());
    binding.push(token_binding_type);
    binding.extend(id);
    push_vector16(&mut binding, signature, Field::Signature)?;
    push_vector16(&mut binding, extensions, Field::Extensions)?;
    Ok(binding)
}

fn push_vector16(to: &mut Vec<u8>, octets: &[u8], field: Field) -> Result<(), EncodeError> {
    let length = u16::try_from(octets.len()).map_err(|_| EncodeError(field))?;
    to.extend(length.to_be_bytes());
    to.extend(octets);
    Ok(())
}

/// Puts a message together, binding by binding.
#[derive(Clone, Debug, Default)]
pub struct MessageBuilder(Vec<u8>);

impl MessageBuilder {
    /// A message without bindings.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a binding. `extensions` are the octets of the list, without its length; usually none.
    ///
    /// # Errors
    ///
    /// A field is too long.
    pub fn push(
        &mut self,
        token_binding_type: u8,
        id: &[u8],
        signature: &[u8],
        extensions: &[u8],
    ) -> Result<&mut Self, EncodeError> {
        self.0.extend(encode_binding(token_binding_type, id, signature, extensions)?);
        Ok(self)
    }

    /// The `TokenBindingMessage`.
    ///
    /// # Errors
    ///
    /// All bindings together are longer than 65535 octets.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut message = Vec::with_capacity(2 + self.0.len());
        push_vector16(&mut message, &self.0, Field::TokenBindings)?;
        Ok(message)
    }

    /// The value of the `Sec-Token-Binding` field (RFC 8473 §2).
    ///
    /// # Errors
    ///
    /// As [`Self::to_bytes`].
    pub fn to_field_value(&self) -> Result<String, EncodeError> {
        self.to_bytes().map(|message| base64url::encode(&message))
    }
}
