//! APR's pools: memory that lives as long as what it belongs to.

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::{ffi, guard};

/// A pool; what it hands out lives for `'p`.
#[derive(Clone, Copy)]
pub(crate) struct Pool<'p> {
    raw: NonNull<ffi::apr_pool_t>,
    lives: PhantomData<&'p ffi::apr_pool_t>,
}

impl<'p> Pool<'p> {
    /// # Safety
    /// `raw` is a live pool, not cleared before `'p` ends.
    pub(crate) unsafe fn from_raw(raw: *mut ffi::apr_pool_t) -> Self {
        // SAFETY: httpd never has a null pool where it has a request, a connection or a configuration.
        Self { raw: unsafe { NonNull::new_unchecked(raw) }, lives: PhantomData }
    }

    pub(crate) fn as_ptr(self) -> *mut ffi::apr_pool_t {
        self.raw.as_ptr()
    }

    /// Moves `value` to where the pool keeps it; it is dropped when the pool is cleared.
    pub(crate) fn place<T: 'p>(self, value: T) -> &'p mut T {
        let boxed = Box::into_raw(Box::new(value));
        // SAFETY: the pool is live; the cleanup gets the pointer once, when the pool is cleared.
        unsafe {
            ffi::apr_pool_cleanup_register(
                self.raw.as_ptr(),
                boxed.cast(),
                Some(drop_boxed::<T>),
                Some(ffi::apr_pool_cleanup_null),
            );
        }
        // SAFETY: just allocated, dropped by the cleanup only, and nothing from the pool is used after `'p`.
        unsafe { &mut *boxed }
    }

    /// Drops `value` before all else when the pool is cleared: before its subpools go, and before httpd unloads other modules,
    /// which are cleanups of the configuration's pool. For what needs one of those in its destructor.
    pub(crate) fn drop_first<T: 'p>(self, value: T) {
        let boxed = Box::into_raw(Box::new(value));
        // SAFETY: the pool is live; the cleanup gets the pointer once, when the pool is cleared.
        unsafe {
            ffi::apr_pool_pre_cleanup_register(self.raw.as_ptr(), boxed.cast(), Some(drop_boxed::<T>));
        }
    }

    /// Moves a value that needs no destructor into the pool's own memory.
    pub(crate) fn put<T: 'p>(self, value: T) -> &'p T {
        const { assert!(!std::mem::needs_drop::<T>(), "nobody would drop it") };
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        // SAFETY: the pool is live; apr_palloc does not return null, httpd aborts first.
        let place = unsafe { ffi::apr_palloc(self.raw.as_ptr(), size_of::<T>()) }.cast::<T>();
        // SAFETY: freshly allocated, large enough, aligned.
        unsafe { place.write(value) };
        // SAFETY: initialised above; lives as long as the pool.
        unsafe { &*place }
    }

    /// Copies octets as a string; a NUL inside ends it.
    pub(crate) fn octets(self, octets: &[u8]) -> &'p CStr {
        // SAFETY: the pool is live; the length belongs to the pointer.
        let copy = unsafe { ffi::apr_pstrmemdup(self.raw.as_ptr(), octets.as_ptr().cast(), octets.len()) };
        // SAFETY: the copy ends in NUL and lives in the pool.
        unsafe { CStr::from_ptr(copy) }
    }

    /// Copies a string; a NUL inside ends it.
    pub(crate) fn string(self, text: &str) -> &'p CStr {
        self.octets(text.as_bytes())
    }
}

/// Text that is known to hold no NUL, as a C string. Should one be there after all, what stands before it is kept:
/// the text gets shorter, never longer than the C side believes.
pub(crate) fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let end = error.nul_position();
        let mut bytes = error.into_vec();
        bytes.truncate(end);
        CString::new(bytes).unwrap_or_default()
    })
}

/// Pool cleanup.
unsafe extern "C" fn drop_boxed<T>(boxed: *mut c_void) -> ffi::apr_status_t {
    guard::filter(|| {
        // SAFETY: registered above with a pointer from Box::into_raw, and called once.
        drop(unsafe { Box::from_raw(boxed.cast::<T>()) });
        ffi::APR_SUCCESS
    })
}
