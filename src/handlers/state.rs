//! What is known about a request once it was judged, for the hooks that come later.

use std::cell::Cell;
use std::ffi::CStr;

use sender_constraint::decision::Authenticated;
use token_binding::pass::Pass;
use token_binding::request::Status;

use crate::binding::{TokenBinding, VerifiedMessage};
use crate::body::Body;
use crate::handlers::oauth2::strip::Stripped;
use crate::request::Request;

/// The verdict on a request.
#[derive(Clone)]
pub(crate) struct RequestState<'r> {
    pub(crate) status: Status,
    /// With the status `verified`.
    pub(crate) verified: Option<Verified<'r>>,
    /// What the location's configuration made of it last.
    pub(crate) passed: Cell<Option<Pass>>,
    /// The access token it was authenticated with.
    pub(crate) authenticated: Cell<Option<&'r Authenticated>>,
    /// What was taken out of it, together with the token.
    pub(crate) stripped: Cell<Option<&'r Stripped<'r>>>,
    /// The scope that a `Require` line asked for in vain.
    pub(crate) wanted_scope: Cell<Option<&'r CStr>>,
    /// Its body, where it was read for a token.
    pub(crate) body: Cell<Option<&'r Body>>,
}

impl<'r> RequestState<'r> {
    /// For a request that continues this one: bound as this one is, and not yet authenticated where it now is.
    pub(crate) fn continued(&self) -> RequestState<'r> {
        let state = self.clone();
        state.authenticated.set(None);
        state
    }
}

/// A verified message and the handshake it belongs to: after a renegotiation that is not the connection's last.
#[derive(Clone, Copy)]
pub(crate) struct Verified<'r> {
    pub(crate) message: &'r VerifiedMessage,
    pub(crate) token_binding: &'r TokenBinding,
    /// The value of `Sec-Token-Binding` as it came.
    pub(crate) field: &'r CStr,
}

impl RequestState<'_> {
    /// A request without a binding.
    pub(crate) const fn unbound(status: Status) -> Self {
        Self {
            status,
            verified: None,
            passed: Cell::new(None),
            authenticated: Cell::new(None),
            stripped: Cell::new(None),
            wanted_scope: Cell::new(None),
            body: Cell::new(None),
        }
    }
}

/// The states of the request and of those that it continues, its own first: a subrequest's main request, a redirected
/// request's origin.
pub(crate) fn chain<'r>(request: Request<'r>) -> impl Iterator<Item = &'r RequestState<'r>> {
    let earlier = |request: &Request<'r>| request.prev().or_else(|| request.main());
    std::iter::successors(Some(request), earlier).filter_map(|request| request.own_state())
}

/// The verdict on the request, or on the one it is part of.
pub(crate) fn of<'r>(request: Request<'r>) -> Option<&'r RequestState<'r>> {
    chain(request).next()
}

/// The verdict on the request that this one continues.
pub(crate) fn earlier<'r>(request: Request<'r>) -> Option<&'r RequestState<'r>> {
    of(request.prev().or_else(|| request.main())?)
}

/// A state of the request's own, to note something in: a subrequest gets a copy of its main request's.
pub(crate) fn own<'r>(request: Request<'r>) -> Option<&'r RequestState<'r>> {
    if let Some(state) = request.own_state() {
        return Some(state);
    }
    let state = request.pool().put(of(request)?.continued());
    request.set_state(state);
    Some(state)
}
