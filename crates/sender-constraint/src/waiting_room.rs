//! How many workers of the whole server may wait for authorization servers at the same time.
//!
//! A [`crate::gate::Gate`] knows one process. Where a process is one worker, as under prefork, each would let its own one
//! through, and all would wait. So whoever is about to wait takes a place first, in memory that all processes share.

use std::sync::atomic::{AtomicU64, Ordering};

use openssl::sha::Sha256;

use crate::exchange::Endpoint;

/// No more than this wait at the same time, however many workers the server has.
pub const PLACES: usize = 1024;

/// Somebody who waits for longer than the time limit, by so many milliseconds, is not there any more.
const GRACE: u64 = 1000;

/// What a place holds: until when it is taken (milliseconds), above these bits; below, for which server.
const SERVER_BITS: u32 = 16;

/// The places, in memory that all processes share. Zeros are an empty waiting room.
///
/// Nobody clears up after a process that was killed: what it took is free again when its time is over.
pub struct Places([AtomicU64; PLACES]);

impl Default for Places {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }
}

/// The places as they are for somebody who is about to wait.
#[derive(Clone, Copy)]
pub struct WaitingRoom<'p> {
    /// In memory that all processes share.
    pub places: &'p Places,
    /// How many workers the server may have, in all processes together.
    pub workers: usize,
    /// The time, in milliseconds of a clock that nobody sets and that all processes read alike.
    pub now: u64,
}

impl<'p> WaitingRoom<'p> {
    /// Takes a place for as long as an exchange with this endpoint may last, if there is one.
    ///
    /// One may always wait. Otherwise no more may wait for one authorization server than there are workers that wait for
    /// none: half of them while one server hangs. A second one that hangs gets half of the others, so that none closes
    /// the door to the next, and some workers are always left.
    #[must_use]
    pub fn enter(&self, endpoint: &Endpoint) -> Option<Place<'p>> {
        let server = server(&endpoint.url);
        let (own, all) = self.waiting(server);
        if !self.has_room(own + 1, all + 1) {
            return None;
        }
        let limit = u64::try_from(endpoint.timeout.as_millis()).unwrap_or(u64::MAX).saturating_add(GRACE);
        let until = self.now.saturating_add(limit).min(u64::MAX >> SERVER_BITS);
        let taken = until << SERVER_BITS | server;
        let take = |place: &&AtomicU64| {
            let held = place.load(Ordering::SeqCst);
            let free = !is_taken(held, self.now);
            free && place.compare_exchange(held, taken, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        let place = Place { place: self.places.0.iter().find(take)?, taken };
        // Of those who come in at the same moment, the last one sees all others. Better that two go than that one too many
        // stays.
        let (own, all) = self.waiting(server);
        self.has_room(own, all).then_some(place)
    }

    fn has_room(&self, own: usize, all: usize) -> bool {
        all <= 1 || own + all <= self.workers.min(PLACES)
    }

    /// How many wait for this server, and for any.
    fn waiting(&self, server: u64) -> (usize, usize) {
        let held = self.places.0.iter().map(|place| place.load(Ordering::SeqCst));
        held.filter(|held| is_taken(*held, self.now)).fold((0, 0), |(own, all), held| {
            let is_own = held & ((1 << SERVER_BITS) - 1) == server;
            (own + usize::from(is_own), all + 1)
        })
    }
}

const fn is_taken(held: u64, now: u64) -> bool {
    held >> SERVER_BITS > now
}

/// Which authorization server a URL leads to: scheme, host and port, as a number. What follows may be of a token's making, as
/// with the keys of a load balancer, and all of a server hangs together.
fn server(url: &str) -> u64 {
    let mut hash = Sha256::new();
    // "https:", "", "as.example.org:8443"
    url.split(['/', '?', '#']).take(3).for_each(|part| hash.update(part.as_bytes()));
    let [first, second, ..] = hash.finish();
    u64::from(u16::from_be_bytes([first, second]))
}

/// A place that is taken until it is dropped.
#[must_use]
pub struct Place<'p> {
    place: &'p AtomicU64,
    taken: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Whoever came late may find that the place is somebody else's.
        let _ = self.place.compare_exchange(self.taken, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    const NOW: u64 = 5_000_000;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint {
            url: url.to_owned(),
            verify_tls: true,
            ca_file: None,
            client_certificate: None,
            proxy: None,
            timeout: Duration::from_secs(5),
        }
    }

    /// Those of a hundred who get in.
    fn crowd<'p>(places: &'p Places, workers: usize, url: &str, now: u64) -> Vec<Place<'p>> {
        let (room, endpoint) = (WaitingRoom { places, workers, now }, endpoint(url));
        (0..100).filter_map(|_| room.enter(&endpoint)).collect()
    }

    #[test]
    fn half_of_the_workers_wait_for_one_server() {
        for (workers, waiting) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (16, 8), (150, 75), (5000, 100)] {
            let places = Places::default();
            let waiters = crowd(&places, workers, "https://as/introspect", NOW);
            assert_eq!(waiters.len(), waiting, "{workers}");
            drop(waiters);
            assert_eq!(crowd(&places, workers, "https://as/introspect", NOW).len(), waiting, "{workers}");
        }
    }

    #[test]
    fn a_server_that_hangs_leaves_room_for_another() {
        let places = Places::default();
        let hangs = crowd(&places, 16, "https://one/introspect?x", NOW);
        let elsewhere = ["https://one/", "https://one?jwks", "https://one#", "https://one/keys/4711"];
        assert!(elsewhere.iter().all(|url| crowd(&places, 16, url, NOW).is_empty()), "all of it hangs");
        let second = crowd(&places, 16, "https://one:8443/introspect", NOW);
        let third = crowd(&places, 16, "http://one/introspect", NOW);
        assert_eq!((hangs.len(), second.len(), third.len()), (8, 4, 2));
        let others: Vec<_> =
            (0..100).flat_map(|n| crowd(&places, 16, &format!("https://{n}/"), NOW)).collect();
        assert_eq!(others.len(), 1, "one worker waits for nobody");
    }

    #[test]
    fn whoever_does_not_leave_is_gone_when_the_time_is_over() {
        let places = Places::default();
        let killed = crowd(&places, 16, "https://as/", NOW);
        assert_eq!(killed.len(), 8);
        assert!(crowd(&places, 16, "https://as/", NOW + 5999).is_empty());
        let next = crowd(&places, 16, "https://as/", NOW + 6000);
        assert_eq!(next.len(), 8);
        // One of them was not killed but late: it takes nobody's place away.
        drop(killed);
        assert!(crowd(&places, 16, "https://as/", NOW + 6000).is_empty());
    }

    #[test]
    fn places_are_bounded() {
        let places = Places::default();
        let room = WaitingRoom { places: &places, workers: usize::MAX, now: NOW };
        let endpoint = Endpoint { timeout: Duration::MAX, ..endpoint("https://as/") };
        assert_eq!((0..2 * PLACES).filter_map(|_| room.enter(&endpoint)).map(std::mem::forget).count(), 512);
        assert!(
            WaitingRoom { now: 1 << 46, ..room }.enter(&endpoint).is_none(),
            "a long time is no short one"
        );
    }

    #[test]
    fn never_more_than_may_wait_whoever_comes_when() {
        let (places, inside, most) = (Places::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let endpoint = endpoint("https://as/");
                    for _ in 0..2000 {
                        let room = WaitingRoom { places: &places, workers: 8, now: NOW };
                        let Some(place) = room.enter(&endpoint) else { continue };
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!((1..=4).contains(&most), "{most}");
        assert_eq!(crowd(&places, 8, "https://as/", NOW).len(), 4, "all have left");
    }
}
