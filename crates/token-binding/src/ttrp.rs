//! What a TLS terminating reverse proxy tells its backends (draft-ietf-tokbind-ttrp-09). The names of its header fields are in
//! [`reserved`](crate::reserved).

use crate::verification::VerifiedId;

/// The value of `Sec-Other-Token-Binding-ID`: `type.ID,type.ID`. `None` where there are no such bindings, since the
/// header must then be absent (draft-ietf-tokbind-ttrp §2.3).
#[must_use]
pub fn other_header_value(other: &[(u8, VerifiedId)]) -> Option<String> {
    // draft-ietf-tokbind-ttrp §2.1.2: the type is one or two hexadecimal digits.
    let value = |(code, id): &(u8, VerifiedId)| format!("{code:x}.{}", id.to_base64url());
    (!other.is_empty()).then(|| other.iter().map(value).collect::<Vec<_>>().join(","))
}
