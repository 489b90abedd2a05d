//! What the application and the backend get of a verified message, as the location's `TokenBindingPassVar` says.

use std::ffi::CStr;

use token_binding::pass::{Item, Pass};
use token_binding::reserved;

use crate::binding::{TokenBinding, VerifiedMessage};
use crate::handlers::state::{self, RequestState, Verified};
use crate::request::Request;
use crate::table::Table;

/// Variable: base64url SHA-256 of the provided ID.
pub(crate) const HASH: &CStr = c"Token-Binding-Hash";
/// Variable: the negotiated key parameters.
pub(crate) const KEY_PARAMETERS: &CStr = c"Token-Binding-Key-Parameters";
/// Variable: how the request stands.
pub(crate) const STATUS: &CStr = c"Token-Binding-Status";

/// When the request has arrived: all variables, since no location is known yet and other modules look now.
pub(crate) fn variables<'r>(request: Request<'r>, state: &'r RequestState<'r>) {
    request.variables().set(STATUS, state.status.name());
    if let Some(verified) = state.verified {
        set_variables(request, verified, Pass::default());
    }
}

/// When the location is known: restricts the variables, sets the headers.
pub(crate) fn fixups(request: Request<'_>) {
    if let Some(state) = state::of(request) {
        on(request, state);
    }
}

/// Just before the handler runs: mod_dir and mod_negotiation put another location under the request after its fixups, and
/// join that one's variables to it.
pub(crate) fn before_handler(request: Request<'_>) {
    let Some(state) = state::of(request) else { return };
    let pass = request.dir_config().pass();
    if pass.is_explicit() || state.passed.get() != Some(pass) {
        on(request, state);
    }
}

/// Makes variables and headers what the location's configuration says.
pub(crate) fn on<'r>(request: Request<'r>, state: &'r RequestState<'r>) {
    let pass = request.dir_config().pass();
    let Some(verified) = state.verified else { return };
    // What post_read_request set stands, unless a list restricts it, or another location's did before.
    if pass.is_explicit() || state.passed.get().is_some() || request.own_state().is_none() {
        set_variables(request, verified, pass);
    }
    set_headers(request, verified, pass);
    state.passed.set(Some(pass));
}

fn set_variables<'r>(request: Request<'r>, verified: Verified<'r>, pass: Pass) {
    let Verified { message, token_binding, .. } = verified;
    let config = request.server_config();
    let variables = request.variables();
    let provided = pass.variable(Item::Provided);
    put(variables, config.provided_variable(), provided, Some(&message.provided));
    put(variables, HASH, provided, Some(&message.hash));
    put(variables, KEY_PARAMETERS, provided, Some(token_binding.negotiated.key_parameters.name_c()));
    put(variables, config.referred_variable(), pass.variable(Item::Referred), message.referred.as_deref());
    put(variables, reserved::OTHER, pass.variable(Item::Other), message.other.as_deref());
    for name in config.context_variables().into_iter().flatten() {
        put(variables, name, pass.variable(Item::Context), Some(&token_binding.context));
    }
    if request.prev().is_some() || request.main().is_some() {
        remove_copies(variables, verified, pass);
    }
}

/// Another location's values under names of httpd's making: `REDIRECT_...` after an internal redirect, and `HTTP_...`, which
/// a page with subrequests made of its own headers. What this location withholds is not told that way either.
fn remove_copies<'r>(variables: Table<'r>, verified: Verified<'r>, pass: Pass) {
    let message = (reserved::MESSAGE, Item::Context, Some(verified.field));
    let hash = (HASH, Item::Provided, Some(verified.message.hash.as_c_str()));
    for (_, item, value) in
        header_values(verified.message, verified.token_binding).into_iter().chain([message, hash])
    {
        let Some(value) = value else { continue };
        if !pass.variable(item) {
            variables.unset_where(b"REDIRECT_", value);
        }
        if !pass.header(item) {
            variables.unset_where(b"HTTP_", value);
        }
    }
}

fn put<'r>(variables: Table<'r>, name: &'r CStr, wanted: bool, value: Option<&'r CStr>) {
    match value {
        Some(value) if wanted => variables.set(name, value),
        _ => variables.unset(name),
    }
}

/// Request headers for CGI and for backends. All were stripped when the request arrived, so what is there was set by us or by
/// the administrator; the latter's stay.
// draft-ietf-tokbind-ttrp §2.3: each header only where there is an ID for it.
fn set_headers<'r>(request: Request<'r>, verified: Verified<'r>, pass: Pass) {
    let headers = request.headers_in();
    for (name, item, value) in header_values(verified.message, verified.token_binding) {
        let Some(value) = value else { continue };
        if pass.header(item) {
            headers.set(name, value);
        } else {
            headers.unset_value(name, value);
        }
    }
    if pass.message() {
        headers.set(reserved::MESSAGE, verified.field);
    } else {
        headers.unset_value(reserved::MESSAGE, verified.field);
    }
}

fn header_values<'r>(
    message: &'r VerifiedMessage,
    token_binding: &'r TokenBinding,
) -> [(&'static CStr, Item, Option<&'r CStr>); 5] {
    [
        (reserved::PROVIDED, Item::Provided, Some(&message.provided)),
        (reserved::REFERRED, Item::Referred, message.referred.as_deref()),
        (reserved::OTHER, Item::Other, message.other.as_deref()),
        (reserved::CONTEXT, Item::Context, Some(&token_binding.context)),
        (reserved::SEC_CONTEXT, Item::Context, Some(&token_binding.context)),
    ]
}
