//! What is known about a request once it was judged, for the hooks that come later.

use std::cell::Cell;
use std::ffi::CStr;

use token_binding::pass::Pass;
use token_binding::request::Status;

use crate::binding::{TokenBinding, VerifiedMessage};
use crate::request::Request;

/// The verdict on a request.
#[derive(Clone)]
pub(crate) struct RequestState<'r> {
    pub(crate) status: Status,
    /// With the status `verified`.
    pub(crate) verified: Option<Verified<'r>>,
    /// What the location's configuration made of it last.
    pub(crate) passed: Cell<Option<Pass>>,
}

/// A verified message and the handshake it belongs to: after a renegotiation that is not the connection's last.
#[derive(Clone, Copy)]
pub(crate) struct Verified<'r> {
    pub(crate) message: &'r VerifiedMessage,
    pub(crate) token_binding: &'r TokenBinding,
    /// The value of `Sec-Token-Binding` as it came.
    pub(crate) field: &'r CStr,
}

/// The verdict on the request, or on the one it is part of: a subrequest's main request, a redirected request's origin.
pub(crate) fn of<'r>(request: Request<'r>) -> Option<&'r RequestState<'r>> {
    request.own_state().or_else(|| earlier(request))
}

/// The verdict on the request that this one continues.
pub(crate) fn earlier<'r>(request: Request<'r>) -> Option<&'r RequestState<'r>> {
    let mut request = request;
    while let Some(earlier) = request.prev().or_else(|| request.main()) {
        if let Some(state) = earlier.own_state() {
            return Some(state);
        }
        request = earlier;
    }
    None
}
