//! `WWW-Authenticate`.

use std::ffi::CStr;

use sender_constraint::challenge::{Scheme, www_authenticate};
use sender_constraint::refusal::Refusal;

use crate::request::Request;

/// Adds the challenge that goes with a refusal, if one does; gives it back.
pub(crate) fn add<'r>(request: Request<'r>, refusal: &Refusal, scheme: Scheme) -> Option<&'r CStr> {
    let realm = request.auth_name().map(|name| unescaped(name.to_bytes()));
    let value = www_authenticate(refusal, scheme, realm.as_deref())?;
    let value = request.pool().octets(&value);
    request.error_headers_out().set(c"WWW-Authenticate", value);
    Some(value)
}

/// httpd keeps AuthName with a backslash before each quote, as it stands in a quoted-string.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut octets = name.iter().copied().peekable();
    let mut text = Vec::with_capacity(name.len());
    while let Some(octet) = octets.next() {
        if octet != b'\\' || octets.peek() != Some(&b'"') {
            text.push(octet);
        }
    }
    text
}
