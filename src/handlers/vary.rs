//! `Vary` of an application or a backend that names what only this server tells it.

use std::ffi::CStr;

use token_binding::vary;

use crate::config::Forward;
use crate::request::Request;

/// The output filter that looks at `Vary`.
pub(crate) const FILTER: &CStr = c"TOKEN_BINDING_VARY";

/// Just before the handler. A file names nothing in `Vary`, and costs nothing here.
#[inline]
pub(crate) fn before_handler(request: Request<'_>) {
    let forwards = request.dir_config().client_cert_forward() != Forward::Off;
    if forwards || request.has_handler() && request.server_config().enabled() {
        request.add_output_filter(FILTER);
    }
}

/// When the response begins.
pub(crate) fn respond(request: Request<'_>) {
    let section = request.dir_config();
    let (pass, forwarded) = (section.pass(), section.client_cert_forward() != Forward::Off);
    // Backends' fields are in the one table, those of CGI and FastCGI in the other.
    for headers in [request.headers_out(), request.error_headers_out()] {
        if headers.values(c"Vary").any(|value| vary::is_for_nobody(value.to_bytes(), pass, forwarded)) {
            headers.set(c"Vary", c"*");
        }
    }
}
