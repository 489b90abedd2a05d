//! The decision about a request: from the token in it to who is asking, or why not.

use std::ffi::CStr;
use std::sync::Arc;

use crate::cache::Kept;
use crate::cnf::{BoundBy, ConfirmationPolicy, Proofs};
use crate::json;
use crate::jwt::{MAX_TOKEN, Padding, Unverified};
use crate::refusal::{Outage, Refusal, TokenFault};
use crate::services::{Event, Services};
use crate::target::{Passed, TargetSettings};
use crate::token_source::{self, Request, Strip, TokenSources};
use crate::verdict::{Verdict, VerifierId};
use crate::verifier::{Verifier, for_the_log};
use crate::verifier_config::Kind;

/// The verifiers of one part of the site, in the order in which they are tried.
pub struct Verifiers {
    list: Vec<Arc<Verifier>>,
    id: VerifierId,
}

impl Verifiers {
    /// These verifiers. What is remembered of tokens belongs to the whole list.
    #[must_use]
    pub fn new(list: Vec<Arc<Verifier>>) -> Self {
        let id = VerifierId::of(list.iter().map(|verifier| verifier.config().id.as_bytes().as_slice()));
        Self { list, id }
    }

    /// The verifiers.
    #[must_use]
    pub fn list(&self) -> &[Arc<Verifier>] {
        &self.list
    }

    /// The verdict of the first verifier that accepts the token, and that verifier with it; else the refusal that says most,
    /// and whose it is.
    fn judge<S: Services + ?Sized>(
        &self,
        token: &str,
        services: &S,
    ) -> Result<(Verdict, &Verifier), Unaccepted> {
        let mut refused = Unaccepted { refusal: Outage::NoVerifier.into(), kind: None };
        for verifier in &self.list {
            match verifier.judge(token, services) {
                Ok(verdict) => return Ok((verdict, verifier)),
                Err(refusal) if refused.kind.is_none() || refusal.weight() > refused.refusal.weight() => {
                    refused = Unaccepted { refusal, kind: Some(verifier.config().source.kind()) };
                }
                Err(_) => (),
            }
        }
        Err(refused)
    }
}

/// A token that is not accepted.
struct Unaccepted {
    refusal: Refusal,
    /// Of the verifier that refused it.
    kind: Option<Kind>,
}

/// What applies to one part of the site.
#[derive(Clone, Copy)]
pub struct Policy<'p> {
    /// Where tokens are accepted.
    pub sources: &'p TokenSources,
    /// Who verifies them.
    pub verifiers: &'p Verifiers,
    /// What is passed on.
    pub target: &'p Arc<TargetSettings>,
}

/// An accepted token, with all that requests with it need: made once, used as often as it comes.
pub struct Accepted {
    /// What the token says.
    pub verdict: Verdict,
    /// What to set: REMOTE_USER, variables, headers.
    pub passed: Passed,
    /// What kind of verifier accepted it.
    pub kind: Kind,
    policy: ConfirmationPolicy,
    target: Arc<TargetSettings>,
}

impl Accepted {
    /// About how many octets it takes.
    fn size(&self) -> usize {
        let length = |text: &CStr| text.to_bytes().len();
        let pairs: usize = self.passed.pairs.iter().map(|(name, value)| length(name) + length(value)).sum();
        // claims are there twice: as JSON values and as text
        2 * pairs
    }
}

/// Where the verdict on an accepted token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This process remembered it.
    Remembered,
    /// A shared cache remembered it.
    Shared,
    /// It was verified, or the authorization server asked, for this request.
    Verified,
}

impl Origin {
    /// The names of all, in the order of their definition.
    pub const NAMES: [&str; 3] = ["remembered", "shared", "verified"];
}

/// A request that may go on.
pub struct Authenticated {
    /// The token.
    pub accepted: Kept<Accepted>,
    /// Where the verdict on it came from.
    pub origin: Origin,
    /// Which of its bindings this connection proved.
    pub bound: BoundBy,
    /// The token stood in the URL: the response must not be kept by caches that others share (RFC 6750 §2.3).
    pub in_query: bool,
    /// What to take out of the request.
    pub strip: Option<Strip>,
}

/// A request that may not, with what its token says about itself, made fit for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}{}{}", about("kid", kid.as_deref()), about("iss", issuer.as_deref()))]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What kind of verifier refused the token, if it came to that.
    pub kind: Option<Kind>,
    /// `kid` of the JWT, if there is one.
    pub kid: Option<String>,
    /// `iss` of the JWT, if there is one.
    pub issuer: Option<String>,
}

fn about(name: &str, value: Option<&str>) -> String {
    value.map(|value| format!(", {name} {value}")).unwrap_or_default()
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, kind: None, kid: None, issuer: None }
    }
}

/// Decides about a request.
///
/// The token is found, recognised or verified, and its bindings are compared with what this connection proves. The last
/// step is taken for every request: that a token was good a moment ago says nothing about who brings it now.
///
/// # Errors
///
/// The refusal, for the client, and what the log should say.
pub fn authenticate<R: Request + ?Sized, S: Services + ?Sized>(
    policy: &Policy<'_>,
    request: &R,
    proofs: &Proofs<'_>,
    services: &S,
) -> Result<Authenticated, Refused> {
    let presented = policy.sources.extract(request)?;
    let token: &[u8] = &presented.token;
    let (accepted, origin) = match remembered(policy, token, services) {
        Some(accepted) => (accepted, Origin::Remembered),
        None => accept(policy, token, services).map_err(|refused| describe(refused, token))?,
    };
    let bound = accepted.policy.check(&accepted.verdict.confirmation, proofs).map_err(|fault| {
        let refusal = TokenFault::from(fault).into();
        describe(Unaccepted { refusal, kind: Some(accepted.kind) }, token)
    })?;
    Ok(Authenticated { accepted, origin, bound, in_query: presented.in_query, strip: presented.strip })
}

/// RFC 7662 §4, RFC 7519 §4.1.4: what is remembered ends with the token, and with the verifiers that judged it.
fn remembered<S: Services + ?Sized>(
    policy: &Policy<'_>,
    token: &[u8],
    services: &S,
) -> Option<Kept<Accepted>> {
    let is_for = |accepted: &Accepted| {
        Arc::ptr_eq(&accepted.target, policy.target) || *accepted.target == **policy.target
    };
    let accepted = services.memory().accepted.get(&policy.verifiers.id, token, services.now(), is_for)?;
    services.observe(&Event::Remembered);
    Some(accepted)
}

fn accept<S: Services + ?Sized>(
    policy: &Policy<'_>,
    token: &[u8],
    services: &S,
) -> Result<(Kept<Accepted>, Origin), Unaccepted> {
    let text = token_source::check(token).map_err(|refusal| Unaccepted { refusal, kind: None })?;
    let (verdict, verifier) = policy.verifiers.judge(text, services)?;
    let (kind, confirmation_policy) = (verifier.config().source.kind(), verifier.config().policy);
    let unusable = |fault: TokenFault| Unaccepted { refusal: fault.into(), kind: Some(kind) };
    let passed = policy.target.pass(&verdict.claims, token).map_err(unusable)?;
    let origin = if verdict.shared { Origin::Shared } else { Origin::Verified };
    let until = verdict.good_until;
    let target = Arc::clone(policy.target);
    let accepted = Arc::new(Accepted { verdict, passed, kind, policy: confirmation_policy, target });
    let memory = &services.memory().accepted;
    memory.put(&policy.verifiers.id, token, until, services.now(), Arc::clone(&accepted), accepted.size());
    Ok((accepted.into(), origin))
}

fn describe(Unaccepted { refusal, kind }: Unaccepted, token: &[u8]) -> Refused {
    let jwt = if token.len() > MAX_TOKEN { None } else { Unverified::parse(token, Padding::Tolerated).ok() };
    let clean = |text: &str| for_the_log(text).into_owned();
    Refused {
        refusal,
        kind,
        kid: jwt.as_ref().and_then(|jwt| jwt.kid().map(clean)),
        issuer: jwt.as_ref().and_then(|jwt| json::string(jwt.claims(), "iss").map(clean)),
    }
}
