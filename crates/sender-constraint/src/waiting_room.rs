//! How many workers may wait for authorization servers at the same time.
//!
//! Whoever is about to wait takes a place first: one among those of its process, whose connections no other process serves,
//! and one in memory that all processes share, since a process may be a single worker, as under prefork.

use std::sync::atomic::{AtomicU64, Ordering};

use openssl::sha::Sha256;

use crate::exchange::Endpoint;

/// No more than this wait at the same time, however many workers the server has.
pub const PLACES: usize = 1024;

/// No more than this wait at the same time in one process, however many threads it has.
pub const PLACES_OF_A_PROCESS: usize = 64;

/// Somebody who waits for longer than the time limit, by so many milliseconds, is not there any more.
const GRACE: u64 = 1000;

/// Those who took the last place at the same moment all give it back, and try so many times again.
const AGAIN: usize = 3;

/// What a place holds: until when it is taken (milliseconds), above these bits; below, for which server.
const SERVER_BITS: u32 = 16;

/// The places of all processes, in memory that they share, or those of one. Zeros are an empty waiting room.
///
/// Nobody clears up after a process that was killed: what it took is free again when its time is over.
pub struct Places<const N: usize = PLACES>([AtomicU64; N]);

impl<const N: usize> Default for Places<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Places<N> {
    /// As they are for somebody who is about to wait, where so many workers are at most; no waiting room where nobody
    /// knows how many. The time is in milliseconds, of a clock that nobody sets and that all who share the places read alike.
    #[must_use]
    pub fn room(&self, workers: usize, now: u64) -> Option<WaitingRoom<'_>> {
        (workers > 0).then_some(WaitingRoom { places: &self.0, workers, now })
    }
}

/// The places as they are for somebody who is about to wait.
#[derive(Clone, Copy)]
pub struct WaitingRoom<'p> {
    places: &'p [AtomicU64],
    workers: usize,
    now: u64,
}

impl<'p> WaitingRoom<'p> {
    /// Takes a place for as long as an exchange with this endpoint may last, if there is one.
    ///
    /// One may always wait, for whichever server. Otherwise no more may wait for one authorization server than there are
    /// workers that wait for none: half of them while one server hangs. A second one that hangs gets half of the others, so
    /// that none closes the door to the next, and some workers are always left.
    #[must_use]
    pub fn enter(&self, endpoint: &Endpoint) -> Option<Place<'p>> {
        let server = server(endpoint);
        let limit = u64::try_from(endpoint.timeout.as_millis()).unwrap_or(u64::MAX).saturating_add(GRACE);
        let until = self.now.saturating_add(limit).min(u64::MAX >> SERVER_BITS);
        let taken = until << SERVER_BITS | server;
        let take = |place: &&AtomicU64| {
            let held = place.load(Ordering::SeqCst);
            let free = !is_taken(held, self.now);
            free && place.compare_exchange(held, taken, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        for _ in 0..=AGAIN {
            let (own, all) = self.waiting(server);
            if !self.has_room(own + 1, all + 1) {
                return None;
            }
            let place = Place { place: self.places.iter().find(take)?, taken };
            // Of those who come in at the same moment, the last one sees all others. Better that two go than that one too
            // many stays.
            let (own, all) = self.waiting(server);
            if self.has_room(own, all) {
                return Some(place);
            }
            drop(place);
            std::thread::yield_now();
        }
        None
    }

    fn has_room(&self, own: usize, all: usize) -> bool {
        all <= 1 || own + all <= self.workers.min(self.places.len())
    }

    /// How many wait for this server, and for any.
    fn waiting(&self, server: u64) -> (usize, usize) {
        let held = self.places.iter().map(|place| place.load(Ordering::SeqCst));
        held.filter(|held| is_taken(*held, self.now)).fold((0, 0), |(own, all), held| {
            let is_own = held & ((1 << SERVER_BITS) - 1) == server;
            (own + usize::from(is_own), all + 1)
        })
    }
}

const fn is_taken(held: u64, now: u64) -> bool {
    held >> SERVER_BITS > now
}

/// Which server hangs when an exchange with this endpoint does: scheme, host and port, as a number. What follows may be of a
/// token's making, as with the keys of a load balancer, and all of a server hangs together. With a proxy it is the proxy.
fn server(endpoint: &Endpoint) -> u64 {
    let url = endpoint.proxy.as_deref().unwrap_or(&endpoint.url).to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
    // libcurl's default ports
    let default = match (scheme, &endpoint.proxy) {
        ("https", _) => ":443",
        (_, Some(_)) => ":1080",
        (_, None) => ":80",
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let host = authority.strip_suffix(default).unwrap_or(authority);
    let mut hash = Sha256::new();
    [scheme, default, host].iter().for_each(|part| hash.update(part.as_bytes()));
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
        let (room, endpoint) = (places.room(workers, now).unwrap(), endpoint(url));
        (0..100).filter_map(|_| room.enter(&endpoint)).collect()
    }

    #[test]
    fn half_of_the_workers_wait_for_one_server() {
        for (workers, waiting) in [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8), (150, 75), (5000, 100)] {
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
        let places = <Places>::default();
        let room = places.room(usize::MAX, NOW).unwrap();
        let endpoint = Endpoint { timeout: Duration::MAX, ..endpoint("https://as/") };
        assert_eq!((0..2 * PLACES).filter_map(|_| room.enter(&endpoint)).map(std::mem::forget).count(), 512);
        assert!(
            WaitingRoom { now: 1 << 46, ..room }.enter(&endpoint).is_none(),
            "a long time is no short one"
        );
        let of_a_process = Places::<PLACES_OF_A_PROCESS>::default();
        let room = of_a_process.room(1000, NOW).unwrap();
        assert_eq!((0..100).filter_map(|_| room.enter(&endpoint)).map(std::mem::forget).count(), 32);
    }

    #[test]
    fn no_waiting_room_where_nobody_knows_how_many_workers_there_are() {
        assert!(Places::<1>::default().room(0, NOW).is_none());
    }

    #[test]
    fn one_server_is_one_however_it_is_written() {
        let number = |url: &str, proxy: Option<&str>| {
            server(&Endpoint { proxy: proxy.map(str::to_owned), ..endpoint(url) })
        };
        let direct = number("https://as.example/introspect", None);
        for url in ["https://AS.example", "HTTPS://as.Example:443/jwks", "https://as.example:443?x"] {
            assert_eq!(number(url, None), direct, "{url}");
        }
        assert_eq!(number("http://[::1]:80/", None), number("http://[::1]/", None));
        for other in
            ["http://as.example", "https://as.example:80", "https://as.example:8443", "https://as2.example"]
        {
            assert_ne!(number(other, None), direct, "{other}");
        }
        let proxied = number("https://as.example/", Some("proxy:1080"));
        assert_ne!(proxied, direct);
        for proxy in ["PROXY", "http://proxy/", "http://user:password@proxy:1080"] {
            assert_eq!(
                number("https://other.example/", Some(proxy)),
                proxied,
                "{proxy}: it is the one that hangs"
            );
        }
        for proxy in ["proxy:3128", "https://proxy", "proxy:80"] {
            assert_ne!(number("https://as.example/", Some(proxy)), proxied, "{proxy}");
        }
    }

    #[test]
    fn of_those_who_come_together_for_the_last_place_one_gets_it() {
        const ROUNDS: usize = 200;
        let (places, arrived, winners) = (Places::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let together = |number| {
            arrived.fetch_add(1, Ordering::SeqCst);
            // Whoever yields here comes after the other, on the same core.
            while arrived.load(Ordering::SeqCst) < 2 * number {
                std::hint::spin_loop();
            }
        };
        let _others = crowd(&places, 14, "https://as/", NOW).split_off(1);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let (room, endpoint) = (places.room(14, NOW).unwrap(), endpoint("https://as/"));
                    for round in 0..ROUNDS {
                        together(2 * round + 1);
                        let place = room.enter(&endpoint);
                        winners.fetch_add(usize::from(place.is_some()), Ordering::SeqCst);
                        together(2 * round + 2);
                    }
                });
            }
        });
        // Four times in a row at the very same moment is not impossible.
        let winners = winners.into_inner();
        assert!((ROUNDS - 2..=ROUNDS).contains(&winners), "{winners}");
    }

    #[test]
    fn never_more_than_may_wait_whoever_comes_when() {
        let (places, inside, most) = (<Places>::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let endpoint = endpoint("https://as/");
                    for _ in 0..2000 {
                        let room = places.room(8, NOW).unwrap();
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
