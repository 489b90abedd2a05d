//! What all virtual hosts of one configuration share: the shared caches, and what each child process keeps for itself.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use backchannel::http;
use sender_constraint::cache_config::DEFAULT_NAME;
use sender_constraint::services::Memory;
use sender_constraint::target::TargetSettings;
use sender_constraint::verdict::Sealer;
use sender_constraint::verifier::Verifier;
use sender_constraint::verifier_config::CacheName;
use sender_constraint::waiting_room::{PLACES_OF_A_PROCESS, Places};
use zeroize::Zeroizing;

use crate::counters::{Counters, Lane};
use crate::ffi;
use crate::pool::Pool;
use crate::shared_cache::SharedCache;
use crate::waiting_room;

/// One per configuration. Filled while it is read; only read afterwards.
#[derive(Default)]
pub(crate) struct Common {
    caches: Mutex<Vec<SharedCache>>,
    passphrase: Mutex<Option<Zeroizing<Vec<u8>>>>,
    targets: Mutex<Vec<Arc<TargetSettings>>>,
    verifiers: Mutex<Vec<Arc<Verifier>>>,
    finished: OnceLock<Finished>,
    process: OnceLock<Process>,
    counters: OnceLock<&'static Counters>,
    places: OnceLock<&'static Places>,
}

/// What was filled, once the configuration has been read.
pub(crate) struct Finished {
    caches: Vec<SharedCache>,
    sealer: Option<Sealer>,
    pub(crate) claim_fields: ClaimFields,
    pub(crate) verifiers: Vec<Arc<Verifier>>,
}

/// The header fields in which locations pass claims on: whoever sends one is not believed, at whichever location.
pub(crate) struct ClaimFields {
    targets: Vec<Arc<TargetSettings>>,
    initials: [bool; 256],
}

impl ClaimFields {
    fn of(mut targets: Vec<Arc<TargetSettings>>) -> Self {
        // The default prefix is reserved even where no location speaks of it.
        targets.push(Arc::default());
        targets.dedup();
        let initial = |octet: u8| targets.iter().any(|target| target.may_begin_ours(octet));
        let initials = std::array::from_fn(|octet| u8::try_from(octet).is_ok_and(initial));
        Self { targets, initials }
    }

    /// False where no such field begins with this octet.
    pub(crate) fn may_be(&self, initial: u8) -> bool {
        self.initials.get(usize::from(initial)).copied().unwrap_or(true)
    }

    pub(crate) fn are_ours(&self, name: &[u8]) -> bool {
        name.first().is_some_and(|initial| self.may_be(*initial))
            && self.targets.iter().any(|target| target.is_ours(name))
    }
}

/// What a child process keeps for itself. Made after the fork.
pub(crate) struct Process {
    pub(crate) memory: Memory,
    pub(crate) http: http::Client,
    /// Where those of its threads wait that ask an authorization server, so that others are left.
    pub(crate) places: Places<PLACES_OF_A_PROCESS>,
    /// How many threads it has that serve requests.
    pub(crate) threads: usize,
    /// How many workers the server may have, in all processes together.
    pub(crate) workers: usize,
    /// When it was last seen whether keys should be fetched, in seconds since 1970.
    looked_after: AtomicI64,
}

/// Tokens that one process remembers.
const REMEMBERED_TOKENS: usize = 20_000;

impl Default for Process {
    fn default() -> Self {
        Self {
            memory: Memory::new(REMEMBERED_TOKENS),
            http: http::Client::new(),
            places: Places::default(),
            threads: waiting_room::threads(),
            workers: waiting_room::workers(),
            looked_after: AtomicI64::new(0),
        }
    }
}

impl Process {
    /// True for one asker in so many seconds.
    pub(crate) fn is_turn(&self, now: i64, interval: i64) -> bool {
        let last = self.looked_after.load(Ordering::Relaxed);
        // A clock that was set back must not stop it: a negative number is a large one here.
        let due = now.wrapping_sub(last).cast_unsigned() >= interval.cast_unsigned();
        due && self.looked_after.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Common {
    /// The one of the configuration that lives in `pool`; made when it is asked for first.
    pub(crate) fn of<'s>(pool: Pool<'s>) -> &'s Self {
        const KEY: &CStr = c"mod_token_binding";
        let mut held: *mut c_void = std::ptr::null_mut();
        // SAFETY: the pool is live.
        unsafe { ffi::apr_pool_userdata_get(&raw mut held, KEY.as_ptr(), pool.as_ptr()) };
        // SAFETY: null, or what was set below, which lives as long as the pool.
        if let Some(common) = unsafe { held.cast::<Self>().as_ref() } {
            return common;
        }
        let common: &Self = pool.place(Self::default());
        let data = std::ptr::from_ref(common).cast_mut().cast();
        // SAFETY: the key is copied by the pool; the value is dropped by its own cleanup.
        unsafe { ffi::apr_pool_userdata_set(data, KEY.as_ptr(), None, pool.as_ptr()) };
        common
    }

    /// Adds a shared cache. The error says what to do.
    pub(crate) fn add_cache(&self, cache: SharedCache) -> Result<(), String> {
        let mut caches = lock(&self.caches);
        if caches.iter().any(|other| other.name == cache.name) {
            return Err(format!(
                "there is a cache named '{}' already: give this one another name=",
                cache.name
            ));
        }
        caches.push(cache);
        Ok(())
    }

    pub(crate) fn set_passphrase(&self, passphrase: Zeroizing<Vec<u8>>) {
        *lock(&self.passphrase) = Some(passphrase);
    }

    pub(crate) fn add_target(&self, target: Arc<TargetSettings>) {
        lock(&self.targets).push(target);
    }

    pub(crate) fn add_verifier(&self, verifier: Arc<Verifier>) {
        lock(&self.verifiers).push(verifier);
    }

    /// The configuration has been read: checks what goes together. The error says what to do.
    pub(crate) fn finish(&self) -> Result<(), String> {
        if self.finished.get().is_some() {
            return Ok(());
        }
        let caches = std::mem::take(&mut *lock(&self.caches));
        let verifiers = lock(&self.verifiers).clone();
        for name in verifiers.iter().flat_map(|verifier| verifier.config().caches()) {
            if !caches.iter().any(|cache| cache.name == name) {
                return Err(format!(
                    "OAuth2TokenVerify: there is no cache '{name}': OAuth2Cache TYPE name={name}"
                ));
            }
        }
        let sealer = match &*lock(&self.passphrase) {
            Some(passphrase) => Some(Sealer::from_passphrase(passphrase).map_err(|error| {
                format!("OAuth2CryptoPassphrase: OpenSSL cannot make a key of it: {error}")
            })?),
            None => None,
        };
        if let (None, Some(cache)) = (&sealer, caches.iter().find(|cache| cache.encrypt)) {
            return Err(format!(
                "OAuth2Cache: what is kept in the cache '{}' leaves this server and is encrypted: OAuth2CryptoPassphrase is needed",
                cache.name
            ));
        }
        let claim_fields = ClaimFields::of(lock(&self.targets).clone());
        let _ = self.finished.set(Finished { caches, sealer, claim_fields, verifiers });
        Ok(())
    }

    pub(crate) fn finished(&self) -> Option<&Finished> {
        self.finished.get()
    }

    pub(crate) fn set_counters(&self, counters: &'static Counters) {
        // A second call would bring the same ones.
        let _ = self.counters.set(counters);
    }

    pub(crate) fn set_places(&self, places: &'static Places) {
        let _ = self.places.set(places);
    }

    /// Where those wait that ask an authorization server.
    pub(crate) fn places(&self) -> Option<&'static Places> {
        self.places.get().copied()
    }

    /// Where things are counted, if they are.
    pub(crate) fn counters(&self) -> Option<&'static Counters> {
        self.counters.get().copied()
    }

    /// Where this one of several threads counts, such as the one that serves the connection of this number.
    pub(crate) fn lane(&self, number: usize) -> Lane {
        self.counters().map_or_else(Lane::default, |counters| counters.lane(number))
    }

    /// This process's own part. Called in child processes only.
    pub(crate) fn process(&self) -> &Process {
        self.process.get_or_init(Process::default)
    }
}

impl Finished {
    pub(crate) fn caches(&self) -> &[SharedCache] {
        &self.caches
    }

    pub(crate) fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_ref()
    }

    /// The cache of that name, if the administrator set one up.
    pub(crate) fn cache(&self, name: &CacheName) -> Option<&SharedCache> {
        let name = match name {
            CacheName::None => return None,
            CacheName::Default => DEFAULT_NAME,
            CacheName::Named(name) => name,
        };
        self.caches.iter().find(|cache| cache.name == name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
