//! httpd's slots: in each configuration, connection and request it keeps one pointer for this module.

use crate::{ffi, module};

/// What this module's slot in `vector` holds.
///
/// # Safety
/// `vector` is live; the slot holds null or a `T` that lives for `'a`.
pub(crate) unsafe fn get<'a, T>(vector: *const ffi::ap_conf_vector_t) -> Option<&'a T> {
    // SAFETY: the caller vouches for the vector, httpd gave the module its index.
    let held = unsafe { ffi::ap_get_module_config(vector, module()) };
    // SAFETY: the caller vouches for the type.
    unsafe { held.cast::<T>().as_ref() }
}

/// Puts `value` into this module's slot in `vector`.
///
/// # Safety
/// `vector` is live, and `value` lives as long as anyone calls [`get`] on it.
pub(crate) unsafe fn set<T>(vector: *mut ffi::ap_conf_vector_t, value: &T) {
    let value = std::ptr::from_ref(value).cast_mut().cast();
    // SAFETY: the caller vouches for the vector.
    unsafe { ffi::ap_set_module_config(vector, module(), value) };
}
