//! Verdicts that this process remembers: bounded, without a lock that all threads share, and as fast full as empty.
//!
//! The cache is set-associative, as processors' caches are. A token's hash picks a set of eight places; each set has its
//! own lock. Looking up, keeping and evicting touch one set, whatever the size of the cache.
//!
//! The hash is SipHash with a key that nobody outside knows, which costs a tenth of SHA-256; then the whole token is
//! compared. Nobody who does not have the token can find an entry whose comparison he could time.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::verdict::VerifierId;

/// Places in a set.
const WAYS: usize = 8;

/// Entries that are larger than this, in octets of token and value, are not kept: it bounds the memory of the cache.
pub const LARGEST_ENTRY: usize = 32 * 1024;

/// Values of one kind, by verifiers and token.
pub struct Cache<V> {
    sets: Box<[Mutex<Set<V>>]>,
    hasher: RandomState,
}

/// On cache lines of its own, so that two threads in neighbouring sets do not disturb each other.
#[repr(align(64))]
struct Set<V> {
    entries: Vec<Entry<V>>,
    /// Counts lookups, to find the entry that was not used for longest.
    clock: u64,
}

struct Entry<V> {
    hash: u64,
    scope: VerifierId,
    token: Zeroizing<Vec<u8>>,
    /// When it was put there. What comes from the future is from before the clock was set back, and would live too long.
    since: i64,
    until: i64,
    used: u64,
    value: Arc<V>,
}

impl<V> Cache<V> {
    /// A cache of about this many entries. Memory for them is taken as they come.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let sets = capacity.div_ceil(WAYS).max(1).next_power_of_two();
        let set = || Mutex::new(Set { entries: Vec::new(), clock: 0 });
        Self { sets: (0..sets).map(|_| set()).collect(), hasher: RandomState::new() }
    }

    /// What is remembered of this token by these verifiers at this time, if `fits` says that it is what is wanted.
    pub fn get(
        &self,
        scope: &VerifierId,
        token: &[u8],
        now: i64,
        fits: impl Fn(&V) -> bool,
    ) -> Option<Arc<V>> {
        let hash = self.hash(scope, token);
        let mut set = self.lock(hash)?;
        set.clock += 1;
        let clock = set.clock;
        let entry = set
            .entries
            .iter_mut()
            .find(|entry| entry.is(hash, scope, token) && entry.is_current(now) && fits(&entry.value))?;
        entry.used = clock;
        Some(Arc::clone(&entry.value))
    }

    /// Remembers a value until a time, in place of one that is over or was not used for longest. `size`: of the value.
    pub fn put(&self, scope: &VerifierId, token: &[u8], until: i64, now: i64, value: Arc<V>, size: usize) {
        if until <= now || size.saturating_add(token.len()) > LARGEST_ENTRY {
            return;
        }
        let hash = self.hash(scope, token);
        let token = Zeroizing::new(token.to_vec());
        let Some(mut set) = self.lock(hash) else { return };
        set.clock += 1;
        let entry = Entry { hash, scope: *scope, token, since: now, until, used: set.clock, value };
        if set.entries.len() < WAYS {
            set.entries.push(entry);
            return;
        }
        let oldest =
            set.entries.iter_mut().min_by_key(|entry| if entry.is_current(now) { entry.used } else { 0 });
        let evicted = oldest.map(|place| std::mem::replace(place, entry));
        drop(set);
        // taking claims apart needs no lock
        drop(evicted);
    }

    /// How many entries there are, over or not. Looks at every set: for tests and for a status page.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.iter().map(|set| set.lock().unwrap_or_else(PoisonError::into_inner).entries.len()).sum()
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

    /// No statement leaves a set half changed, so a panic elsewhere spoils nothing.
    fn lock(&self, hash: u64) -> Option<MutexGuard<'_, Set<V>>> {
        let mask = u64::try_from(self.sets.len()).ok()?.checked_sub(1)?;
        let set = self.sets.get(usize::try_from(hash & mask).ok()?)?;
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<V> Entry<V> {
    fn is(&self, hash: u64, scope: &VerifierId, token: &[u8]) -> bool {
        self.hash == hash && self.scope == *scope && self.token.as_slice() == token
    }

    fn is_current(&self, now: i64) -> bool {
        (self.since..self.until).contains(&now)
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
