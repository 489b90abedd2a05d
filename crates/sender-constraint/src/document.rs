//! Fetching keys and metadata: from a shared cache if another process was there before, else from the server.

use std::sync::Arc;
use std::time::Duration;

use crate::exchange::{Endpoint, max_age};
use crate::refresh::{FRESH_LEAST, Lookup, Permit, Refreshed};
use crate::refusal::Outage;
use crate::services::{self, Errand, Event, Services};
use crate::verdict::{CacheKey, document_key};
use crate::verifier_config::Remote;

/// How to get one document.
pub struct Fetch<'f, S: ?Sized, T> {
    /// Expiry and cache.
    pub remote: &'f Remote,
    /// Where.
    pub endpoint: &'f Endpoint,
    /// The network and the caches.
    pub services: &'f S,
    /// What makes a document of a body, or says why not.
    pub parse: &'f dyn Fn(&[u8]) -> Result<T, String>,
}

impl<S: Services + ?Sized, T> Fetch<'_, S, T> {
    /// The document as it is known, or a newer one if it is time for that.
    ///
    /// # Errors
    ///
    /// There is none and none can be had now.
    pub fn get(&self, document: &Refreshed<T>) -> Result<Arc<T>, Outage> {
        match document.look(self.services.instant()) {
            Lookup::Held(document) => Ok(document),
            // a stale document is better than none
            Lookup::Stale(old, permit) => Ok(self.run(permit, i64::MIN).unwrap_or(old)),
            Lookup::Nothing(permit) => self.run(permit, i64::MIN),
            Lookup::Pending => Err(Outage::Pending),
        }
    }

    /// Fetches. A document from a shared cache will do if it was fetched at `oldest` (seconds since 1970) or later.
    ///
    /// # Errors
    ///
    /// No answer, or one that is no such document; or too many wait for one.
    pub fn run(&self, permit: Permit<'_, T>, oldest: i64) -> Result<Arc<T>, Outage> {
        let key = document_key(&self.endpoint.url, self.settings().as_bytes());
        if let Some((document, fresh)) = self.read_cache(&key, oldest) {
            return Ok(permit.fetched(document, Some(fresh), self.services.instant()));
        }
        let _places = match services::places(self.services, self.endpoint) {
            Ok(places) => places,
            Err(outage) => {
                permit.returned(self.services.instant());
                return Err(outage);
            }
        };
        match self.ask_server(&key) {
            Ok((document, fresh)) => {
                self.services.observe(&Event::Fetched { url: &self.endpoint.url });
                Ok(permit.fetched(document, Some(fresh), self.services.instant()))
            }
            Err(outage) => {
                permit.failed(self.services.instant());
                let url = &self.endpoint.url;
                self.services.observe(&Event::Failed { errand: Errand::Document, url, outage: &outage });
                Err(outage)
            }
        }
    }

    /// Whom the server was verified against is part of what a document is worth.
    fn settings(&self) -> String {
        format!("{} {:?} {:?}", self.endpoint.verify_tls, self.endpoint.ca_file, self.endpoint.proxy)
    }

    fn read_cache(&self, key: &CacheKey, oldest: i64) -> Option<(T, Duration)> {
        let octets = services::shared(self.services, &self.remote.cache, key)?;
        let (fetched, rest) = octets.split_first_chunk()?;
        let (fresh_until, body) = rest.split_first_chunk()?;
        let (fetched, fresh_until) = (i64::from_be_bytes(*fetched), i64::from_be_bytes(*fresh_until));
        let fresh =
            u64::try_from(fresh_until.checked_sub(self.services.now())?).ok().filter(|fresh| *fresh > 0)?;
        if fetched < oldest {
            return None;
        }
        Some(((self.parse)(body).ok()?, Duration::from_secs(fresh)))
    }

    fn ask_server(&self, key: &CacheKey) -> Result<(T, Duration), Outage> {
        let answer = self.services.send(&self.endpoint.get()).map_err(Outage::Transport)?;
        if answer.status != 200 {
            return Err(Outage::Status(answer.status));
        }
        let document = (self.parse)(&answer.body).map_err(Outage::Answer)?;
        let most = self.remote.expiry.max(FRESH_LEAST);
        let fresh = max_age(answer.cache_control.as_deref()).unwrap_or(most).clamp(FRESH_LEAST, most);
        let now = self.services.now();
        let fresh_until = now.saturating_add(i64::try_from(fresh.as_secs()).unwrap_or(i64::MAX));
        // a file is as near as the cache
        if !self.endpoint.is_file() {
            let entry = [&now.to_be_bytes()[..], &fresh_until.to_be_bytes(), &answer.body].concat();
            services::share(self.services, &self.remote.cache, key, &entry, fresh_until);
        }
        Ok((document, fresh))
    }
}
