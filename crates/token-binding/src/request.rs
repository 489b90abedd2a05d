//! What becomes of a request, before any cryptography: the decision that depends on the connection and the configuration.

use std::ffi::CStr;

/// How a request stands, for logs and applications: the values of `Token-Binding-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The message was verified: the IDs are proved.
    Verified,
    /// Negotiated, but the request carried no message.
    Missing,
    /// The message was refused.
    Invalid,
    /// Token Binding was not negotiated on this connection.
    NotNegotiated,
    /// Switched off on this virtual host.
    Disabled,
    /// The request did not come over TLS.
    NoTls,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static CStr {
        match self {
            Self::Verified => c"verified",
            Self::Missing => c"missing",
            Self::Invalid => c"invalid",
            Self::NotNegotiated => c"not-negotiated",
            Self::Disabled => c"disabled",
            Self::NoTls => c"no-tls",
        }
    }
}

/// What to do with a request that lacks the message it ought to carry: `TokenBindingMissing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Refuse it.
    // RFC 8473 §2: a client that negotiated Token Binding sends the field in every request.
    #[default]
    Reject,
    /// Go on unbound.
    // RFC 8472 §4: a client may have found the server's version too low and fallen back.
    Allow,
}

/// What is known when a request arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The virtual host has Token Binding switched on.
    pub enabled: bool,
    /// The request came over TLS.
    pub tls: bool,
    /// Token Binding was negotiated in the connection's last handshake.
    pub negotiated: bool,
    /// The request has a `Sec-Token-Binding` field, be it empty.
    pub field: bool,
    /// What the virtual host does where it is missing.
    pub missing: Missing,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Verify the message.
    Verify,
    /// Go on without a binding; the field, if any, means nothing.
    Unbound(Status),
    /// Answer 400.
    Refuse(Status),
}

/// Decides on a request by what is known before its message is read.
#[must_use]
pub const fn first_step(arrival: Arrival) -> Step {
    match arrival {
        Arrival { enabled: false, .. } => Step::Unbound(Status::Disabled),
        Arrival { tls: false, .. } => Step::Unbound(Status::NoTls),
        // RFC 8471 §4.2: bindings are rejected where Token Binding was not negotiated; the request itself may go on.
        Arrival { negotiated: false, .. } => Step::Unbound(Status::NotNegotiated),
        Arrival { field: true, .. } => Step::Verify,
        Arrival { missing: Missing::Reject, .. } => Step::Refuse(Status::Missing),
        Arrival { missing: Missing::Allow, .. } => Step::Unbound(Status::Missing),
    }
}

/// Whether `Include-Referred-Token-Binding-ID: true` belongs into the response: a redirect, and the request was bound.
// RFC 8473 §5.3: clients ignore it unless the status is 3xx and the request carried a binding. 304 redirects nowhere.
#[must_use]
pub const fn asks_for_referred(http_status: u16, request: Status) -> bool {
    matches!(http_status, 300..=303 | 305..=399) && matches!(request, Status::Verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Arrival =
        Arrival { enabled: true, tls: true, negotiated: true, field: true, missing: Missing::Reject };

    #[test]
    fn a_message_is_verified_only_where_it_was_negotiated() {
        assert_eq!(first_step(BOUND), Step::Verify);
        assert_eq!(first_step(Arrival { negotiated: false, ..BOUND }), Step::Unbound(Status::NotNegotiated));
        assert_eq!(
            first_step(Arrival { tls: false, negotiated: false, ..BOUND }),
            Step::Unbound(Status::NoTls)
        );
        assert_eq!(first_step(Arrival { enabled: false, ..BOUND }), Step::Unbound(Status::Disabled));
    }

    #[test]
    fn a_missing_message_is_refused_unless_allowed() {
        let missing = Arrival { field: false, ..BOUND };
        assert_eq!(first_step(missing), Step::Refuse(Status::Missing));
        assert_eq!(
            first_step(Arrival { missing: Missing::Allow, ..missing }),
            Step::Unbound(Status::Missing)
        );
    }

    #[test]
    fn only_redirects_of_bound_requests_ask_for_the_referred_binding() {
        assert!(asks_for_referred(302, Status::Verified));
        assert!(!asks_for_referred(302, Status::Missing));
        assert!(!asks_for_referred(200, Status::Verified));
        assert!(!asks_for_referred(304, Status::Verified));
    }
}
