//! What a good token may do: `Require oauth2_claim`, `Require sender-constrained`, and 403 instead of 401 where it may not.

use std::ffi::CStr;

use sender_constraint::challenge::Scheme;
use sender_constraint::decision::Authenticated;
use sender_constraint::refusal::Refusal;
use sender_constraint::require::{ClaimRequirement, SenderConstrained};

use crate::counters::Count;
use crate::handlers::authorization::Outcome;
use crate::handlers::oauth2::challenge;
use crate::handlers::state;
use crate::request::Request;
use crate::status::Status;

/// Variable: the challenge of a request whose token was good and not enough, as mod_oauth2 names it.
const SCOPE_ERROR: &CStr = c"OAUTH2_BEARER_SCOPE_ERROR";

/// A `Require` line of ours.
pub(crate) enum Requirement {
    /// `oauth2_claim`
    Claim(ClaimRequirement),
    /// `sender-constrained`
    Constrained(SenderConstrained),
}

impl Requirement {
    /// Reads the arguments of `Require oauth2_claim`.
    pub(crate) fn claim(words: &[&str]) -> Result<Self, String> {
        let requirement = ClaimRequirement::parse(words.iter().copied());
        requirement.map(Self::Claim).map_err(|error| format!("Require oauth2_claim: {error}"))
    }

    /// Reads the arguments of `Require sender-constrained`.
    pub(crate) fn constrained(words: &[&str]) -> Result<Self, String> {
        let requirement = SenderConstrained::parse(words.iter().copied());
        requirement.map(Self::Constrained).map_err(|error| format!("Require sender-constrained: {error}"))
    }
}

/// The token that this very request was authenticated with, by this location's verifiers. What a subrequest or an internal
/// redirect comes from may have been authenticated by others; where httpd takes that over, it does not ask here.
fn authenticated<'r>(request: Request<'r>) -> Option<&'r Authenticated> {
    request.own_state()?.authenticated.get()
}

/// Judges a `Require` line.
pub(crate) fn judge(request: Request<'_>, requirement: &Requirement) -> Outcome {
    let Some(authenticated) = authenticated(request) else {
        return if request.user().is_none() { Outcome::NobodyYet } else { Outcome::Denied };
    };
    let holds = match requirement {
        Requirement::Claim(claim) => claim.holds(&authenticated.accepted.verdict.claims),
        Requirement::Constrained(constrained) => constrained.holds(authenticated.bound),
    };
    if holds {
        return Outcome::Granted;
    }
    if let (Requirement::Claim(claim), Some(state)) = (requirement, state::own(request)) {
        state.wanted_scope.set(claim.scope().map(|scope| request.pool().string(&scope)));
    }
    Outcome::Denied
}

/// Runs the authorization of all other modules, and turns its refusal into 403 with a challenge where the token was good: to
/// send the same token again would not help (RFC 6750 §3.1).
pub(crate) fn check(request: Request<'_>) -> Status {
    if authenticated(request).is_none() {
        return Status::Declined;
    }
    let status = request.run_other_auth_checkers(crate::hooks::auth_checker);
    // 403 is what httpd says with `AuthzSendForbiddenOnFailure On`.
    if !matches!(status, Status::Http(401 | 403)) {
        return status;
    }
    let scope = state::of(request).and_then(|state| state.wanted_scope.get());
    let scope = scope.map(|scope| scope.to_string_lossy().into_owned());
    let refusal = Refusal::InsufficientScope { scope };
    request.connection().lane().add(Count::Refused(None, &refusal));
    if let Some(value) = challenge::add(request, &refusal, Scheme::Bearer) {
        request.variables().set(SCOPE_ERROR, value);
    }
    Status::Http(refusal.status())
}
