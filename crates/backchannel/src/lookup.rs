//! Addresses of host names, within a time limit.
//!
//! The system's resolver has limits of its own (10 s where a name server does not answer) that nobody can shorten from
//! outside, and libcurl waits for it whatever its own limit says. So a thread asks, which ends with the resolver, and the
//! caller waits for it as long as it likes. libcurl would start the same thread: here it is one per name, not one per request.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Names and their addresses, remembered for a minute, as libcurl would.
#[derive(Default)]
pub struct Lookup {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    names: Mutex<HashMap<String, State>>,
    changed: Condvar,
}

enum State {
    /// A thread asks.
    Running,
    Known {
        addresses: Vec<IpAddr>,
        since: Instant,
    },
    /// For those who wait; the next one asks again.
    Failed(String),
}

impl Lookup {
    const REMEMBERED: Duration = Duration::from_secs(60);

    /// The addresses of a host name, in the system's order of preference.
    ///
    /// # Errors
    /// Of kind `TimedOut` where `deadline` passed; otherwise what the resolver says.
    pub fn addresses(&self, host: &str, deadline: Instant) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let mut names = self.shared.names();
        if !names.get(host).is_some_and(State::is_useful) {
            names.insert(host.to_owned(), State::Running);
            if let Err(error) = self.start(host) {
                names.remove(host);
                return Err(error);
            }
        }
        loop {
            match names.get(host) {
                Some(State::Known { addresses, .. }) => return Ok(addresses.clone()),
                Some(State::Failed(reason)) => return Err(io::Error::other(reason.clone())),
                Some(State::Running) | None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            names = self.shared.changed.wait_timeout(names, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn start(&self, host: &str) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let host = host.to_owned();
        let asks = move || {
            let state = ask(&host);
            shared.names().insert(host, state);
            shared.changed.notify_all();
        };
        thread::Builder::new().name("name lookup".to_owned()).spawn(asks).map(drop)
    }
}

impl Shared {
    fn names(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether to wait for it, or use it, and not to ask anew.
    fn is_useful(&self) -> bool {
        match self {
            Self::Running => true,
            Self::Known { since, .. } => since.elapsed() < Lookup::REMEMBERED,
            Self::Failed(_) => false,
        }
    }
}

fn ask(host: &str) -> State {
    match (host, 0).to_socket_addrs() {
        Ok(found) => {
            State::Known { addresses: found.map(|address| address.ip()).collect(), since: Instant::now() }
        }
        Err(error) => State::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn an_address_is_its_own_answer() {
        let lookup = Lookup::default();
        assert_eq!(
            lookup.addresses("192.0.2.1", Instant::now()).unwrap(),
            ["192.0.2.1".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(lookup.addresses("::1", Instant::now()).unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_name_is_asked_for_once_and_remembered() {
        let lookup = Lookup::default();
        let found = lookup.addresses("localhost", soon()).unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
        // No time to ask again.
        assert_eq!(lookup.addresses("localhost", Instant::now()).unwrap(), found);
    }

    #[test]
    fn who_waits_stops_at_the_deadline_and_leaves_one_thread() {
        let lookup = Lookup::default();
        lookup.shared.names().insert("slow.test".to_owned(), State::Running);
        let start = Instant::now();
        let error = lookup.addresses("slow.test", start + Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_failure_is_told_and_the_next_one_asks_again() {
        let lookup = Lookup::default();
        // Refused before anybody is asked.
        let name = "a\0b";
        assert!(lookup.addresses(name, soon()).is_err());
        assert!(!lookup.shared.names().get(name).unwrap().is_useful());
        assert!(lookup.addresses(name, soon()).is_err());
    }

    #[test]
    fn what_is_older_than_a_minute_is_asked_for_again() {
        let lookup = Lookup::default();
        let since = Instant::now().checked_sub(Lookup::REMEMBERED).unwrap();
        let stale = State::Known { addresses: vec!["192.0.2.1".parse().unwrap()], since };
        lookup.shared.names().insert("localhost".to_owned(), stale);
        assert!(lookup.addresses("localhost", soon()).unwrap().iter().all(IpAddr::is_loopback));
    }
}
