//! Who is asking: the access token of a request, verified, with its bindings compared with what the connection proves.

use std::ffi::CStr;
use std::sync::{Arc, LazyLock};

use sender_constraint::cnf::Proofs;
use sender_constraint::decision::{Authenticated, Policy, Refused, Verifiers, authenticate};
use sender_constraint::refusal::Refusal;
use sender_constraint::target::TargetSettings;
use sender_constraint::token_source::TokenSources;

use crate::counters::Count;
use crate::handlers::oauth2::surroundings::Surroundings;
use crate::handlers::oauth2::view::View;
use crate::handlers::oauth2::{challenge, strip};
use crate::handlers::{binding, state};
use crate::log;
use crate::request::Request;
use crate::status::Status;

/// `AUTH_TYPE` of an authenticated request.
const AUTH_TYPE: &CStr = c"oauth2";

// Where the configuration says nothing.
static DEFAULT_SOURCES: LazyLock<TokenSources> = LazyLock::new(TokenSources::default);
static DEFAULT_TARGET: LazyLock<Arc<TargetSettings>> = LazyLock::new(Arc::default);
static NO_VERIFIERS: LazyLock<Verifiers> = LazyLock::new(|| Verifiers::new(Vec::new()));

/// Whether a token must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// `AuthType oauth2`
    Mandatory,
    /// `AuthType auth-openidc`: without a token it is mod_auth_openidc's turn.
    Optional,
}

/// Whether the location's `AuthType` is ours, and what it asks for.
fn presence(request: Request<'_>) -> Option<Presence> {
    match request.auth_type()?.to_bytes() {
        kind if kind.eq_ignore_ascii_case(b"oauth2") => Some(Presence::Mandatory),
        kind if kind.eq_ignore_ascii_case(b"auth-openidc") => Some(Presence::Optional),
        _ => None,
    }
}

/// Authentication, for locations with one of our types.
pub(crate) fn check(request: Request<'_>) -> Status {
    let Some(presence) = presence(request) else { return Status::Declined };
    let config = request.dir_config();
    let Some(common) = request.server_config().common() else { return Status::Declined };
    let policy = Policy {
        sources: config.sources().unwrap_or(&DEFAULT_SOURCES),
        verifiers: config.verifiers().unwrap_or(&NO_VERIFIERS),
        target: config.target().unwrap_or(&DEFAULT_TARGET),
    };
    let surroundings = Surroundings::of_request(request, common);
    let lane = common.lane(request.connection().number());
    match authenticate(&policy, &View::of(request), &proofs(request), &surroundings) {
        Ok(authenticated) => {
            lane.add(Count::Accepted(authenticated.accepted.kind, authenticated.origin));
            accept(request, authenticated, policy.target)
        }
        Err(refused) if presence == Presence::Optional && refused.refusal == Refusal::NoToken => {
            Status::Declined
        }
        Err(refused) => {
            lane.add(Count::Refused(refused.kind, &refused.refusal));
            refuse(request, &refused, policy.sources)
        }
    }
}

/// What this very connection and request prove. Never anything out of a header.
fn proofs<'r>(request: Request<'r>) -> Proofs<'r> {
    let certificate =
        binding::current(request.connection()).and_then(|binding| binding.certificate.as_deref());
    let verified = state::of(request).and_then(|state| state.verified);
    Proofs {
        certificate: certificate.map(|certificate| &certificate.x5t),
        token_binding: verified.map(|verified| &verified.message.tbh),
    }
}

fn accept<'r>(request: Request<'r>, authenticated: Authenticated, target: &TargetSettings) -> Status {
    // The token may be forgotten while the request goes on: what refers to it keeps it.
    let authenticated: &'r Authenticated = request.pool().place(authenticated);
    request.set_user(&authenticated.accepted.passed.user, AUTH_TYPE);
    if let Some(strip) = &authenticated.strip {
        strip::apply(request, strip);
    }
    if authenticated.in_query {
        // RFC 6750 §2.3. Among the headers that go out with every response, since mod_proxy replaces the others.
        request.error_headers_out().set(c"Cache-Control", c"private");
    }
    pass(request, authenticated, target);
    if let Some(state) = state::own(request) {
        state.authenticated.set(Some(authenticated));
    }
    Status::Ok
}

/// Variables and headers for what is behind us.
fn pass<'r>(request: Request<'r>, authenticated: &'r Authenticated, target: &TargetSettings) {
    let passed = &authenticated.accepted.passed;
    if target.variables() {
        request.variables().set_alike(&passed.pairs);
    }
    let headers = request.headers_in();
    if target.headers() {
        headers.set_alike(&passed.pairs);
    }
    if let Some(name) = target.user_header() {
        headers.set(request.pool().octets(name.to_bytes()), &passed.user_header);
    }
}

/// For a request whose headers were stripped once more: after an internal redirect, to which httpd applies the first
/// request's authentication, and after trailers.
// Not inlined: it would make its caller, which every request passes, save registers for nothing.
#[inline(never)]
pub(crate) fn pass_again(request: Request<'_>) {
    if presence(request).is_some()
        && let Some(authenticated) = authenticated_under_same_configuration(request)
    {
        pass(request, authenticated, request.dir_config().target().unwrap_or(&DEFAULT_TARGET));
    }
}

/// The token of the request, or of the one it continues as long as the configuration is the same: httpd's own condition
/// for taking an authentication over.
fn authenticated_under_same_configuration<'r>(request: Request<'r>) -> Option<&'r Authenticated> {
    let mut request = request;
    loop {
        if let Some(authenticated) = request.own_state().and_then(|state| state.authenticated.get()) {
            return Some(authenticated);
        }
        request = request
            .prev()
            .or_else(|| request.main())
            .filter(|earlier| earlier.has_configuration_of(request))?;
    }
}

/// At a location whose authentication was skipped: it is part of a request that was authenticated under the same configuration.
pub(crate) fn fixups(request: Request<'_>) {
    if request.prev().is_some() || request.main().is_some() {
        pass_again(request);
    }
}

fn refuse(request: Request<'_>, refused: &Refused, sources: &TokenSources) -> Status {
    let refusal = &refused.refusal;
    let location = request.path().to_string_lossy();
    if refusal.is_our_fault() {
        log::request!(request, Error, "request to {location} cannot be judged: {refused}");
    } else {
        log::request!(request, Info, "request to {location} refused: {refused}");
    }
    challenge::add(request, refusal, sources.scheme());
    if let Some(seconds) = refusal.retry_after() {
        request.error_headers_out().set(c"Retry-After", request.pool().string(&seconds.to_string()));
    }
    Status::Http(refusal.status())
}
