//! Every way in which a request can be refused: what the client is told, what the log says, what is counted.

use crate::cnf::{ConfirmationFault, Method};
use crate::json::JsonFault;

/// What is wrong with an access token. The texts are for the log; [`Refusal::description`] is what the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than [`crate::jwt::MAX_TOKEN`].
    #[error("token is too long")]
    TooLong,
    /// Octets that no access token has (RFC 6750 §2.1, RFC 7515 §7.1).
    #[error("token has characters that no access token has")]
    Characters,
    /// A verifier for JWTs was given something else, such as an opaque or an encrypted token.
    #[error("token is not a signed JWT")]
    NotAJwt,
    /// A part of the JWT is not a JSON object that can be relied on.
    #[error("{0} in the JWT")]
    Json(#[from] JsonFault),
    /// A registered header parameter or the signature has not the form that RFC 7515 gives it.
    #[error("JWT header is malformed")]
    Header,
    /// `alg` is `none`, unknown, or not offered here.
    #[error("algorithm of the JWT is not supported")]
    Algorithm,
    /// RFC 7515 §4.1.11: an extension that must be understood is not.
    #[error("JWT has a critical header parameter that is not understood")]
    Critical,
    /// `typ` says that it is no access token (RFC 9068 §2.1).
    #[error("JWT is of another type than access token")]
    Type,
    /// No key has this ID and algorithm.
    #[error("no key matches the key ID and algorithm of the JWT")]
    UnknownKey,
    /// The signature is not by the key.
    #[error("signature of the JWT does not verify")]
    Signature,
    /// A claim that is required is not there.
    #[error("claim {0} is missing")]
    Missing(&'static str),
    /// A claim is of the wrong JSON type, such as a date that is a string (RFC 7519 §2).
    #[error("claim {0} is of the wrong type")]
    IllTyped(&'static str),
    /// Now is not before `exp`.
    #[error("token has expired")]
    Expired,
    /// Now is before `nbf`.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` lies too far in the future or in the past.
    #[error("token was issued outside of the accepted time")]
    IssuedAt,
    /// `iss` is another one.
    #[error("token is of another issuer")]
    Issuer,
    /// `aud` does not name this resource server.
    #[error("token is for another audience")]
    Audience,
    /// RFC 7662 §2.2: the authorization server says that the token is not active.
    #[error("token is not active")]
    Inactive,
    /// The claim that names the user is missing, not a string, or cannot be a user name.
    #[error("token names no user")]
    NoUser,
    /// The binding of the token does not hold on this connection.
    #[error(transparent)]
    Confirmation(#[from] ConfirmationFault),
}

/// Why keys or an introspection answer cannot be had. The administrator's business, not the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// The transport failed: connection, TLS, timeout, size.
    #[error("{0}")]
    Transport(String),
    /// The server answered with this status.
    #[error("the authorization server answered {0}")]
    Status(u16),
    /// The answer is not what it should be.
    #[error("the answer of the authorization server is useless: {0}")]
    Answer(String),
    /// Another request is fetching at this moment, or the last fetch failed and it is too early for the next.
    #[error("keys are not there yet")]
    Pending,
    /// As many workers wait for it as may ([`crate::waiting_room`]).
    #[error("as many workers as may wait for this authorization server wait for it already")]
    Crowded,
    /// No verifier applies to this part of the site.
    #[error("no OAuth2TokenVerify applies here")]
    NoVerifier,
    /// OpenSSL failed, as when it has no random numbers.
    #[error("cryptography failed")]
    Crypto,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token in any of the places where one is accepted.
    #[error("no access token")]
    NoToken,
    /// RFC 6750 §2: clients use one method per request.
    #[error("more than one access token")]
    SeveralTokens,
    /// A place where a token is expected holds something that is not one.
    #[error("malformed request: {0}")]
    MalformedRequest(&'static str),
    /// The token is not good, or not good here.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// The token is good, and not enough for what is required.
    #[error("the token's claims do not meet the requirement")]
    InsufficientScope {
        /// The scope that would do, if the requirement is one.
        scope: Option<String>,
    },
    /// The token cannot be judged now.
    #[error(transparent)]
    Unavailable(#[from] Outage),
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            // RFC 6750 §3.1
            Self::NoToken | Self::Token(_) => 401,
            Self::SeveralTokens | Self::MalformedRequest(_) => 400,
            Self::InsufficientScope { .. } => 403,
            // RFC 9110 §15.6.4
            Self::Unavailable(_) => 503,
        }
    }

    /// The error code of the challenge, if there is one.
    #[must_use]
    pub const fn error(&self) -> Option<&'static str> {
        match self {
            // RFC 6750 §3.1: no error code for a request without authentication information
            Self::NoToken | Self::Unavailable(_) => None,
            Self::SeveralTokens | Self::MalformedRequest(_) => Some("invalid_request"),
            Self::Token(_) => Some("invalid_token"),
            Self::InsufficientScope { .. } => Some("insufficient_scope"),
        }
    }

    /// What the client is told: which check failed, never with a value of the token, the configuration or the server.
    #[must_use]
    pub const fn description(&self) -> Option<&'static str> {
        match self {
            Self::NoToken | Self::Unavailable(_) => None,
            Self::SeveralTokens => Some("Multiple methods used to include access token"),
            Self::MalformedRequest(_) => Some("The request is malformed"),
            Self::InsufficientScope { .. } => Some("Different scope(s) or other claims required."),
            Self::Token(fault) => Some(describe(*fault)),
        }
    }

    /// For a 503: after how many seconds it is worth trying again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Unavailable(Outage::Pending | Outage::Crowded) => Some(1),
            Self::Unavailable(_) => Some(10),
            _ => None,
        }
    }

    /// Whether it is the administrator's or the authorization server's fault rather than the client's.
    #[must_use]
    pub const fn is_our_fault(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// A short stable word, for counters.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::SeveralTokens => "several-tokens",
            Self::MalformedRequest(_) => "malformed-request",
            Self::InsufficientScope { .. } => "insufficient-scope",
            Self::Unavailable(_) => "unavailable",
            Self::Token(fault) => label(*fault),
        }
    }

    /// When several verifiers refuse a token, the refusal that says most is the one that is reported.
    #[must_use]
    pub(crate) const fn weight(&self) -> u8 {
        match self {
            // the token might have been good
            Self::Unavailable(_) => 9,
            Self::Token(TokenFault::Confirmation(_) | TokenFault::NoUser) => 8,
            Self::Token(TokenFault::Expired | TokenFault::NotYetValid | TokenFault::IssuedAt) => 7,
            Self::Token(TokenFault::Audience | TokenFault::Missing(_) | TokenFault::IllTyped(_)) => 6,
            Self::Token(TokenFault::Signature) => 5,
            Self::Token(TokenFault::Inactive) => 4,
            Self::Token(TokenFault::UnknownKey) => 3,
            Self::Token(TokenFault::Issuer) => 2,
            Self::Token(TokenFault::NotAJwt) => 0,
            _ => 1,
        }
    }
}

/// RFC 6750 §3: `error_description` is of %x20-21, %x23-5B and %x5D-7E.
const fn describe(fault: TokenFault) -> &'static str {
    match fault {
        TokenFault::TooLong | TokenFault::Characters | TokenFault::NotAJwt => "The access token is malformed",
        TokenFault::Json(_) | TokenFault::Header | TokenFault::Critical => "The access token is malformed",
        TokenFault::Algorithm => "The algorithm of the access token is not supported",
        TokenFault::Type => "The access token is of the wrong type",
        TokenFault::UnknownKey => "The access token is signed with an unknown key",
        TokenFault::Signature => "The signature of the access token is invalid",
        TokenFault::Missing(_) => "A required claim of the access token is missing",
        TokenFault::IllTyped(_) => "A claim of the access token is malformed",
        TokenFault::Expired => "The access token expired",
        TokenFault::NotYetValid => "The access token is not valid yet",
        TokenFault::IssuedAt => "The access token was issued outside of the accepted time",
        TokenFault::Issuer => "The access token is of another issuer",
        TokenFault::Audience => "The access token is for another audience",
        TokenFault::Inactive => "The access token is not active",
        TokenFault::NoUser => "Could not determine remote user.",
        TokenFault::Confirmation(fault) => describe_confirmation(fault),
    }
}

const fn describe_confirmation(fault: ConfirmationFault) -> &'static str {
    use ConfirmationFault::{Mismatch, Missing, NoSupportedMember, NotAString, NotAnObject, Unbound};
    match fault {
        Missing(Method::ClientCertificate) | Mismatch(Method::ClientCertificate) => {
            "Missing / invalid client X.509 certificate for x5t#S256 bound access token"
        }
        Missing(Method::TokenBinding) | Mismatch(Method::TokenBinding) => {
            "Missing / invalid Token Binding for tbh bound access token"
        }
        Unbound(Method::ClientCertificate) => "An access token bound to the client certificate is required",
        Unbound(Method::TokenBinding) => "An access token bound to a Token Binding is required",
        NotAnObject | NotAString(_) => "The confirmation of the access token is malformed",
        NoSupportedMember => "The access token is bound in a way that is not supported",
    }
}

const fn label(fault: TokenFault) -> &'static str {
    match fault {
        TokenFault::TooLong | TokenFault::Characters | TokenFault::NotAJwt => "malformed-token",
        TokenFault::Json(_) | TokenFault::Header => "malformed-token",
        TokenFault::Critical => "critical-header",
        TokenFault::Algorithm => "algorithm",
        TokenFault::Type => "type",
        TokenFault::UnknownKey => "unknown-key",
        TokenFault::Signature => "signature",
        TokenFault::Missing(_) | TokenFault::IllTyped(_) => "claims",
        TokenFault::Expired => "expired",
        TokenFault::NotYetValid | TokenFault::IssuedAt => "not-valid-yet",
        TokenFault::Issuer => "issuer",
        TokenFault::Audience => "audience",
        TokenFault::Inactive => "inactive",
        TokenFault::NoUser => "no-user",
        TokenFault::Confirmation(ConfirmationFault::Unbound(_)) => "unbound",
        TokenFault::Confirmation(_) => "binding",
    }
}

/// All labels, in the order in which they are counted and shown.
pub const LABELS: [&str; 20] = [
    "no-token",
    "several-tokens",
    "malformed-request",
    "insufficient-scope",
    "unavailable",
    "malformed-token",
    "critical-header",
    "algorithm",
    "type",
    "unknown-key",
    "signature",
    "claims",
    "expired",
    "not-valid-yet",
    "issuer",
    "audience",
    "inactive",
    "no-user",
    "unbound",
    "binding",
];
