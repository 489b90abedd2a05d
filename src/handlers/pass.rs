//! What the application and the backend get of a verified message, as the location's `TokenBindingPassVar` says.

use std::ffi::CStr;

use token_binding::pass::{Item, Pass};
use token_binding::reserved;

use crate::binding::{TokenBinding, VerifiedMessage};
use crate::config::ServerConfig;
use crate::handlers::state::{self, RequestState, Verified};
use crate::request::Request;
use crate::table::Table;

/// Variable: base64url SHA-256 of the provided ID.
pub(crate) const HASH: &CStr = c"Token-Binding-Hash";
/// Variable: the negotiated key parameters.
pub(crate) const KEY_PARAMETERS: &CStr = c"Token-Binding-Key-Parameters";
/// Variable: how the request stands.
pub(crate) const STATUS: &CStr = c"Token-Binding-Status";

/// When the request has arrived: all variables, since no location is known yet and other modules look now. None of
/// [`variable_names`] is there before.
pub(crate) fn first_variables<'r>(request: Request<'r>, state: &'r RequestState<'r>) {
    let variables = request.variables();
    variables.add(STATUS, state.status.name());
    let Some(verified) = state.verified else { return };
    for (name, _, value) in variable_values(request, verified) {
        if let (Some(name), Some(value)) = (name, value) {
            variables.add(name, value);
        }
    }
}

/// When the location is known: restricts the variables, sets the headers.
pub(crate) fn fixups(request: Request<'_>) {
    if let Some(state) = verified_state(request) {
        on(request, state);
    }
}

/// Just before the handler runs: mod_dir and mod_negotiation put another location under the request after its fixups, and
/// join that one's variables to it.
pub(crate) fn before_handler(request: Request<'_>) {
    if let Some(state) = verified_state(request) {
        before_handler_bound(request, state);
    }
}

// Not inlined: it would make its caller, which every request passes, save registers for nothing.
#[inline(never)]
fn before_handler_bound<'r>(request: Request<'r>, state: &'r RequestState<'r>) {
    let pass = request.dir_config().pass();
    if pass.is_explicit() || state.passed.get() != Some(pass) {
        on(request, state);
    }
}

fn verified_state<'r>(request: Request<'r>) -> Option<&'r RequestState<'r>> {
    state::of(request).filter(|state| state.verified.is_some())
}

/// Makes variables and headers what the location's configuration says.
pub(crate) fn on<'r>(request: Request<'r>, state: &'r RequestState<'r>) {
    let Some(verified) = state.verified else { return };
    let pass = request.dir_config().pass();
    // What post_read_request set stands, unless a list restricts it, or another location's did before.
    if pass.is_explicit() || state.passed.get().is_some() || request.own_state().is_none() {
        set_variables(request, verified, pass);
    }
    set_headers(request, verified, pass);
    state.passed.set(Some(pass));
}

fn set_variables<'r>(request: Request<'r>, verified: Verified<'r>, pass: Pass) {
    let variables = request.variables();
    for (name, item, value) in variable_values(request, verified) {
        let Some(name) = name else { continue };
        match value {
            Some(value) if pass.variable(item) => variables.set(name, value),
            _ => variables.unset(name),
        }
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

/// Request headers for CGI and for backends. All were stripped when the request arrived, so what is there was set by us or by
/// the administrator; the latter's stay.
// draft-ietf-tokbind-ttrp §2.3: each header only where there is an ID for it.
fn set_headers<'r>(request: Request<'r>, verified: Verified<'r>, pass: Pass) {
    let headers = request.headers_in();
    let put = |name: &'static CStr, wanted: bool, value: &'r CStr| {
        if wanted {
            headers.set(name, value);
        } else {
            headers.unset_value(name, value);
        }
    };
    for (name, item, value) in header_values(verified.message, verified.token_binding) {
        if let Some(value) = value {
            put(name, pass.header(item), value);
        }
    }
    put(reserved::MESSAGE, pass.message(), verified.field);
}

/// The variables that a verified message may set. The context's second name is not always in use.
pub(crate) fn variable_names(config: &ServerConfig) -> [Option<&'static CStr>; 7] {
    let [context, second_context] = config.context_variables();
    [
        Some(config.provided_variable()),
        Some(HASH),
        Some(KEY_PARAMETERS),
        Some(config.referred_variable()),
        Some(reserved::OTHER),
        context,
        second_context,
    ]
}

/// What a verified message has for each of [`variable_names`].
fn variable_values<'r>(
    request: Request<'r>,
    Verified { message, token_binding, .. }: Verified<'r>,
) -> [(Option<&'static CStr>, Item, Option<&'r CStr>); 7] {
    let key_parameters = token_binding.negotiated.key_parameters.name_c();
    let [provided, hash, parameters, referred, other, context, second_context] =
        variable_names(request.server_config());
    [
        (provided, Item::Provided, Some(&message.provided)),
        (hash, Item::Provided, Some(&message.hash)),
        (parameters, Item::Provided, Some(key_parameters)),
        (referred, Item::Referred, message.referred.as_deref()),
        (other, Item::Other, message.other.as_deref()),
        (context, Item::Context, Some(&token_binding.context)),
        (second_context, Item::Context, Some(&token_binding.context)),
    ]
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
