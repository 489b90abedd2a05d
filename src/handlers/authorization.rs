//! `Require token-binding [provided|referred]`.

use crate::handlers::state;
use crate::request::Request;

/// How a `Require` line comes out.
pub(crate) enum Outcome {
    /// It holds.
    Granted,
    /// It does not.
    Denied,
    /// It is not known yet who is asking.
    NobodyYet,
}

/// What a `Require token-binding` line asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenBindingRequirement {
    /// A verified binding.
    Provided,
    /// One with a referred binding in it.
    Referred,
}

impl TokenBindingRequirement {
    /// Reads the line's arguments.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        match words {
            [] => Ok(Self::Provided),
            [word] if word.eq_ignore_ascii_case("provided") => Ok(Self::Provided),
            [word] if word.eq_ignore_ascii_case("referred") => Ok(Self::Referred),
            _ => Err("Require token-binding takes provided (the default) or referred".to_owned()),
        }
    }
}

/// Whether the request satisfies it.
pub(crate) fn judge(request: Request<'_>, requirement: &TokenBindingRequirement) -> Outcome {
    let verified = state::of(request).and_then(|state| state.verified);
    let wants_referred = *requirement == TokenBindingRequirement::Referred;
    match verified {
        Some(verified) if !wants_referred || verified.message.referred.is_some() => Outcome::Granted,
        _ => Outcome::Denied,
    }
}
