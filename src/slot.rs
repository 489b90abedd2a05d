//! httpd's slots: in each configuration, connection and request it keeps one pointer for this module.

use crate::{ffi, module, module_index};

/// What this module's slot in `vector` holds.
///
/// # Safety
/// `vector` is live; the slot holds null or a `T` that lives for `'a`.
pub(crate) unsafe fn get<'a, T>(vector: *const ffi::ap_conf_vector_t) -> Option<&'a T> {
    // What ap_get_module_config() is for modules in C, a macro: the vector has one pointer for each module.
    let slots = vector.cast::<*const T>();
    // SAFETY: the caller vouches for the vector, and httpd gave the module its index.
    let slot = unsafe { slots.offset(module_index() as isize) };
    // SAFETY: a slot of a live vector, never written while it is read.
    let held = unsafe { *slot };
    // SAFETY: the caller vouches for the type.
    unsafe { held.as_ref() }
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
