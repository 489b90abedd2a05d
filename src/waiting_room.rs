//! What `sender_constraint::waiting_room` needs of this server: memory, a clock, the number of workers.

use std::ffi::c_int;

use sender_constraint::waiting_room::Places;

use crate::ffi;
use crate::shared_memory::Shared;

// SAFETY: atomics, for which zero is a value.
unsafe impl Shared for Places {
    const NAME: &str = "waiting room";
}

/// How many workers this server may have, in all processes together.
pub(crate) fn workers() -> usize {
    most(ffi::AP_MPMQ_MAX_DAEMONS).saturating_mul(most(ffi::AP_MPMQ_MAX_THREADS))
}

/// How many threads of one process serve requests.
pub(crate) fn threads() -> usize {
    most(ffi::AP_MPMQ_MAX_THREADS)
}

/// What the MPM says of its limits; zero where it says nothing.
fn most(limit: c_int) -> usize {
    let mut most = 0;
    // SAFETY: writes the answer, where the MPM has one.
    unsafe { ffi::ap_mpm_query(limit, &raw mut most) };
    usize::try_from(most).unwrap_or(0)
}

/// Milliseconds of the clock that nobody sets, which is the same one in all processes.
pub(crate) fn milliseconds() -> u64 {
    let mut time = ffi::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time. Every system of ours has this clock.
    unsafe { ffi::clock_gettime(ffi::CLOCK_MONOTONIC, &raw mut time) };
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1000).saturating_add(nanoseconds.unwrap_or(0) / 1_000_000)
}
