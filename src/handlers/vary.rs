//! A response whose `Vary` names what only this server tells the application or backend.

use std::ffi::CStr;

use token_binding::vary;

use crate::config::Forward;
use crate::request::Request;

/// The output filter that looks at `Vary`.
pub(crate) const FILTER: &CStr = c"TOKEN_BINDING_VARY";

/// Just before the handler, or before the page of an error.
#[inline]
pub(crate) fn before_response(request: Request<'_>) {
    if !request.is_for_a_plain_file() {
        watch(request);
    }
}

// Not inlined: it would make its caller, which every request passes, save registers for nothing.
#[inline(never)]
fn watch(request: Request<'_>) {
    let forwards = request.dir_config().client_cert_forward() != Forward::Off;
    if forwards || request.server_config().enabled() {
        request.add_output_filter(FILTER);
    }
}

/// When the response begins.
pub(crate) fn respond(request: Request<'_>) {
    let section = request.dir_config();
    let (pass, forwarded) = (section.pass(), section.client_cert_forward() != Forward::Off);
    let (headers, error_headers) = (request.headers_out(), request.error_headers_out());
    // Backends' fields are in the one table, those of CGI and FastCGI in the other, where mod_cache before 2.4.70 finds no "*".
    let mut values = headers.values(c"Vary").chain(error_headers.values(c"Vary"));
    if values.any(|value| vary::is_for_nobody(value.to_bytes(), pass, forwarded)) {
        headers.set(c"Vary", c"*");
        error_headers.unset(c"Vary");
    }
}
