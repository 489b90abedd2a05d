//! `Require token-binding [provided|referred]`.

use std::ffi::CStr;

use crate::handlers::state;
use crate::request::Request;

/// What a `Require token-binding` line asks for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// A verified binding.
    #[default]
    Provided,
    /// One with a referred binding in it.
    Referred,
}

impl Requirement {
    /// Reads the line's arguments.
    pub(crate) fn parse(arguments: &str) -> Result<&'static Self, &'static CStr> {
        match arguments.trim().to_ascii_lowercase().as_str() {
            "" | "provided" => Ok(&Self::Provided),
            "referred" => Ok(&Self::Referred),
            _ => Err(c"Require token-binding takes provided (the default) or referred"),
        }
    }
}

/// Whether the request satisfies it.
pub(crate) fn granted(request: Request<'_>, requirement: Requirement) -> bool {
    match state::of(request).and_then(|state| state.verified) {
        None => false,
        Some(verified) => requirement == Requirement::Provided || verified.message.referred.is_some(),
    }
}
