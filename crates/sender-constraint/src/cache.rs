//! Verdicts that this process remembers: bounded, and as fast full as empty.
//!
//! The cache is set-associative, as processors' caches are. A token's hash picks a set of eight places. Keeping and evicting
//! put a new set in the place of the old one; looking up reads the one that is there. It takes no lock, and writes nothing that
//! other threads look up: not even a reference count, since threads that all look up the same token would wait for each
//! other there (docs/performance.md). Only a thread with more than eight requests open has to count references.
//!
//! The hash is SipHash with a key that nobody outside knows, which costs a tenth of SHA-256; then the whole token is
//! compared. Nobody who does not have the token can find an entry whose comparison he could time.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use zeroize::Zeroizing;

use crate::verdict::VerifierId;

/// Places in a set.
const WAYS: usize = 8;

/// Entries that are larger than this, in octets of token and value, are not kept: it bounds the memory of the cache.
pub const LARGEST_ENTRY: usize = 32 * 1024;

/// Values of one kind, by verifiers and token.
pub struct Cache<V> {
    sets: Box<[ArcSwap<Set<V>>]>,
    hasher: RandomState,
}

/// The entries of a set with their hashes, in the order in which they came. A set never changes: another takes its place.
type Set<V> = Vec<(u64, Arc<Entry<V>>)>;

struct Entry<V> {
    scope: VerifierId,
    token: Zeroizing<Vec<u8>>,
    /// When it was put there. What comes from the future is from before the clock was set back, and would live too long.
    since: i64,
    until: i64,
    /// It was looked up since a place was last wanted. Written once in between, not each time.
    used: AtomicBool,
    value: Arc<V>,
}

/// A value that a cache has or could have. It stays as long as this, even if the cache forgets it; so do the others of its set.
pub struct Kept<V>(Hold<V>);

enum Hold<V> {
    Found { set: Guard<Arc<Set<V>>>, at: usize },
    New(Arc<V>),
}

impl<V> From<Arc<V>> for Kept<V> {
    fn from(value: Arc<V>) -> Self {
        Self(Hold::New(value))
    }
}

impl<V> Deref for Kept<V> {
    type Target = V;

    #[allow(clippy::indexing_slicing)] // it was found there, and sets never change
    fn deref(&self) -> &V {
        match &self.0 {
            Hold::Found { set, at } => &set[*at].1.value,
            Hold::New(value) => value,
        }
    }
}

impl<V> Cache<V> {
    /// A cache of about this many entries. Memory for them is taken as they come.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let sets = capacity.div_ceil(WAYS).max(1).next_power_of_two();
        let empty = Arc::default();
        let set = || ArcSwap::new(Arc::clone(&empty));
        Self { sets: (0..sets).map(|_| set()).collect(), hasher: RandomState::new() }
    }

    /// What is remembered of this token by these verifiers at this time, if `fits` says that it is what is wanted.
    pub fn get(
        &self,
        scope: &VerifierId,
        token: &[u8],
        now: i64,
        fits: impl Fn(&V) -> bool,
    ) -> Option<Kept<V>> {
        let hash = self.hash(scope, token);
        let set = self.set(hash)?.load();
        let at = set.iter().position(|(other, entry)| {
            *other == hash && entry.is(scope, token) && entry.is_current(now) && fits(&entry.value)
        })?;
        set.get(at)?.1.use_it();
        Some(Kept(Hold::Found { set, at }))
    }

    /// Remembers a value until a time, in place of one that is over or was not used lately. `size`: of the value.
    pub fn put(&self, scope: &VerifierId, token: &[u8], until: i64, now: i64, value: Arc<V>, size: usize) {
        if until <= now || size.saturating_add(token.len()) > LARGEST_ENTRY {
            return;
        }
        let hash = self.hash(scope, token);
        let token = Zeroizing::new(token.to_vec());
        let entry = Entry { scope: *scope, token, since: now, until, used: AtomicBool::new(false), value };
        let entry = Arc::new(entry);
        let Some(set) = self.set(hash) else { return };
        let before = set.rcu(|set| {
            let evicted = (set.len() >= WAYS).then(|| victim(set, now));
            let stay = set.iter().enumerate().filter(|(at, _)| Some(*at) != evicted).map(|(_, entry)| entry);
            stay.cloned().chain([(hash, Arc::clone(&entry))]).collect::<Set<V>>()
        });
        if before.len() >= WAYS {
            pass_over(&before);
        }
    }

    /// How many entries there are, over or not. Looks at every set: for tests and for a status page.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.iter().map(|set| set.load().len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hash(&self, scope: &VerifierId, token: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(scope.as_bytes());
        hasher.write(token);
        hasher.finish()
    }

    fn set(&self, hash: u64) -> Option<&ArcSwap<Set<V>>> {
        let mask = u64::try_from(self.sets.len()).ok()?.checked_sub(1)?;
        self.sets.get(usize::try_from(hash & mask).ok()?)
    }
}

/// Which entry goes: one that is over; else the oldest that was not used since it was last passed over; else the oldest.
fn victim<V>(set: &Set<V>, now: i64) -> usize {
    let over = set.iter().position(|(_, entry)| !entry.is_current(now));
    over.or_else(|| set.iter().position(|(_, entry)| !entry.is_used())).unwrap_or(0)
}

/// Those that stayed because they were used have to be used again until the next time.
fn pass_over<V>(set: &Set<V>) {
    let used = set.iter().take_while(|(_, entry)| entry.is_used());
    used.for_each(|(_, entry)| entry.used.store(false, Ordering::Relaxed));
}

impl<V> Entry<V> {
    fn is(&self, scope: &VerifierId, token: &[u8]) -> bool {
        self.scope == *scope && self.token.as_slice() == token
    }

    fn is_current(&self, now: i64) -> bool {
        (self.since..self.until).contains(&now)
    }

    fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn use_it(&self) {
        if !self.is_used() {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn scope(name: &str) -> VerifierId {
        VerifierId::of([name.as_bytes()])
    }

    fn get(cache: &Cache<u32>, scope: &VerifierId, token: &str, now: i64) -> Option<u32> {
        cache.get(scope, token.as_bytes(), now, |_| true).map(|value| *value)
    }

    fn put(cache: &Cache<u32>, scope: &VerifierId, token: &str, until: i64, value: u32) {
        cache.put(scope, token.as_bytes(), until, 0, Arc::new(value), 4);
    }

    #[test]
    fn a_verdict_belongs_to_its_verifiers_and_its_time() {
        let (cache, one, two) = (Cache::new(100), scope("one"), scope("two"));
        put(&cache, &one, "token", 100, 1);
        assert_eq!(get(&cache, &one, "token", 99), Some(1));
        assert_eq!(get(&cache, &one, "token", 100), None, "never past its time");
        assert_eq!(get(&cache, &two, "token", 0), None, "never for other verifiers");
        assert_eq!(get(&cache, &one, "tokem", 0), None);
        assert_eq!(get(&cache, &one, "toke", 0), None);
        put(&cache, &two, "token", 100, 2);
        assert_eq!((get(&cache, &one, "token", 0), get(&cache, &two, "token", 0)), (Some(1), Some(2)));
        assert!(cache.get(&one, b"token", 0, |value| *value == 9).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_lengthens_nothing() {
        let (cache, x) = (Cache::new(100), scope("x"));
        cache.put(&x, b"token", 1300, 1000, Arc::new(1), 4);
        assert_eq!(get(&cache, &x, "token", 1000), Some(1));
        assert_eq!(get(&cache, &x, "token", 999), None);
    }

    #[test]
    fn bounded_in_number_and_size() {
        let cache = Cache::new(64);
        for number in 0..10_000 {
            put(&cache, &scope("x"), &number.to_string(), 100, number);
        }
        assert!(cache.len() <= 64);
        let big = "t".repeat(LARGEST_ENTRY);
        put(&cache, &scope("x"), &big, 100, 1);
        assert_eq!(get(&cache, &scope("x"), &big, 0), None);
        put(&cache, &scope("x"), "over", 0, 1);
        assert_eq!(get(&cache, &scope("x"), "over", -1), None);
        assert!(Cache::<u32>::new(0).is_empty());
    }

    #[test]
    fn what_is_used_stays_and_what_is_over_goes_first() {
        let (cache, x) = (Cache::new(1), scope("x"));
        for number in 0..8 {
            put(&cache, &x, &number.to_string(), if number == 5 { 10 } else { 100 }, number);
        }
        assert_eq!(get(&cache, &x, "0", 0), Some(0));
        cache.put(&x, b"new", 100, 50, Arc::new(8), 4);
        assert_eq!(cache.len(), 8);
        assert_eq!(get(&cache, &x, "1", 50), Some(1), "5 was over");
        for number in 10..16 {
            put(&cache, &x, &number.to_string(), 100, number);
            assert_eq!(get(&cache, &x, "0", 50), Some(0));
        }
    }

    #[test]
    fn what_was_used_long_ago_does_not_stay_for_ever() {
        let (cache, x) = (Cache::new(1), scope("x"));
        let present = || -> Vec<u32> {
            let set = cache.sets[0].load();
            set.iter().map(|(_, entry)| *entry.value).collect()
        };
        for number in 0..8 {
            put(&cache, &x, &number.to_string(), 100, number);
            assert_eq!(get(&cache, &x, &number.to_string(), 0), Some(number));
        }
        put(&cache, &x, "8", 100, 8);
        assert_eq!(present(), [1, 2, 3, 4, 5, 6, 7, 8], "all were used: the oldest goes");
        for number in 1..4 {
            get(&cache, &x, &number.to_string(), 0);
        }
        put(&cache, &x, "9", 100, 9);
        assert_eq!(present(), [1, 2, 3, 5, 6, 7, 8, 9], "the oldest that was not used since");
    }

    #[test]
    fn threads() {
        let cache = Arc::new(Cache::new(256));
        let threads: Vec<_> = (0..4u32)
            .map(|thread| {
                let cache = Arc::clone(&cache);
                std::thread::spawn(move || {
                    for number in 0..5_000u32 {
                        let token = (number % 300).to_string();
                        put(&cache, &scope("x"), &token, 100, number % 300);
                        let found = get(&cache, &scope("x"), &(number * 7 % 300).to_string(), thread.into());
                        assert!(found.is_none_or(|found| found == number * 7 % 300));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    proptest! {
        /// What comes out was put in: for that token, those verifiers, and not too late.
        #[test]
        fn never_a_wrong_answer(steps in proptest::collection::vec((0u32..40, 0u32..3, 0i64..20, any::<bool>()), 0..200)) {
            let cache = Cache::new(16);
            let mut model = HashMap::new();
            for (value, (token, scope_number, time, is_put)) in (0u32..).zip(steps) {
                let scope = scope(&scope_number.to_string());
                if is_put {
                    put(&cache, &scope, &token.to_string(), time, value);
                    if time > 0 {
                        model.entry((token, scope_number)).or_insert_with(Vec::new).push((value, time));
                    }
                } else if let Some(found) = get(&cache, &scope, &token.to_string(), time) {
                    let known = model.get(&(token, scope_number)).cloned().unwrap_or_default();
                    prop_assert!(known.iter().any(|(value, until)| *value == found && time < *until));
                }
            }
        }
    }
}
