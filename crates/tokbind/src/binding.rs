//! The `Sec-Token-Binding` field of a request (RFC 8473 §2).

use openssl::error::ErrorStack;
use token_binding::{Ekm, EncodeError, KeyPair, MessageBuilder, TokenBindingType};

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Signing failed.
    #[error("cannot sign the token binding: {0}")]
    Sign(#[from] ErrorStack),
    /// The message is too long.
    #[error("cannot encode the token binding: {0}")]
    Encode(#[from] EncodeError),
}

/// The value of the field: a provided binding, and a referred one where there is a key for it.
///
/// `ekm` is that of the connection to the receiving server, for the referred binding too (RFC 8473 §5.3). The provided
/// key has to have the negotiated key parameters (RFC 8471 §4.1).
///
/// # Errors
///
/// OpenSSL cannot sign.
pub fn field_value(provided: &KeyPair, referred: Option<&KeyPair>, ekm: &Ekm) -> Result<String, Error> {
    let mut message = MessageBuilder::new();
    push(&mut message, TokenBindingType::Provided, provided, ekm)?;
    if let Some(referred) = referred {
        push(&mut message, TokenBindingType::Referred, referred, ekm)?;
    }
    Ok(message.to_field_value()?)
}

/// Adds a binding of this type, signed with this key, to a message.
///
/// # Errors
///
/// As [`field_value`].
pub fn push(
    message: &mut MessageBuilder,
    token_binding_type: TokenBindingType,
    key: &KeyPair,
    ekm: &Ekm,
) -> Result<(), Error> {
    let code = token_binding_type.code();
    message.push(code, &key.id(), &key.sign(code, ekm)?, &[])?;
    Ok(())
}
