//! A document that is fetched now and then: a key set, metadata. Who fetches it when, and what serves meanwhile.
//!
//! Fetching itself is not done here; a [`Permit`] says that the holder, and nobody else, is to do it. There is no thread:
//! whoever finds that it is time fetches, everybody else goes on with what is there. While it is fresh, nobody takes a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

/// A document is fresh for at least this long, whatever its Cache-Control says: no server can make us ask all the time.
pub const FRESH_LEAST: Duration = Duration::from_secs(30);
/// Between two fetches that an unknown key causes lies at least this long.
pub const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);
/// A failed fetch is tried again after at most this long.
pub const RETRY_MOST: Duration = Duration::from_secs(30);
/// Where nobody could be asked because too many were waiting, nobody tries again for this long.
pub const CROWDED_INTERVAL: Duration = Duration::from_secs(1);
/// A document that cannot be renewed serves this long after it ceased to be fresh. Somebody who can keep us from the
/// authorization server must not keep a revoked key alive for ever.
pub const STALE_MOST: Duration = Duration::from_secs(24 * 3600);

/// One document, shared by all threads of a process.
pub struct Refreshed<T> {
    /// Replaced by who has locked `fetches`.
    held: ArcSwapOption<Held<T>>,
    fetches: Mutex<Fetches>,
    fresh_most: Duration,
}

#[derive(Default)]
struct Fetches {
    fetching: bool,
    last_fetch: Option<Instant>,
    /// Fetches in a row that failed.
    failures: u32,
    /// Too many were waiting: nobody is to try before.
    crowded_until: Option<Instant>,
}

struct Held<T> {
    document: Arc<T>,
    renew_at: Instant,
    fresh_until: Instant,
}

/// What there is, and whether the asker is to fetch.
pub enum Lookup<'r, T> {
    /// Use this.
    Held(Arc<T>),
    /// Use this, and fetch a newer one.
    Stale(Arc<T>, Permit<'r, T>),
    /// There is nothing: fetch it.
    Nothing(Permit<'r, T>),
    /// There is nothing, and somebody else is fetching or it is too early for another try.
    Pending,
}

/// What can be done about a key that the document does not have.
pub enum Again<'r, T> {
    /// It may be new: fetch the document once more.
    Fetch(Permit<'r, T>),
    /// Somebody is fetching, or could not: nobody knows whether the key exists.
    Pending,
    /// Somebody fetched a moment ago.
    Fetched,
}

impl<T> Refreshed<T> {
    /// Nothing yet. A document without Cache-Control will be fresh for `fresh_most`, and none longer.
    #[must_use]
    pub fn new(fresh_most: Duration) -> Self {
        Self {
            held: ArcSwapOption::empty(),
            fetches: Mutex::default(),
            fresh_most: fresh_most.max(FRESH_LEAST),
        }
    }

    /// What there is at this time.
    pub fn look(&self, now: Instant) -> Lookup<'_, T> {
        if let Some(document) = self.peek(now) {
            return Lookup::Held(document);
        }
        let mut fetches = self.lock();
        // who had the lock may have fetched it
        if let Some(document) = self.peek(now) {
            return Lookup::Held(document);
        }
        let permit = self.permit(&mut fetches, now, Duration::ZERO);
        match (self.held_until(now, |held| held.fresh_until + STALE_MOST), permit) {
            (Some(document), Some(permit)) => Lookup::Stale(document, permit),
            (Some(document), None) => Lookup::Held(document),
            (None, Some(permit)) => Lookup::Nothing(permit),
            (None, None) => Lookup::Pending,
        }
    }

    /// Asks for a fetch because a token names a key that the document does not have.
    pub fn look_again(&self, now: Instant) -> Again<'_, T> {
        let mut fetches = self.lock();
        match self.permit(&mut fetches, now, UNKNOWN_KEY_INTERVAL) {
            Some(permit) => Again::Fetch(permit),
            None if fetches.fetching || fetches.failures > 0 || fetches.is_crowded(now) => Again::Pending,
            None => Again::Fetched,
        }
    }

    /// Asks for a fetch because there is nothing, or because a fifth of the fresh time is left: for those who have time
    /// to fetch before a request needs it.
    pub fn due(&self, now: Instant) -> Option<Permit<'_, T>> {
        let mut fetches = self.lock();
        if self.held_until(now, |held| held.renew_at).is_some() {
            return None;
        }
        self.permit(&mut fetches, now, Duration::ZERO)
    }

    /// What there is, if it is fresh; nobody is asked to fetch.
    #[must_use]
    pub fn peek(&self, now: Instant) -> Option<Arc<T>> {
        self.held_until(now, |held| held.fresh_until)
    }

    fn held_until(&self, now: Instant, end: impl Fn(&Held<T>) -> Instant) -> Option<Arc<T>> {
        let held = self.held.load();
        held.as_ref().filter(|held| now < end(held)).map(|held| Arc::clone(&held.document))
    }

    fn permit(&self, fetches: &mut Fetches, now: Instant, interval: Duration) -> Option<Permit<'_, T>> {
        let pause =
            if fetches.failures == 0 { interval } else { interval.max(retry_after(fetches.failures)) };
        let too_early = fetches.last_fetch.is_some_and(|last| now < last + pause);
        if fetches.fetching || too_early || fetches.is_crowded(now) {
            return None;
        }
        fetches.fetching = true;
        Some(Permit { of: self, done: false })
    }

    fn finish(&self, result: Option<(Arc<T>, Option<Duration>)>, now: Instant) {
        let mut fetches = self.lock();
        fetches.fetching = false;
        fetches.last_fetch = Some(now);
        match result {
            Some((document, max_age)) => {
                let fresh = max_age.unwrap_or(self.fresh_most).clamp(FRESH_LEAST, self.fresh_most);
                let held = Held { document, renew_at: now + fresh / 5 * 4, fresh_until: now + fresh };
                self.held.store(Some(Arc::new(held)));
                fetches.failures = 0;
            }
            None => fetches.failures = fetches.failures.saturating_add(1),
        }
    }

    /// The state is consistent between any two statements here, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetches {
    fn is_crowded(&self, now: Instant) -> bool {
        self.crowded_until.is_some_and(|until| now < until)
    }
}

/// 1, 2, 4, ... seconds, [`RETRY_MOST`] at last.
fn retry_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(5)).min(RETRY_MOST)
}

/// The right and the duty to fetch. Dropped without a document, it counts as a failure, so that a panic blocks nobody.
pub struct Permit<'r, T> {
    of: &'r Refreshed<T>,
    done: bool,
}

impl<T> Permit<'_, T> {
    /// The document came, with the `max-age` of its Cache-Control.
    pub fn fetched(mut self, document: T, max_age: Option<Duration>, now: Instant) -> Arc<T> {
        let document = Arc::new(document);
        self.of.finish(Some((Arc::clone(&document), max_age)), now);
        self.done = true;
        document
    }

    /// It did not.
    pub fn failed(mut self, now: Instant) {
        self.of.finish(None, now);
        self.done = true;
    }

    /// Nobody was asked, since too many were waiting: no failure, and no reason to try again at once.
    pub fn returned(mut self, now: Instant) {
        let mut fetches = self.of.lock();
        fetches.fetching = false;
        fetches.crowded_until = Some(now + CROWDED_INTERVAL);
        drop(fetches);
        self.done = true;
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if !self.done {
            self.of.finish(None, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn filled(now: Instant, max_age: Option<Duration>) -> Refreshed<u32> {
        let document = Refreshed::new(seconds(3600));
        let Lookup::Nothing(permit) = document.look(now) else { panic!() };
        permit.fetched(1, max_age, now);
        document
    }

    fn held(document: &Refreshed<u32>, now: Instant) -> Option<u32> {
        match document.look(now) {
            Lookup::Held(value) => Some(*value),
            _ => None,
        }
    }

    fn fetch_again(document: &Refreshed<u32>, now: Instant) -> Permit<'_, u32> {
        match document.look_again(now) {
            Again::Fetch(permit) => permit,
            _ => panic!("nobody may fetch"),
        }
    }

    #[test]
    fn only_one_fetches() {
        let (document, now) = (Refreshed::<u32>::new(seconds(3600)), Instant::now());
        let Lookup::Nothing(permit) = document.look(now) else { panic!() };
        for _ in 0..10 {
            assert!(matches!(document.look(now), Lookup::Pending));
        }
        permit.fetched(7, None, now);
        assert_eq!(held(&document, now + seconds(3599)), Some(7));
    }

    #[test]
    fn stale_documents_serve_while_one_fetches() {
        let start = Instant::now();
        let document = filled(start, None);
        let later = start + seconds(3600);
        let Lookup::Stale(value, permit) = document.look(later) else { panic!() };
        assert_eq!((*value, held(&document, later)), (1, Some(1)));
        permit.failed(later);
        assert_eq!(held(&document, later), Some(1), "and after it failed");
        let Lookup::Stale(_, permit) = document.look(later + seconds(1)) else { panic!() };
        permit.fetched(2, None, later + seconds(1));
        assert_eq!(held(&document, later + seconds(2)), Some(2));
    }

    #[test]
    fn stale_documents_do_not_serve_for_ever() {
        let start = Instant::now();
        let document = filled(start, None);
        let end = start + seconds(3600) + STALE_MOST;
        assert!(matches!(document.look(end - seconds(1)), Lookup::Stale(..)));
        assert!(matches!(document.look(end + seconds(60)), Lookup::Nothing(_)));
    }

    #[test]
    fn cache_control_counts_within_bounds() {
        let start = Instant::now();
        for (max_age, fresh) in [(0, 30), (10, 30), (300, 300), (1_000_000, 3600)] {
            let document = filled(start, Some(seconds(max_age)));
            assert_eq!(held(&document, start + seconds(fresh - 1)), Some(1), "{max_age}");
            assert!(matches!(document.look(start + seconds(fresh)), Lookup::Stale(..)), "{max_age}");
        }
    }

    #[test]
    fn failures_are_tried_again_after_at_most_30_seconds() {
        let document = Refreshed::<u32>::new(seconds(3600));
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        let Lookup::Nothing(mut permit) = document.look(now) else { panic!() };
        for _ in 0..8 {
            permit.failed(now);
            let failed = now;
            permit = loop {
                now += Duration::from_millis(500);
                if let Lookup::Nothing(permit) = document.look(now) {
                    break permit;
                }
            };
            pauses.push(now.duration_since(failed).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert!(matches!(document.look_again(now), Again::Pending), "nobody knows whether a key exists");
    }

    #[test]
    fn unknown_keys_cause_one_fetch_in_ten_seconds() {
        let start = Instant::now();
        let document = filled(start, None);
        assert!(matches!(document.look_again(start + seconds(9)), Again::Fetched), "it was just fetched");
        let permit = fetch_again(&document, start + seconds(10));
        assert!(matches!(document.look_again(start + seconds(60)), Again::Pending), "one at a time");
        permit.fetched(2, None, start + seconds(11));
        assert!(matches!(document.look_again(start + seconds(20)), Again::Fetched));
        fetch_again(&document, start + seconds(21)).failed(start + seconds(21));
        assert!(matches!(document.look_again(start + seconds(22)), Again::Pending), "nobody knows");
    }

    #[test]
    fn where_too_many_wait_nobody_tries_again_for_a_second() {
        let (empty, mut now) = (Refreshed::<u32>::new(seconds(3600)), Instant::now());
        for _ in 0..3 {
            let Lookup::Nothing(permit) = empty.look(now) else { panic!() };
            permit.returned(now);
            assert!(matches!(empty.look(now + Duration::from_millis(999)), Lookup::Pending));
            assert!(matches!(empty.look_again(now), Again::Pending), "nobody knows");
            assert!(empty.due(now).is_none());
            // the same pause each time: it is no failure
            now += CROWDED_INTERVAL;
        }
        let start = now;
        let document = filled(start, None);
        fetch_again(&document, start + seconds(10)).returned(start + seconds(10));
        let stale = start + seconds(3600);
        let Lookup::Stale(_, permit) = document.look(stale) else { panic!() };
        permit.returned(stale);
        assert_eq!(held(&document, stale), Some(1), "what there is serves");
        assert!(matches!(document.look(stale + CROWDED_INTERVAL), Lookup::Stale(..)));
    }

    #[test]
    fn renewed_before_it_is_stale_by_those_who_have_time() {
        let start = Instant::now();
        let document = filled(start, Some(seconds(100)));
        assert!(document.due(start + seconds(79)).is_none());
        assert!(
            document.peek(start + seconds(99)).is_some() && document.peek(start + seconds(100)).is_none()
        );
        let permit = document.due(start + seconds(80)).unwrap();
        assert!(document.due(start + seconds(80)).is_none(), "one at a time");
        assert_eq!(held(&document, start + seconds(80)), Some(1), "nobody waits");
        permit.fetched(2, None, start + seconds(81));
        assert_eq!(held(&document, start + seconds(101)), Some(2));
        assert!(Refreshed::<u32>::new(seconds(60)).due(start).is_some());
    }

    #[test]
    fn a_fetcher_that_panics_blocks_nobody() {
        let document = Arc::new(Refreshed::<u32>::new(seconds(3600)));
        let other = Arc::clone(&document);
        let panicked = std::thread::spawn(move || {
            let _permit = other.look(Instant::now());
            panic!("while fetching");
        });
        assert!(panicked.join().is_err());
        assert!(matches!(document.look_again(Instant::now()), Again::Pending));
        assert!(matches!(document.look(Instant::now() + seconds(2)), Lookup::Nothing(_)));
    }

    #[test]
    fn many_threads_one_fetch() {
        let document = Arc::new(Refreshed::<u32>::new(seconds(3600)));
        let now = Instant::now();
        let fetches: usize = (0..8)
            .map(|_| {
                let document = Arc::clone(&document);
                std::thread::spawn(move || match document.look(now) {
                    Lookup::Nothing(permit) => {
                        std::thread::sleep(Duration::from_millis(50));
                        permit.fetched(1, None, now);
                        1
                    }
                    _ => 0,
                })
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(fetches, 1);
    }
}
