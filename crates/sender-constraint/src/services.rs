//! What this crate needs from its surroundings: time, the network, caches. Everything else it decides by itself.

use std::time::Instant;

use crate::cache::Cache;
use crate::decision::Accepted;
use crate::exchange::{Endpoint, Transport};
use crate::refusal::Outage;
use crate::verdict::CacheKey;
use crate::verifier_config::CacheName;
use crate::waiting_room::{Place, WaitingRoom};

/// The surroundings of a decision.
///
/// What a shared cache gives back is believed: it must come from memory that only this server can write, or be sealed
/// ([`crate::verdict::Sealer`]) under its key.
pub trait Services: Transport {
    /// Seconds since 1970, by the clock that `exp` is compared with.
    fn now(&self) -> i64;

    /// A clock that nobody sets, for intervals.
    fn instant(&self) -> Instant;

    /// What this process remembers.
    fn memory(&self) -> &Memory;

    /// What a shared cache has under this key; `None` also when it cannot be reached.
    fn shared(&self, cache: &CacheName, key: &CacheKey) -> Option<Vec<u8>> {
        let _ = (cache, key);
        None
    }

    /// Puts something into a shared cache until this time (seconds since 1970), if that is possible.
    fn share(&self, cache: &CacheName, key: &CacheKey, value: &[u8], until: i64) {
        let _ = (cache, key, value, until);
    }

    /// Where whoever is about to wait for an authorization server takes places: of this process, and of all of them.
    /// `None` where waiting keeps no worker from its requests.
    fn waiting_rooms(&self) -> [Option<WaitingRoom<'_>>; 2] {
        [None, None]
    }

    /// Something happened that is counted or logged.
    fn observe(&self, event: &Event<'_>) {
        let _ = event;
    }
}

/// [`Services::shared`], for caches that may be none.
pub(crate) fn shared<S: Services + ?Sized>(
    services: &S,
    cache: &CacheName,
    key: &CacheKey,
) -> Option<Vec<u8>> {
    if *cache == CacheName::None { None } else { services.shared(cache, key) }
}

/// [`Services::share`], for caches that may be none and things that may be over.
pub(crate) fn share<S: Services + ?Sized>(
    services: &S,
    cache: &CacheName,
    key: &CacheKey,
    value: &[u8],
    until: i64,
) {
    if *cache != CacheName::None && until > services.now() {
        services.share(cache, key, value, until);
    }
}

/// Places to wait for this endpoint, where they are needed; refused while too many wait.
pub(crate) fn places<'s, S: Services + ?Sized>(
    services: &'s S,
    endpoint: &Endpoint,
) -> Result<[Option<Place<'s>>; 2], Outage> {
    if endpoint.is_file() {
        return Ok([None, None]);
    }
    let enter = |room: Option<WaitingRoom<'s>>| {
        room.map(|room| room.enter(endpoint).ok_or(Outage::Crowded)).transpose()
    };
    let [of_process, of_all] = services.waiting_rooms();
    Ok([enter(of_process)?, enter(of_all)?])
}

/// What is counted or logged.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// This process remembered the token.
    Remembered,
    /// A shared cache remembered it.
    Shared,
    /// A signature was verified.
    Verified,
    /// The authorization server was asked about a token.
    Introspected,
    /// Keys or metadata were fetched.
    Fetched {
        /// From where.
        url: &'e str,
    },
    /// The authorization server could not be asked. The administrator's business.
    Failed {
        /// For what.
        errand: Errand,
        /// Where.
        url: &'e str,
        /// Why.
        outage: &'e Outage,
    },
}

/// Why an authorization server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// For keys or metadata.
    Document,
    /// About a token.
    Introspection,
}

/// What one process remembers of tokens.
pub struct Memory {
    /// Accepted tokens, with everything that requests with them need.
    pub accepted: Cache<Accepted>,
    /// Tokens that are not active. Kept apart, so that nobody can drive out good tokens with bad ones.
    pub inactive: Cache<()>,
}

impl Memory {
    /// Memory for about this many tokens.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { accepted: Cache::new(capacity), inactive: Cache::new(capacity / 4) }
    }
}
