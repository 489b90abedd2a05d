//! What a TLS terminating reverse proxy tells its backends (draft-ietf-tokbind-ttrp-09).

use crate::verification::VerifiedId;

/// The client's message (RFC 8473 §2). draft-ietf-tokbind-ttrp §2.3: never dispatched to a backend that trusts the proxy.
pub const SEC_TOKEN_BINDING: &str = "Sec-Token-Binding";
/// The provided ID (draft-ietf-tokbind-ttrp §2.2).
pub const SEC_PROVIDED_TOKEN_BINDING_ID: &str = "Sec-Provided-Token-Binding-ID";
/// The referred ID, where there is one (draft-ietf-tokbind-ttrp §2.2).
pub const SEC_REFERRED_TOKEN_BINDING_ID: &str = "Sec-Referred-Token-Binding-ID";
/// Verified IDs of other types (draft-ietf-tokbind-ttrp §2.2).
pub const SEC_OTHER_TOKEN_BINDING_ID: &str = "Sec-Other-Token-Binding-ID";

/// The value of `Sec-Other-Token-Binding-ID`: `type.ID,type.ID`. `None` where there are no such bindings, since the
/// header must then be absent (draft-ietf-tokbind-ttrp §2.3).
#[must_use]
pub fn other_header_value(other: &[(u8, VerifiedId)]) -> Option<String> {
    // draft-ietf-tokbind-ttrp §2.1.2: the type is one or two hexadecimal digits.
    let value = |(code, id): &(u8, VerifiedId)| format!("{code:x}.{}", id.to_base64url());
    (!other.is_empty()).then(|| other.iter().map(value).collect::<Vec<_>>().join(","))
}
