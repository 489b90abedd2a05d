//! Memory that all processes of this server share: made by the parent, inherited by fork.
//!
//! It lives as long as the parent, as httpd's scoreboard does: through graceful restarts, whose old children go on using it.

use std::ffi::CString;
use std::ptr::{from_ref, null, null_mut};

use crate::{ffi, guard};

/// What may lie there.
///
/// # Safety
/// All zero octets are a valid value; it needs no destructor, and is changed through atomics only.
pub(crate) unsafe trait Shared: Sync + 'static {
    /// Tells it from what else this module puts there.
    const NAME: &str;
}

/// Tells it also from what other versions of this module put there.
fn name<T: Shared>() -> CString {
    CString::new(format!("mod_token_binding {} {}", T::NAME, env!("CARGO_PKG_VERSION"))).unwrap_or_default()
}

/// What httpd keeps for us from one generation of the configuration to the next.
#[repr(C)]
struct Retained {
    address: *const u8,
    size: usize,
}

/// The `T` that an earlier generation made.
pub(crate) fn existing<T: Shared>() -> Option<&'static T> {
    let name = name::<T>();
    // SAFETY: looks a name up.
    let retained = unsafe { ffi::ap_retained_data_get(name.as_ptr()) }.cast::<Retained>();
    // SAFETY: null, or what `create` put there under this name.
    let retained = unsafe { retained.as_ref() }.filter(|retained| retained.size == size_of::<T>())?;
    // SAFETY: null, or a `T`, as name and size say. It lives as long as the process.
    unsafe { retained.address.cast::<T>().as_ref() }
}

/// The `T` of an earlier generation, or else a new one.
///
/// # Safety
/// As of [`create`].
pub(crate) unsafe fn existing_or_new<T: Shared>(
    server: &ffi::server_rec,
) -> Result<&'static T, ffi::apr_status_t> {
    match existing() {
        Some(value) => Ok(value),
        // SAFETY: as our caller's.
        None => unsafe { create(server) },
    }
}

/// A `T` of zeros; the error is APR's, where the system has no shared memory to give.
///
/// # Safety
/// Called in the parent, from post_config, with its server.
unsafe fn create<T: Shared>(server: &ffi::server_rec) -> Result<&'static T, ffi::apr_status_t> {
    const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
    if guard::fails("shared_memory") {
        return Err(ffi::APR_EGENERAL);
    }
    // SAFETY: httpd's record of the process, which lives as long as it.
    let pool = unsafe { (*server.process).pool };
    let mut memory = null_mut();
    // SAFETY: without a name it is anonymous, and only our children have it.
    let status = unsafe { ffi::apr_shm_create(&raw mut memory, size_of::<T>(), null(), pool) };
    if status != ffi::APR_SUCCESS {
        return Err(status);
    }
    // SAFETY: just created.
    let base = unsafe { ffi::apr_shm_baseaddr_get(memory) }.cast::<T>();
    // SAFETY: at least that large, and nobody else has it yet.
    unsafe { base.write_bytes(0, 1) };
    // SAFETY: zeros are a `T`; the process's pool keeps it until the process ends.
    let value = unsafe { &*base };
    let name = name::<T>();
    // SAFETY: httpd copies the name, and gives memory of that size that it keeps as long as the process.
    let retained = unsafe { ffi::ap_retained_data_create(name.as_ptr(), size_of::<Retained>()) };
    let size = size_of::<T>();
    // SAFETY: memory of httpd's own pool, aligned for pointers.
    unsafe { retained.cast::<Retained>().write(Retained { address: from_ref(value).cast(), size }) };
    Ok(value)
}
