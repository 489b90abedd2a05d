//! Memory that all processes of one server generation share: made by the parent, inherited by fork.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ffi;

/// A value that lives in memory shared by all child processes.
///
/// # Safety
/// All zero octets are a valid value, it needs no destructor, and it is changed through atomics only.
pub(crate) unsafe trait Shared: Sync {}

/// Places a zeroed `T` in shared memory that lives as long as `pool`; None where the system has none to give.
///
/// # Safety
/// Called in the parent, before the children are forked, with a live pool that outlives `'s`.
pub(crate) unsafe fn create<'s, T: Shared>(pool: *mut ffi::apr_pool_t) -> Option<&'s T> {
    const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
    let mut memory = std::ptr::null_mut();
    // SAFETY: anonymous shared memory needs no name.
    let status = unsafe { ffi::apr_shm_create(&raw mut memory, size_of::<T>(), std::ptr::null(), pool) };
    if status != ffi::APR_SUCCESS {
        return None;
    }
    // SAFETY: just created.
    let base = unsafe { ffi::apr_shm_baseaddr_get(memory) }.cast::<T>();
    // SAFETY: at least that large, and nobody else has it yet.
    unsafe { base.write_bytes(0, 1) };
    // SAFETY: zero is a valid value.
    unsafe { base.as_ref() }
}

/// Permission for at most `N` workers, of all processes together, to wait for another machine at one time.
///
/// A permit is a deadline: should its holder be killed, it lapses by itself.
pub(crate) struct Permits<const N: usize> {
    /// Milliseconds since the epoch until which the permit is held.
    held_until: [AtomicU64; N],
}

// SAFETY: atomics, zero is "free".
unsafe impl<const N: usize> Shared for Permits<N> {}

impl<const N: usize> Permits<N> {
    /// Takes a permit, for at most `longest` milliseconds, if one of the first `limit` is free.
    pub(crate) fn take(&self, now: u64, longest: u64, limit: usize) -> Option<Permit<'_>> {
        self.held_until.iter().take(limit).find_map(|slot| {
            let held_until = slot.load(Ordering::Relaxed);
            let until = now.saturating_add(longest);
            let free = held_until <= now;
            (free && slot.compare_exchange(held_until, until, Ordering::Acquire, Ordering::Relaxed).is_ok())
                .then_some(Permit { slot, until, lives: PhantomData })
        })
    }
}

/// A permit; given back when dropped.
pub(crate) struct Permit<'p> {
    slot: &'p AtomicU64,
    until: u64,
    lives: PhantomData<&'p ()>,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Should it have lapsed, it may be another's by now.
        let _ = self.slot.compare_exchange(self.until, 0, Ordering::Release, Ordering::Relaxed);
    }
}
