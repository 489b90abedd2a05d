//! What a server does with a `Sec-Token-Binding` field (RFC 8471 §4.2, RFC 8473 §2).
//!
//! RFC 8471 §4.2 has a binding rejected; here the whole message is, since nothing good comes from half a message.

use crate::base64url::{self, Base64UrlError};
use crate::encode::signature_input;
use crate::key_parameters::KeyParameters;
use crate::message::{self, MessageError, TokenBinding, TokenBindingType};
use crate::negotiation::Negotiated;
use crate::public_key::{Claim, KeyFault};
use crate::secret::Ekm;
use crate::token_binding_id::{TokenBindingHash, TokenBindingId};
use zeroize::Zeroizing;

/// The most signatures that one message may ask to have checked. A message has one or two in practice; 64 KiB could hold
/// hundreds.
pub const MAX_SIGNATURE_CHECKS: usize = 8;

/// A Token Binding ID whose key the client has proven to hold, on this connection. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifiedId(Box<[u8]>);

impl VerifiedId {
    /// The ID.
    #[must_use]
    pub const fn as_id(&self) -> TokenBindingId<'_> {
        TokenBindingId::new(&self.0)
    }

    /// Its text form: [`TokenBindingId::to_base64url`].
    #[must_use]
    pub fn to_base64url(&self) -> String {
        self.as_id().to_base64url()
    }

    /// Its hash: [`TokenBindingId::hash`].
    #[must_use]
    pub fn hash(&self) -> TokenBindingHash {
        self.as_id().hash()
    }
}

/// The bindings that a message established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key this client uses with this server (RFC 8473 §2: exactly one).
    pub provided: VerifiedId,
    /// The key it uses with another server, for which a token is asked for here. It never justifies accepting a token.
    pub referred: Option<VerifiedId>,
    /// Bindings of types that are not assigned, with their type.
    pub other: Vec<(u8, VerifiedId)>,
}

/// Why a message is rejected: what the client did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// RFC 8473 §2: more than one field. A server that joins fields gives them as one value with a comma.
    #[error("more than one sec-token-binding field")]
    DuplicateField,
    /// The field has no value.
    #[error("sec-token-binding field is empty")]
    EmptyField,
    /// RFC 8473 §2: the value is unpadded base64url.
    #[error("sec-token-binding field is not base64url: {0}")]
    InvalidBase64Url(Base64UrlError),
    /// RFC 8471 §3: the message does not frame.
    #[error("malformed token binding message: {0}")]
    Malformed(#[from] MessageError),
    /// RFC 8473 §2: exactly one provided binding.
    #[error("message has no provided token binding")]
    NoProvided,
    /// RFC 8473 §2: exactly one provided binding.
    #[error("message has more than one provided token binding")]
    SeveralProvided,
    /// RFC 8473 §2: at most one referred binding.
    #[error("message has more than one referred token binding")]
    SeveralReferred,
    /// RFC 8471 §4.2: the provided binding has other key parameters than negotiated.
    #[error("provided token binding has key parameters {presented}, negotiated was {negotiated}")]
    KeyParametersMismatch {
        /// What the handshake agreed on.
        negotiated: KeyParameters,
        /// The octet in the provided ID.
        presented: u8,
    },
    /// More signatures than are checked for one message.
    #[error("message has more than {MAX_SIGNATURE_CHECKS} signatures to check")]
    TooManyBindings,
    /// RFC 8471 §3.2: the public key is not what its key parameters say.
    #[error("invalid public key: {0}")]
    InvalidKey(#[from] KeyFault),
    /// RFC 8471 §4.2: a signature, of whatever binding, is not valid for this connection.
    #[error("invalid signature")]
    InvalidSignature,
}

impl Rejection {
    /// All labels, in the order in which they are counted and shown.
    pub const LABELS: [&str; 11] = [
        "duplicate-field",
        "empty-field",
        "invalid-base64url",
        "malformed",
        "no-provided",
        "several-provided",
        "several-referred",
        "key-parameters-mismatch",
        "too-many-bindings",
        "invalid-key",
        "invalid-signature",
    ];

    /// A short word that stays the same, for counters and tools.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::DuplicateField => "duplicate-field",
            Self::EmptyField => "empty-field",
            Self::InvalidBase64Url(_) => "invalid-base64url",
            Self::Malformed(_) => "malformed",
            Self::NoProvided => "no-provided",
            Self::SeveralProvided => "several-provided",
            Self::SeveralReferred => "several-referred",
            Self::KeyParametersMismatch { .. } => "key-parameters-mismatch",
            Self::TooManyBindings => "too-many-bindings",
            Self::InvalidKey(_) => "invalid-key",
            Self::InvalidSignature => "invalid-signature",
        }
    }
}

/// The message in a `Sec-Token-Binding` field.
///
/// # Errors
///
/// The value is empty, several values, or not base64url.
pub fn parse_field_value(field_value: &[u8]) -> Result<Vec<u8>, Rejection> {
    if field_value.is_empty() {
        return Err(Rejection::EmptyField);
    }
    // RFC 8473 §2: exactly one field. RFC 9110 §5.3 lets a recipient join several with a comma, and httpd does.
    if field_value.iter().any(|octet| matches!(octet, b',' | b' ')) {
        return Err(Rejection::DuplicateField);
    }
    base64url::decode(field_value).map_err(Rejection::InvalidBase64Url)
}

/// Judges the `Sec-Token-Binding` field of a request by what its connection negotiated and by its keying material.
///
/// Framing and numbers are judged first, then the keys' octets, then the signatures: of work that costs there is never
/// more than [`MAX_SIGNATURE_CHECKS`] signatures' worth.
///
/// # Errors
///
/// The message is rejected, and no binding in it may be used (RFC 8471 §4.2).
pub fn verify(field_value: &[u8], negotiated: &Negotiated, ekm: &Ekm) -> Result<Verified, Rejection> {
    let message = parse_field_value(field_value)?;
    let candidates = Candidates::read(&message)?;
    candidates.check_numbers(negotiated)?;
    let mut claims = [const { None }; MAX_SIGNATURE_CHECKS];
    for (place, binding) in claims.iter_mut().zip(candidates.to_check()) {
        *place = Some((Claim::of(binding)?, binding.token_binding_type));
    }
    for (claim, token_binding_type) in claims.iter().flatten() {
        check_signature(claim, *token_binding_type, ekm)?;
    }
    candidates.expose()
}

/// RFC 8471 §4.2: the signature is to be valid under the key in the ID.
fn check_signature(claim: &Claim<'_>, own_type: TokenBindingType, ekm: &Ekm) -> Result<(), Rejection> {
    // RFC 8471 §3.3: the binding's own type is signed, so a referred binding cannot serve as a provided one.
    let input = Zeroizing::new(signature_input(own_type.code(), claim.key_parameters().code(), ekm));
    if claim.holds(&*input)? { Ok(()) } else { Err(Rejection::InvalidSignature) }
}

/// What one pass over a message finds.
struct Candidates<'a> {
    provided: usize,
    referred: usize,
    /// The octet in the first provided ID.
    provided_key_parameters: Option<u8>,
    /// How many have known key parameters, including those that found no place below.
    known: usize,
    bindings: [Option<TokenBinding<'a>>; MAX_SIGNATURE_CHECKS],
}

impl<'a> Candidates<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Rejection> {
        let mut found = Self {
            provided: 0,
            referred: 0,
            provided_key_parameters: None,
            known: 0,
            bindings: [None; MAX_SIGNATURE_CHECKS],
        };
        for binding in message::bindings(message)? {
            found.add(binding?);
        }
        Ok(found)
    }

    fn add(&mut self, binding: TokenBinding<'a>) {
        let key_parameters = binding.key_parameters();
        match binding.token_binding_type {
            TokenBindingType::Provided => {
                self.provided += 1;
                self.provided_key_parameters
                    .get_or_insert(key_parameters.map_or_else(|code| code, KeyParameters::code));
            }
            TokenBindingType::Referred => self.referred += 1,
            TokenBindingType::Other(_) => {}
        }
        // RFC 8471 §3.1 and RFC 8473 §5.4: nobody can check a binding with unknown key parameters. It is passed over, so
        // it never becomes a VerifiedId.
        if key_parameters.is_ok() {
            if let Some(place) = self.bindings.get_mut(self.known) {
                *place = Some(binding);
            }
            self.known += 1;
        }
    }

    fn check_numbers(&self, negotiated: &Negotiated) -> Result<(), Rejection> {
        // RFC 8473 §2: exactly one provided binding, at most one referred.
        if self.provided > 1 {
            return Err(Rejection::SeveralProvided);
        }
        let presented = self.provided_key_parameters.ok_or(Rejection::NoProvided)?;
        if self.referred > 1 {
            return Err(Rejection::SeveralReferred);
        }
        // RFC 8471 §4.2 and RFC 8472 §6.1: else a weaker scheme could be slipped in. A referred binding may differ: its
        // key parameters were negotiated with another server.
        if presented != negotiated.key_parameters.code() {
            let negotiated = negotiated.key_parameters;
            return Err(Rejection::KeyParametersMismatch { negotiated, presented });
        }
        if self.known > MAX_SIGNATURE_CHECKS {
            return Err(Rejection::TooManyBindings);
        }
        Ok(())
    }

    fn to_check(&self) -> impl Iterator<Item = &TokenBinding<'a>> {
        self.bindings.iter().flatten()
    }

    /// RFC 8471 §4.2: only once all of the message has passed do applications see its IDs.
    fn expose(&self) -> Result<Verified, Rejection> {
        let (mut provided, mut referred, mut other) = (None, None, Vec::new());
        for binding in self.to_check() {
            let id = VerifiedId(binding.id.as_bytes().into());
            match binding.token_binding_type {
                TokenBindingType::Provided => provided = Some(id),
                TokenBindingType::Referred => referred = Some(id),
                TokenBindingType::Other(code) => other.push((code, id)),
            }
        }
        Ok(Verified { provided: provided.ok_or(Rejection::NoProvided)?, referred, other })
    }
}
