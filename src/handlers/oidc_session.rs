//! `TokenBindingOIDCSession`: binds the server-side sessions of mod_auth_openidc >= 2.4.17.1, which puts the variable
//! `OIDC_CACHE_PREFIX` before the names of what it stores. A cookie presented under another binding finds nothing.

use std::ffi::CStr;

use crate::handlers::{binding, state};
use crate::request::Request;

const PREFIX: &CStr = c"OIDC_CACHE_PREFIX";

/// Sets the prefix: from the Token Binding ID, else from the client certificate; unbound requests get none.
#[inline]
pub(crate) fn prefix(request: Request<'_>) {
    if request.dir_config().oidc_session() {
        set_prefix(request);
    }
}

fn set_prefix(request: Request<'_>) {
    let variables = request.variables();
    let token_binding =
        state::of(request).and_then(|state| state.verified).map(|verified| &verified.message.hash);
    let bound = match token_binding {
        Some(hash) => Some(("tbh", hash)),
        None => binding::current(request.connection())
            .and_then(|binding| binding.certificate.as_deref())
            .map(|certificate| ("x5t", &certificate.thumbprint)),
    };
    match bound {
        Some((kind, hash)) => {
            variables.set(PREFIX, request.pool().string(&format!("{kind}-{}-", hash.to_string_lossy())));
        }
        None => variables.unset(PREFIX),
    }
}
