//! A request's body, read before its handler and played back to it.

use std::cell::{Cell, OnceCell};
use std::ffi::CStr;
use std::ptr::null_mut;

use crate::ffi;
use crate::handlers::state;
use crate::request::Request;

/// The input filter that plays a body back.
pub(crate) const REPLAY: &CStr = c"TOKEN_BINDING_REPLAY";

/// A body that was read.
pub(crate) struct Body {
    octets: Vec<u8>,
    replacement: OnceCell<Vec<u8>>,
    played: Cell<usize>,
    /// False: there is more behind what was read.
    complete: bool,
}

/// The largest body that is read, in octets.
const LARGEST: usize = 1 << 20;
/// How much is asked for at a time.
const PIECE: ffi::apr_off_t = 32 * 1024;

/// Reads the body to its end. Whoever reads it later gets it from here, also where it was too much.
pub(crate) fn read<'r>(request: Request<'r>) -> Result<&'r Body, &'static str> {
    if let Some(body) = state::chain(request).find_map(|state| state.body.get()) {
        return if body.complete { Ok(body) } else { Err("the body cannot be read") };
    }
    let mut octets = Vec::new();
    let result = read_into(request, &mut octets);
    let body = Body { octets, replacement: OnceCell::new(), played: Cell::new(0), complete: result.is_ok() };
    let body: &'r Body = request.pool().place(body);
    request.add_input_filter_with(REPLAY, body);
    if let Some(state) = state::own(request) {
        state.body.set(Some(body));
    }
    result.map(|()| body)
}

/// After an internal redirect, for which httpd leaves out the filters of the request before.
pub(crate) fn play_again<'r>(request: Request<'r>, body: &'r Body) {
    request.add_input_filter_with(REPLAY, body);
}

fn read_into(request: Request<'_>, octets: &mut Vec<u8>) -> Result<(), &'static str> {
    // SAFETY: a brigade of the request's pool and its connection's allocator.
    let brigade = unsafe { ffi::tb_brigade_create(request.as_ptr()) };
    loop {
        // SAFETY: the request's filters fill the brigade.
        let status = unsafe {
            ffi::ap_get_brigade(
                request.input_filters(),
                brigade,
                ffi::ap_input_mode_t_AP_MODE_READBYTES,
                ffi::apr_read_type_e_APR_BLOCK_READ,
                PIECE,
            )
        };
        if status != ffi::APR_SUCCESS {
            return Err("the body cannot be read");
        }
        let mut length = 0;
        // SAFETY: a live brigade; reads its buckets.
        if unsafe { ffi::apr_brigade_length(brigade, 1, &raw mut length) } != ffi::APR_SUCCESS {
            return Err("the body cannot be read");
        }
        let before = octets.len();
        octets.resize(before.saturating_add(usize::try_from(length).unwrap_or(0)), 0);
        let free = octets.get_mut(before..).unwrap_or_default();
        let mut copied = free.len();
        // SAFETY: room for as much as the brigade holds.
        unsafe { ffi::apr_brigade_flatten(brigade, free.as_mut_ptr().cast(), &raw mut copied) };
        octets.truncate(before.saturating_add(copied));
        // SAFETY: a live brigade.
        let ends = unsafe { ffi::tb_brigade_has_eos(brigade) } != 0;
        // SAFETY: a live brigade.
        unsafe { ffi::apr_brigade_cleanup(brigade.cast()) };
        if ends {
            return Ok(());
        }
        if octets.len() > LARGEST {
            return Err("the body is larger than 1 MiB");
        }
    }
}

impl Body {
    /// What was read.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Lets the handler read something else.
    pub(crate) fn replace(&self, request: Request<'_>, octets: Vec<u8>) {
        let length = request.pool().string(&octets.len().to_string());
        if self.replacement.set(octets).is_ok() {
            request.headers_in().unset(c"Transfer-Encoding");
            request.headers_in().set(c"Content-Length", length);
        }
    }

    /// Fills a brigade as the filter is asked to.
    ///
    /// # Safety
    /// `next` is the filter behind, `brigade` one to fill.
    pub(crate) unsafe fn play(
        &self,
        next: *mut ffi::ap_filter_t,
        brigade: *mut ffi::apr_bucket_brigade,
        mode: ffi::ap_input_mode_t,
        block: ffi::apr_read_type_e,
        read_bytes: ffi::apr_off_t,
    ) -> ffi::apr_status_t {
        let octets = self.replacement.get().unwrap_or(&self.octets);
        let left = octets.get(self.played.get()..).unwrap_or_default();
        let wanted = match mode {
            ffi::ap_input_mode_t_AP_MODE_READBYTES | ffi::ap_input_mode_t_AP_MODE_SPECULATIVE => {
                usize::try_from(read_bytes).unwrap_or(0)
            }
            ffi::ap_input_mode_t_AP_MODE_GETLINE => {
                left.iter().position(|octet| *octet == b'\n').map_or(left.len(), |end| end + 1)
            }
            ffi::ap_input_mode_t_AP_MODE_EXHAUSTIVE => left.len(),
            _ => return ffi::APR_SUCCESS,
        };
        let piece = left.get(..wanted).unwrap_or(left);
        if piece.is_empty() && left.is_empty() {
            if !self.complete {
                // SAFETY: what was not read is still there.
                return unsafe { ffi::ap_get_brigade(next, brigade, mode, block, read_bytes) };
            }
            // SAFETY: a brigade to fill.
            unsafe { ffi::tb_brigade_append_eos(brigade) };
            return ffi::APR_SUCCESS;
        }
        if mode != ffi::ap_input_mode_t_AP_MODE_SPECULATIVE {
            self.played.set(self.played.get().saturating_add(piece.len()));
        }
        // SAFETY: copies the piece to the brigade.
        unsafe { ffi::apr_brigade_write(brigade, None, null_mut(), piece.as_ptr().cast(), piece.len()) }
    }
}
