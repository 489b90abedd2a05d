//! Token Binding: what a TLS server, a client and a backend need to know of
//! RFC 8471 (the protocol), RFC 8472 (its negotiation) and RFC 8473 (its use in HTTP).
//!
//! A client proves with every request that it holds a private key, by signing keying material exported from the
//! very TLS connection that carries the request. A cookie or token that is bound to that key is useless elsewhere.
//!
//! The way of a connection through this crate:
//!
//! 1. [`ClientOffer::parse`] reads the client's TLS extension and [`negotiate`] decides what to answer.
//! 2. The keying material of the finished handshake becomes an [`Ekm`].
//! 3. [`verify`] judges the `Sec-Token-Binding` field of each request against both.
//!
//! Nothing here knows a web server, and nothing here is unsafe.
#![forbid(unsafe_code)]

pub mod base64url;
pub mod context;
pub mod encode;
pub mod key;
pub mod key_parameters;
pub mod message;
pub mod negotiation;
pub mod pass;
mod public_key;
mod reader;
pub mod request;
pub mod reserved;
pub mod secret;
pub mod token_binding_id;
pub mod ttrp;
pub mod vary;
pub mod verification;

pub use base64url::Base64UrlError;
pub use context::{ContextError, TokenBindingContext};
pub use encode::{EncodeError, MessageBuilder, encode_binding, signature_input};
pub use key::{KeyError, KeyPair};
pub use key_parameters::{KeyParameters, Preference, PreferenceError, UnknownKeyParameters};
pub use message::{
    Extension, Extensions, Field, MessageError, PublicKey, TokenBinding, TokenBindingMessage,
    TokenBindingType,
};
pub use negotiation::{
    ClientOffer, EXTENSION_TYPE, Handshake, MalformedExtension, Negotiated, NotNegotiated, ProtocolVersion,
    ServerFault, accept, negotiate, offer,
};
pub use public_key::KeyFault;
pub use secret::{EKM_LEN, EXPORTER_LABEL, Ekm};
pub use token_binding_id::{TokenBindingHash, TokenBindingId};
pub use verification::{MAX_SIGNATURE_CHECKS, Rejection, Verified, VerifiedId, parse_field_value, verify};
