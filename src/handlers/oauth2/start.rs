//! From the configuration's last line to a child that can serve, and what a child does between requests.
//!
//! Keys are fetched ahead of time, by a worker that has just answered a request: nobody waits for that. There is no thread of
//! our own and no mod_watchdog: a process without requests needs no keys.

use crate::common::{Common, Finished};
use crate::ffi;
use crate::handlers::oauth2::surroundings::Surroundings;
use crate::log;
use crate::pool::Pool;
use crate::request::Request;

/// The parent, before it forks: starts what children share. The error says what failed.
///
/// # Safety
/// Called once per configuration from post_config, with its server and pool.
pub(crate) unsafe fn parent(
    common: &Common,
    server: *mut ffi::server_rec,
    pool: *mut ffi::apr_pool_t,
) -> Result<(), String> {
    let Some(finished) = common.finished() else { return Ok(()) };
    for (number, cache) in finished.caches().iter().enumerate() {
        // SAFETY: as our caller's.
        unsafe { cache.start(number, server, pool) }
            .map_err(|error| format!("OAuth2Cache '{}': {error}", cache.name))?;
    }
    Ok(())
}

/// A child, after the fork: opens what is shared, and fetches keys, so that the first request need not wait for them.
///
/// # Safety
/// Called once from child_init with the child's pool.
pub(crate) unsafe fn child(common: &Common, pool: *mut ffi::apr_pool_t) {
    let Some(finished) = common.finished() else { return };
    for cache in finished.caches() {
        // SAFETY: as our caller's.
        if let Err(error) = unsafe { cache.child_init(pool) } {
            log::server!(None, Error, "OAuth2Cache '{}': {error}", cache.name);
        }
    }
    // SAFETY: the child's pool.
    let surroundings = Surroundings::of_process(common, unsafe { Pool::from_raw(pool) });
    prepare(finished, &surroundings);
}

/// After a response has gone out: sees, every few seconds, whether keys should be fetched.
pub(crate) fn look_after(request: Request<'_>) {
    const INTERVAL: i64 = 5;
    let Some(common) = request.server_config().common() else { return };
    let Some(finished) = common.finished().filter(|finished| !finished.verifiers.is_empty()) else { return };
    if common.process().is_turn(request.time(), INTERVAL) {
        prepare_between_requests(request, common, finished);
    }
}

/// Apart, so that the usual request, after which there is nothing to do, pays nothing for it.
#[cold]
fn prepare_between_requests(request: Request<'_>, common: &Common, finished: &Finished) {
    prepare(finished, &Surroundings::between_requests(request, common));
}

/// Fetches what is due, as long as there is time. What was not reached is fetched for the token that needs it.
fn prepare(finished: &Finished, surroundings: &Surroundings<'_>) {
    finished
        .verifiers
        .iter()
        .take_while(|_| surroundings.has_time())
        .for_each(|verifier| verifier.prepare(surroundings));
}
