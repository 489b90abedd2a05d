//! `WWW-Authenticate`.

use std::ffi::CStr;

use sender_constraint::challenge::{Scheme, www_authenticate};
use sender_constraint::refusal::Refusal;

use crate::request::Request;

/// Adds the challenge that goes with a refusal, if one does; gives it back.
pub(crate) fn add<'r>(request: Request<'r>, refusal: &Refusal, scheme: Scheme) -> Option<&'r CStr> {
    let realm = request.auth_name().map(CStr::to_bytes);
    let value = www_authenticate(refusal, scheme, realm)?;
    let value = request.pool().octets(&value);
    request.error_headers_out().set(c"WWW-Authenticate", value);
    Some(value)
}
