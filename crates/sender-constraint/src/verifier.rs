//! One verifier at work: a token in, a verdict or a refusal out.

use std::borrow::Cow;
use std::sync::Arc;

use crate::claim_rules::{ClaimRules, Mode};
use crate::document::Fetch;
use crate::exchange::Endpoint;
use crate::gate::Gate;
use crate::introspection::{self, Introspected, Introspection};
use crate::json::{self, Object};
use crate::jwk::{self, KeySet};
use crate::jwt::{Padding, Unverified, looks_like_jwt};
use crate::metadata::Metadata;
use crate::refresh::{Again, FRESH_LEAST, Refreshed, UNKNOWN_KEY_INTERVAL};
use crate::refusal::{Outage, Refusal, TokenFault};
use crate::services::{self, Errand, Event, Services};
use crate::verdict::{Remembered, Verdict};
use crate::verifier_config::{CacheName, MetadataSource, Remote, Source, VerifierConfig};

/// How long it is remembered that a token is not active, in seconds.
const INACTIVE_LIFETIME: i64 = 10;

/// A configured verifier with the documents that it fetched.
pub struct Verifier {
    config: VerifierConfig,
    keys: Refreshed<KeySet>,
    metadata: Refreshed<Metadata>,
    gate: Gate,
}

impl Verifier {
    /// A verifier that has fetched nothing yet.
    #[must_use]
    pub fn new(config: VerifierConfig) -> Self {
        let (keys, metadata) = match &config.source {
            Source::Jwks(remote) | Source::Pem(remote, _) | Source::LoadBalancer { remote, .. } => {
                (remote.expiry, FRESH_LEAST)
            }
            Source::Metadata(source) => (source.jwks.expiry, source.metadata.expiry),
            Source::Keys(_) | Source::Introspect(..) => (FRESH_LEAST, FRESH_LEAST),
        };
        let (keys, metadata) = (Refreshed::new(keys), Refreshed::new(metadata));
        Self { config, keys, metadata, gate: Gate::default() }
    }

    /// What was configured.
    #[must_use]
    pub const fn config(&self) -> &VerifierConfig {
        &self.config
    }

    /// Judges a token: whether it is good, not whether this connection may use it.
    ///
    /// # Errors
    ///
    /// What is wrong with the token, or why it cannot be judged now.
    pub fn judge<S: Services + ?Sized>(&self, token: &str, services: &S) -> Result<Verdict, Refusal> {
        let source = match &self.config.source {
            Source::Metadata(source) => source,
            Source::Introspect(endpoint, introspection) => {
                return self.introspect(token, endpoint, introspection, &self.config.rules, None, services);
            }
            _ => return self.judge_jwt(token, services),
        };
        let metadata = self.metadata(source, services)?;
        match &metadata.introspection_endpoint {
            _ if metadata.jwks_uri.is_some() && looks_like_jwt(token.as_bytes()) => {
                self.judge_jwt(token, services)
            }
            Some(url) => {
                let (endpoint, issuer) =
                    (source.introspection_endpoint.at(url), Some(metadata.issuer.as_str()));
                let rules = &source.introspection_rules;
                let verdict =
                    self.introspect(token, &endpoint, &source.introspection, rules, issuer, services)?;
                // RFC 7662 §2.2: an answer need not name the issuer that gave it
                if source.issuer_mode != Mode::Skip {
                    Mode::Optional.check_issuer(&verdict.claims, &metadata.issuer)?;
                }
                Ok(verdict)
            }
            None => Err(TokenFault::NotAJwt.into()),
        }
    }

    /// Fetches what will soon be needed, so that no request has to wait for it. To be called now and then, from where
    /// waiting does no harm.
    pub fn prepare<S: Services + ?Sized>(&self, services: &S) {
        let now = services.instant();
        match &self.config.source {
            Source::Jwks(remote) => {
                if let Some(permit) = self.keys.due(now) {
                    let fetch = Fetch { remote, endpoint: &remote.endpoint, services, parse: &parse_jwks };
                    // a failure was observed, and what there is serves on
                    let _ = fetch.run(permit, i64::MIN);
                }
            }
            Source::Metadata(source) => {
                let Ok(metadata) = self.metadata(source, services) else { return };
                if let (Some(url), Some(permit)) = (&metadata.jwks_uri, self.keys.due(now)) {
                    let endpoint = source.jwks.endpoint.at(url);
                    let _ = Fetch { remote: &source.jwks, endpoint: &endpoint, services, parse: &parse_jwks }
                        .run(permit, i64::MIN);
                }
            }
            Source::Keys(_) | Source::Pem(..) | Source::LoadBalancer { .. } | Source::Introspect(..) => (),
        }
    }

    /// Takes a JWT apart and checks all that needs no key.
    fn read_jwt<'t>(&self, token: &'t str, now: i64) -> Result<(Unverified<'t>, Option<i64>), TokenFault> {
        let padding = match &self.config.source {
            Source::LoadBalancer { .. } | Source::Pem(..) => Padding::Tolerated,
            _ => Padding::Refused,
        };
        let jwt = Unverified::parse(token.as_bytes(), padding)?;
        self.config.rules.check_type(jwt.typ())?;
        if let Source::LoadBalancer { arn, .. } = &self.config.source {
            // AWS: "verify that the signer field in the JWT header contains the expected Application Load Balancer ARN"
            if jwt.extra("signer").and_then(|signer| signer.as_str()) != Some(arn) {
                return Err(TokenFault::Issuer);
            }
        }
        let exp = self.config.rules.check(jwt.claims(), now)?;
        Ok((jwt, exp))
    }

    fn judge_jwt<S: Services + ?Sized>(&self, token: &str, services: &S) -> Result<Verdict, Refusal> {
        let share = self.config.cache.as_ref().filter(|cache| **cache != CacheName::None);
        if let Some(Remembered::Good(verdict)) = share.and_then(|cache| self.shared(token, cache, services)) {
            return Ok(verdict);
        }
        let (jwt, exp) = self.read_jwt(token, services.now())?;
        match &self.config.source {
            Source::Keys(keys) => jwt.verify(keys)?,
            Source::Jwks(remote) => {
                self.verify(&jwt, remote, &remote.endpoint, &parse_jwks, services)?;
            }
            Source::Pem(remote, kid) => {
                let parse = |body: &[u8]| match jwk::from_pem(body) {
                    Ok(key) => Ok(KeySet::of(key.with_kid(kid.clone()))),
                    Err(error) => Err(error.to_string()),
                };
                self.verify(&jwt, remote, &remote.endpoint, &parse, services)?;
            }
            Source::LoadBalancer { remote, .. } => self.verify_by_load_balancer(&jwt, remote, services)?,
            Source::Metadata(source) => {
                let metadata = self.metadata(source, services)?;
                source.issuer_mode.check_issuer(jwt.claims(), &metadata.issuer)?;
                let url = metadata.jwks_uri.as_deref().ok_or(TokenFault::NotAJwt)?;
                let endpoint = source.jwks.endpoint.at(url);
                self.verify(&jwt, &source.jwks, &endpoint, &parse_jwks, services)?;
            }
            Source::Introspect(..) => return Err(TokenFault::NotAJwt.into()),
        }
        services.observe(&Event::Verified);
        let verdict = self.verdict(jwt.into_claims(), exp, services.now())?;
        if let Some(cache) = share {
            self.remember(token, cache, &Remembered::Good(verdict.clone()), verdict.good_until, services);
        }
        Ok(verdict)
    }

    /// Verifies with keys that are fetched. A key that is not known may be a new one: then they are fetched once more.
    fn verify<S: Services + ?Sized>(
        &self,
        jwt: &Unverified<'_>,
        remote: &Remote,
        endpoint: &Endpoint,
        parse: &dyn Fn(&[u8]) -> Result<KeySet, String>,
        services: &S,
    ) -> Result<(), Refusal> {
        let fetch = Fetch { remote, endpoint, services, parse };
        let keys = fetch.get(&self.keys)?;
        let fault = match jwt.verify(&keys) {
            Err(fault) if may_be_a_new_key(fault, jwt.kid()) => fault,
            result => return Ok(result?),
        };
        let again = self.keys.look_again(services.instant());
        if let Again::Fetch(permit) = again {
            let interval = i64::try_from(UNKNOWN_KEY_INTERVAL.as_secs()).unwrap_or(0);
            let keys = fetch.run(permit, services.now().saturating_sub(interval - 1))?;
            return Ok(jwt.verify(&keys)?);
        }
        // whoever fetched meanwhile may have brought it
        let newer = self.keys.peek(services.instant()).filter(|newer| !Arc::ptr_eq(newer, &keys));
        match newer.map_or(Err(fault), |newer| jwt.verify(&newer)) {
            // the key may exist; the token is not to be thrown away because we could not look
            Err(fault) if may_be_a_new_key(fault, jwt.kid()) && matches!(again, Again::Pending) => {
                Err(Outage::Pending.into())
            }
            result => Ok(result?),
        }
    }

    /// Each key of a load balancer has a URL of its own, made of its ID.
    fn verify_by_load_balancer<S: Services + ?Sized>(
        &self,
        jwt: &Unverified<'_>,
        remote: &Remote,
        services: &S,
    ) -> Result<(), Refusal> {
        // RFC 8725 §3.10: nothing that is not a key ID gets into a URL
        let is_kid =
            |kid: &&str| kid.len() <= 64 && kid.bytes().all(|o| o.is_ascii_alphanumeric() || o == b'-');
        let kid = jwt.kid().filter(is_kid).ok_or(TokenFault::UnknownKey)?;
        let known = self.keys.peek(services.instant());
        let parse = |body: &[u8]| {
            let key = jwk::from_pem(body).map_err(|error| error.to_string())?.with_kid(Some(kid.to_owned()));
            Ok(known.as_deref().map_or_else(|| KeySet::of(key.clone()), |known| known.with(key.clone())))
        };
        let endpoint = remote.endpoint.at(&format!("{}{kid}", remote.endpoint.url));
        self.verify(jwt, remote, &endpoint, &parse, services)
    }

    fn metadata<S: Services + ?Sized>(
        &self,
        source: &MetadataSource,
        services: &S,
    ) -> Result<Arc<Metadata>, Outage> {
        let (remote, endpoint) = (&source.metadata, &source.metadata.endpoint);
        let parse = |body: &[u8]| {
            Metadata::parse(body, &endpoint.url, source.issuer.as_deref()).map_err(|error| error.to_string())
        };
        Fetch { remote, endpoint, services, parse: &parse }.get(&self.metadata)
    }

    fn introspect<S: Services + ?Sized>(
        &self,
        token: &str,
        endpoint: &Endpoint,
        introspection: &Introspection,
        rules: &ClaimRules,
        issuer: Option<&str>,
        services: &S,
    ) -> Result<Verdict, Refusal> {
        let (now, id) = (services.now(), &self.config.id);
        let inactive = &services.memory().inactive;
        // Anybody can fill this memory, so it holds hashes instead of tokens.
        let hash = openssl::sha::sha256(token.as_bytes());
        if inactive.get(id, &hash, now, |()| true).is_some() {
            return Err(TokenFault::Inactive.into());
        }
        let cache = self.config.cache.as_ref().unwrap_or(&CacheName::Default);
        match self.shared(token, cache, services) {
            Some(Remembered::Good(verdict)) => return Ok(verdict),
            Some(Remembered::Inactive { .. }) => return Err(TokenFault::Inactive.into()),
            None => (),
        }
        match self.ask(token, endpoint, introspection, issuer, services)? {
            Introspected::Active(claims) => {
                let exp = rules.check(&claims, now)?;
                let verdict = self.verdict(claims, exp, now)?;
                self.remember(token, cache, &Remembered::Good(verdict.clone()), verdict.good_until, services);
                Ok(verdict)
            }
            Introspected::Inactive => {
                let until = now.saturating_add(INACTIVE_LIFETIME);
                inactive.put(id, &hash, until, now, Arc::new(()), 0);
                self.remember(token, cache, &Remembered::Inactive { until }, until, services);
                Err(TokenFault::Inactive.into())
            }
        }
    }

    /// Asks the authorization server, unless too many are waiting for it already or it has just failed.
    fn ask<S: Services + ?Sized>(
        &self,
        token: &str,
        endpoint: &Endpoint,
        introspection: &Introspection,
        issuer: Option<&str>,
        services: &S,
    ) -> Result<Introspected, Outage> {
        let pass = self.gate.enter(services.instant()).ok_or(Outage::Pending)?;
        let _places = services::places(services, endpoint)?;
        let request = introspection.request(endpoint, token, issuer, services.now())?;
        services.observe(&Event::Introspected);
        let answer = services.send(&request).map_err(Outage::Transport);
        let verdict = answer.and_then(|answer| introspection::read_answer(&answer));
        match &verdict {
            Err(outage) => {
                // An answer, however useless, kept nobody waiting; and whoever can provoke one with a strange token must
                // not be able to close the gate for others.
                if matches!(outage, Outage::Transport(_)) {
                    pass.failed(services.instant());
                }
                services.observe(&Event::Failed {
                    errand: Errand::Introspection,
                    url: &endpoint.url,
                    outage,
                });
            }
            Ok(_) => pass.succeeded(),
        }
        verdict
    }

    /// Claims that passed all checks become a verdict, to be remembered for `expiry` and never past `exp`.
    fn verdict(&self, claims: Object, exp: Option<i64>, now: i64) -> Result<Verdict, TokenFault> {
        // RFC 9449 §6.2: a token of this type is bound to a key, even if the answer does not repeat to which
        let is_dpop =
            json::string(&claims, "token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
        if is_dpop && !claims.contains_key("cnf") {
            return Err(crate::cnf::ConfirmationFault::NoSupportedMember.into());
        }
        let latest = now.saturating_add(self.config.expiry);
        Ok(Verdict::new(claims, exp.map_or(latest, |exp| exp.min(latest)))?)
    }

    fn shared<S: Services + ?Sized>(
        &self,
        token: &str,
        cache: &CacheName,
        services: &S,
    ) -> Option<Remembered> {
        let octets = services::shared(services, cache, &self.config.id.cache_key(token.as_bytes()))?;
        let remembered = Remembered::decode(&octets, services.now())?;
        // Nothing is kept for longer: it is from before the clock was set back, and would live too long.
        let latest = services.now().saturating_add(self.config.expiry.max(INACTIVE_LIFETIME));
        if remembered.until() > latest {
            return None;
        }
        services.observe(&Event::Shared);
        Some(remembered)
    }

    fn remember<S: Services + ?Sized>(
        &self,
        token: &str,
        cache: &CacheName,
        verdict: &Remembered,
        until: i64,
        services: &S,
    ) {
        let key = self.config.id.cache_key(token.as_bytes());
        services::share(services, cache, &key, &verdict.encode(), until);
    }
}

fn parse_jwks(body: &[u8]) -> Result<KeySet, String> {
    KeySet::from_jwks(body).map_err(|error| error.to_string())
}

/// A key ID that is not known, or no key ID and no key that fits. A bad signature under a known ID is just bad.
fn may_be_a_new_key(fault: TokenFault, kid: Option<&str>) -> bool {
    fault == TokenFault::UnknownKey || fault == TokenFault::Signature && kid.is_none()
}

/// What a refusal may say about a token in the log: printable and short, since anybody may have written it.
#[must_use]
pub fn for_the_log(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 64;
    if text.len() <= LONGEST && text.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Cow::Borrowed(text);
    }
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    Cow::Owned(text.chars().take(LONGEST).map(printable).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gets_nothing_strange() {
        assert_eq!(for_the_log("https://as.example/x"), "https://as.example/x");
        assert_eq!(for_the_log("a b\r\nc\u{e9}\u{0}"), "a?b??c??");
        assert_eq!(for_the_log(&"x".repeat(10_000)).len(), 64);
    }
}
