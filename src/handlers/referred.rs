//! `TokenBindingIncludeReferred`: asks the client to show the identity provider, to which it is redirected, this site's binding.

use std::ffi::CStr;

use token_binding::request::asks_for_referred;

use crate::handlers::state;
use crate::request::Request;

/// The output filter that looks at the response's status.
pub(crate) const FILTER: &CStr = c"TOKEN_BINDING_REFERRED";

/// When the response's filters are put together.
pub(crate) fn insert_filter(request: Request<'_>) {
    let bound = || state::of(request).is_some_and(|state| state.verified.is_some());
    if request.dir_config().include_referred() && bound() {
        request.add_output_filter(FILTER);
    }
}

/// When the response begins.
pub(crate) fn respond(request: Request<'_>) {
    let status = u16::try_from(request.status()).unwrap_or_default();
    let asks = state::of(request).is_some_and(|state| asks_for_referred(status, state.status));
    if asks {
        // RFC 8473 §5.3: "true" is the only value there is.
        request.headers_out().set(c"Include-Referred-Token-Binding-ID", c"true");
    }
}
