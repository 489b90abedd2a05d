//! The filters that httpd calls: each guards, wraps and calls its handler.

use std::ffi::{CStr, c_int};
use std::ptr::null_mut;

use crate::body::Body;
use crate::ffi;
use crate::guard;
use crate::handlers::{referred, strip, vary};
use crate::request::Request;

/// Ends a request whose filters could not be put in place: what they do must not be left out.
pub(crate) const FAILED: &CStr = c"TOKEN_BINDING_FAILED";

/// Before the handler runs, httpd asks each filter whether it is ready: this one never is, so the request is answered 500.
pub(crate) unsafe extern "C" fn failed_init(_filter: *mut ffi::ap_filter_t) -> c_int {
    ffi::HTTP_INTERNAL_SERVER_ERROR
}

/// For a response that httpd makes itself nobody asks: it ends here, and its connection with it.
pub(crate) unsafe extern "C" fn failed_filter(
    filter: *mut ffi::ap_filter_t,
    _brigade: *mut ffi::apr_bucket_brigade,
) -> ffi::apr_status_t {
    guard::filter(|| {
        // SAFETY: httpd passes a live filter.
        let connection = unsafe { filter.as_ref() }.map_or(null_mut(), |filter| filter.c);
        // SAFETY: null, or its connection, which this thread works on.
        if let Some(connection) = unsafe { connection.as_mut() } {
            connection.aborted = 1;
        }
        ffi::APR_EGENERAL
    })
}

/// Defines output filters that look at a response when it begins, and step aside.
macro_rules! response_filters {
    ($($(#[$doc:meta])* $name:ident: $handler:path;)+) => {$(
        $(#[$doc])*
        pub(crate) unsafe extern "C" fn $name(
            filter: *mut ffi::ap_filter_t,
            brigade: *mut ffi::apr_bucket_brigade,
        ) -> ffi::apr_status_t {
            guard::filter(|| {
                // SAFETY: httpd passes a live filter of a live request.
                let (r, next) = unsafe { filter.as_ref() }.map_or((null_mut(), null_mut()), |filter| (filter.r, filter.next));
                // SAFETY: the filter's request, which is live as long as the filter.
                $handler(unsafe { Request::from_raw(r) });
                // SAFETY: the filter is in the chain; `next` was read before.
                unsafe { ffi::ap_remove_output_filter(filter) };
                // SAFETY: the brigade goes on as it came.
                unsafe { ffi::ap_pass_brigade(next, brigade) }
            })
        }
    )+};
}

response_filters! {
    /// The filter [`referred::FILTER`].
    referred_filter: referred::respond;
    /// The filter [`vary::FILTER`].
    vary_filter: vary::respond;
}

/// The filter [`strip::TRAILERS`]: lets the body through and looks at the trailers that came with its end.
pub(crate) unsafe extern "C" fn trailers_filter(
    filter: *mut ffi::ap_filter_t,
    brigade: *mut ffi::apr_bucket_brigade,
    mode: ffi::ap_input_mode_t,
    block: ffi::apr_read_type_e,
    read_bytes: ffi::apr_off_t,
) -> ffi::apr_status_t {
    guard::filter(|| {
        // SAFETY: httpd passes a live filter of a live request.
        let (r, next) =
            unsafe { filter.as_ref() }.map_or((null_mut(), null_mut()), |filter| (filter.r, filter.next));
        // SAFETY: httpd passes a brigade to fill.
        let result = unsafe { ffi::ap_get_brigade(next, brigade, mode, block, read_bytes) };
        // SAFETY: the filter's request. Trailers are there, if at all, once the end of the body has been read.
        strip::trailers(unsafe { Request::from_raw(r) });
        result
    })
}

/// The filter [`crate::body::REPLAY`].
pub(crate) unsafe extern "C" fn replay_filter(
    filter: *mut ffi::ap_filter_t,
    brigade: *mut ffi::apr_bucket_brigade,
    mode: ffi::ap_input_mode_t,
    block: ffi::apr_read_type_e,
    read_bytes: ffi::apr_off_t,
) -> ffi::apr_status_t {
    guard::filter(|| {
        // SAFETY: httpd passes a live filter.
        let (context, next) =
            unsafe { filter.as_ref() }.map_or((null_mut(), null_mut()), |filter| (filter.ctx, filter.next));
        // SAFETY: the context given with the filter, which lives as long as the request.
        let Some(body) = (unsafe { context.cast::<Body>().as_ref() }) else { return ffi::APR_EGENERAL };
        // SAFETY: httpd passes a brigade to fill.
        unsafe { body.play(next, brigade, mode, block, read_bytes) }
    })
}
