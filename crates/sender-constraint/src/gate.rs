//! How many requests may wait for an authorization server at the same time, in one process. Of all processes together:
//! [`crate::waiting_room`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::refresh::RETRY_MOST;

/// No more than this may wait in one process, however many threads it has.
pub const WAITING_MOST: u32 = 32;

/// Keeps a server that hangs from taking all workers with it: after a failure nobody asks for a while, then one tries.
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
    /// Lets somebody through, or not. While all is well, `most` may wait at the same time.
    pub fn enter(&self, now: Instant, most: u32) -> Option<Pass<'_>> {
        let mut state = self.lock();
        let most = if state.failures == 0 { most.clamp(1, WAITING_MOST) } else { 1 };
        if state.waiting >= most || state.closed_until.is_some_and(|until| now < until) {
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
    fn a_server_that_hangs_takes_few_with_it() {
        let (gate, now) = (Gate::default(), Instant::now());
        let passes: Vec<_> = (0..100).filter_map(|_| gate.enter(now, 12)).collect();
        assert_eq!(passes.len(), 12);
        let mut passes = passes.into_iter();
        passes.next().unwrap().failed(now);
        assert!(gate.enter(now, 12).is_none(), "closed");
        drop(passes);
        let later = now + Duration::from_secs(1);
        let probe = gate.enter(later, 12).unwrap();
        assert!(gate.enter(later, 12).is_none(), "one tries");
        probe.failed(later);
        assert!(gate.enter(later + Duration::from_millis(1900), 12).is_none(), "and the pause grows");
        let probe = gate.enter(later + Duration::from_secs(2), 12).unwrap();
        probe.succeeded();
        for (most, through) in [(12, 12), (0, 1), (1000, 32)] {
            let passes = (0..100).filter_map(|_| gate.enter(later, most)).collect::<Vec<_>>();
            assert_eq!(passes.len(), through, "{most}");
        }
    }

    #[test]
    fn pauses_are_bounded() {
        let (gate, mut now) = (Gate::default(), Instant::now());
        for _ in 0..20 {
            gate.enter(now, 12).unwrap().failed(now);
            now += RETRY_MOST;
        }
        assert!(gate.enter(now, 12).is_some());
    }
}
