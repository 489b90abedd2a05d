//! A request arrived: strip, judge, tell.

use std::ffi::CStr;

use token_binding::request::{Arrival, Status, Step, first_step};
use token_binding::{Rejection, reserved, ttrp, verify};

use crate::binding::{Binding, TokenBinding, VerifiedMessage};
use crate::body;
use crate::counters::Count;
use crate::handlers::state::{RequestState, Verified};
use crate::handlers::strip::Found;
use crate::handlers::{binding, certificate, pass, state, strip};
use crate::log;
use crate::pool::c_string;
use crate::request::Request;
use crate::status::Status as HttpStatus;

/// Before all other modules: removes what clients may not say, verifies `Sec-Token-Binding`, sets the variables.
pub(crate) fn post_read_request(request: Request<'_>) -> HttpStatus {
    let found = strip::headers(request);
    // An internal redirect comes here again, without its header: what was found the first time holds.
    let earlier = state::earlier(request);
    let binding = binding::current(request.connection());
    let (state, answer) = match earlier {
        Some(state) => (state.continued(), HttpStatus::Declined),
        None => judge(request, &found, binding),
    };
    let state = request.pool().put(state);
    if let Some(body) = state.body.get() {
        body::play_again(request, body);
    }
    request.set_state(state);
    clear(request);
    pass::first_variables(request, state);
    certificate::variable(request, binding);
    answer
}

fn judge<'r>(
    request: Request<'r>,
    found: &Found<'r>,
    binding: Option<&'r Binding>,
) -> (RequestState<'r>, HttpStatus) {
    let config = request.server_config();
    let token_binding = binding.and_then(|binding| binding.token_binding.as_ref());
    let arrival = Arrival {
        enabled: config.enabled(),
        tls: binding.is_some(),
        negotiated: token_binding.is_some(),
        field: found.message.is_some(),
        missing: config.missing(),
    };
    match (first_step(arrival), token_binding, found.message) {
        (Step::Verify, Some(token_binding), Some(field)) => {
            verified(request, token_binding, field, found.several)
        }
        (Step::Unbound(status), ..) => {
            if status == Status::Missing {
                request.connection().lane().add(Count::MissingAllowed);
            }
            (RequestState::unbound(status), HttpStatus::Declined)
        }
        (Step::Refuse(status), ..) => {
            request.connection().lane().add(Count::MissingRefused);
            log::request!(
                request,
                Info,
                "request refused: Token Binding was negotiated, but there is no Sec-Token-Binding"
            );
            (RequestState::unbound(status), HttpStatus::BAD_REQUEST)
        }
        (Step::Verify, ..) => (RequestState::unbound(Status::Invalid), HttpStatus::BAD_REQUEST),
    }
}

fn verified<'r>(
    request: Request<'r>,
    token_binding: &'r TokenBinding,
    field: &'r CStr,
    several: bool,
) -> (RequestState<'r>, HttpStatus) {
    match message(request, token_binding, field, several) {
        Ok(message) => {
            let verified = Some(Verified { message, token_binding, field });
            (RequestState { verified, ..RequestState::unbound(Status::Verified) }, HttpStatus::Declined)
        }
        Err(rejection) => {
            request.connection().lane().add(Count::Rejected(&rejection));
            log::request!(request, Info, "request refused: Sec-Token-Binding: {rejection}");
            // RFC 8473 §2: 400 to a request with an invalid binding.
            (RequestState::unbound(Status::Invalid), HttpStatus::BAD_REQUEST)
        }
    }
}

/// The message as verified, now or earlier on this connection.
fn message<'r>(
    request: Request<'r>,
    token_binding: &'r TokenBinding,
    field: &'r CStr,
    several: bool,
) -> Result<&'r VerifiedMessage, Rejection> {
    if several {
        return Err(Rejection::DuplicateField);
    }
    if let Some(known) = token_binding.messages.find(field) {
        request.connection().lane().add(Count::Remembered);
        return Ok(known);
    }
    let verified = verify(field.to_bytes(), &token_binding.negotiated, &token_binding.ekm)?;
    request.connection().lane().add(Count::Verified);
    let tbh = verified.provided.hash();
    let message = VerifiedMessage {
        field: field.to_owned(),
        provided: c_string(verified.provided.to_base64url()),
        referred: verified.referred.map(|id| c_string(id.to_base64url())),
        other: ttrp::other_header_value(&verified.other).map(c_string),
        hash: c_string(tbh.to_base64url()),
        tbh,
    };
    Ok(match token_binding.messages.remember(message) {
        Ok(remembered) => remembered,
        Err(message) => request.pool().place(message),
    })
}

/// Nothing that was there before, whoever set it, may pass for a verdict.
fn clear(request: Request<'_>) {
    let variables = request.variables();
    if variables.is_empty() {
        return;
    }
    let names = pass::variable_names(request.server_config()).into_iter().flatten();
    for name in names.chain([pass::STATUS, reserved::FINGERPRINT]) {
        variables.unset(name);
    }
}
