//! An authorization server that failed a moment ago is not asked. How many may wait for one that does not answer:
//! [`crate::waiting_room`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::refresh::RETRY_MOST;

/// Keeps requests from a server that does not answer: after a failure nobody asks for a while, then one tries.
#[derive(Default)]
pub struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: u32,
    /// Failures in a row.
    failures: u32,
    closed_until: Option<Instant>,
}

impl Gate {
    /// Lets somebody through, or not: all while all is well.
    pub fn enter(&self, now: Instant) -> Option<Pass<'_>> {
        let mut state = self.lock();
        let one_tries = state.failures > 0 && state.waiting > 0;
        if one_tries || state.closed_until.is_some_and(|until| now < until) {
            return None;
        }
        state.waiting += 1;
        Some(Pass { gate: self })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who was let through and may be waiting.
pub struct Pass<'g> {
    gate: &'g Gate,
}

impl Pass<'_> {
    /// The server answered.
    pub fn succeeded(self) {
        let mut state = self.gate.lock();
        state.failures = 0;
        state.closed_until = None;
    }

    /// It did not.
    pub fn failed(self, now: Instant) {
        let mut state = self.gate.lock();
        let pause = Duration::from_secs(1 << state.failures.min(5)).min(RETRY_MOST);
        state.failures = state.failures.saturating_add(1);
        state.closed_until = Some(now + pause);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fails_is_left_alone() {
        let (gate, now) = (Gate::default(), Instant::now());
        let mut passes: Vec<_> = (0..100).filter_map(|_| gate.enter(now)).collect();
        assert_eq!(passes.len(), 100);
        passes.pop().unwrap().failed(now);
        assert!(gate.enter(now).is_none(), "closed");
        let later = now + Duration::from_secs(1);
        assert!(gate.enter(later).is_none(), "others are still waiting");
        drop(passes);
        let probe = gate.enter(later).unwrap();
        assert!(gate.enter(later).is_none(), "one tries");
        probe.failed(later);
        assert!(gate.enter(later + Duration::from_millis(1900)).is_none(), "and the pause grows");
        let probe = gate.enter(later + Duration::from_secs(2)).unwrap();
        probe.succeeded();
        assert_eq!((0..100).filter_map(|_| gate.enter(later)).collect::<Vec<_>>().len(), 100);
    }

    #[test]
    fn pauses_are_bounded() {
        let (gate, mut now) = (Gate::default(), Instant::now());
        for _ in 0..20 {
            gate.enter(now).unwrap().failed(now);
            now += RETRY_MOST;
        }
        assert!(gate.enter(now).is_some());
    }
}
