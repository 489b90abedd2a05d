//! The panic boundary around every callback. A panic fails closed: 500 for a request, an error for a directive, a fatal
//! alert in a handshake. The panic hook writes the one log line; httpd goes on.

use std::any::Any;
use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::Section;
use crate::ffi;

/// What a callback returns when its body panicked.
pub(crate) trait FailClosed {
    fn fail_closed() -> Self;
}

/// A request hook: 500. A connection hook: anything but `OK` and `DECLINED` ends the connection.
/// OpenSSL's extension callbacks have their own value, see [`handshake`].
impl FailClosed for c_int {
    fn fail_closed() -> Self {
        ffi::HTTP_INTERNAL_SERVER_ERROR
    }
}

impl FailClosed for ffi::authz_status {
    fn fail_closed() -> Self {
        ffi::authz_status_AUTHZ_GENERAL_ERROR
    }
}

impl FailClosed for *const c_char {
    fn fail_closed() -> Self {
        const MESSAGE: &CStr = c"internal error in mod_token_binding; see the error log";
        MESSAGE.as_ptr()
    }
}

/// Runs the body of a callback from httpd.
pub(crate) fn guard<T: FailClosed>(body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        forget(payload);
        T::fail_closed()
    })
}

/// Runs the body of a callback that has nothing to answer with; `otherwise` sees to it that it fails closed.
pub(crate) fn guard_else(body: impl FnOnce(), otherwise: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        forget(payload);
        otherwise();
    }
}

/// Makes a configuration. A server whose configuration could not be made does not start; requests at a section
/// whose could not be made get 500 at the latest in fixups.
pub(crate) fn section<S: Section>(body: impl FnOnce() -> S) -> S {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        forget(payload);
        S::BROKEN
    })
}

/// Runs the body of a filter: an error status ends the response or the reading of the request.
pub(crate) fn filter(body: impl FnOnce() -> ffi::apr_status_t) -> ffi::apr_status_t {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        forget(payload);
        ffi::APR_EGENERAL
    })
}

/// Runs the body of a callback from OpenSSL: `failure` makes it send a fatal alert.
pub(crate) fn handshake(failure: c_int, body: impl FnOnce() -> c_int) -> c_int {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        forget(payload);
        failure
    })
}

/// The payload may be of any type, with a destructor that panics in its turn.
fn forget(payload: Box<dyn Any + Send>) {
    std::mem::forget(payload);
}

/// One line in the server's error log for a panic, instead of Rust's own output with its backtrace.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        match panic.location() {
            Some(place) => crate::log::server!(
                None,
                Critical,
                "internal error, please report it: {message} ({}:{})",
                place.file(),
                place.line()
            ),
            None => crate::log::server!(None, Critical, "internal error, please report it: {message}"),
        }
    }));
}

/// With the feature `inject-panic`, a request that names this point in `X-Inject-Panic` panics here.
#[cfg(feature = "inject-panic")]
pub(crate) fn injected(request: crate::request::Request<'_>, point: &str) {
    if request.headers_in().get(c"X-Inject-Panic").is_some_and(|wanted| wanted.to_bytes() == point.as_bytes())
    {
        panic!("injected at {point}");
    }
}

/// Without the feature there is nothing to inject.
#[cfg(not(feature = "inject-panic"))]
pub(crate) fn injected(_request: crate::request::Request<'_>, _point: &str) {}

/// With the feature `inject-panic`, the environment variable INJECT_PANIC names a point where there is no request. With
/// `:serving` after it, only processes that serve requests panic there.
#[cfg(feature = "inject-panic")]
pub(crate) fn injected_into_process(point: &str) {
    let wanted = std::env::var("INJECT_PANIC").unwrap_or_default();
    let (wanted, when) = wanted.split_once(':').unwrap_or((&wanted, ""));
    // SAFETY: reads httpd's state.
    let is_serving = || unsafe { ffi::ap_state_query(ffi::AP_SQ_MAIN_STATE) } == ffi::AP_SQ_MS_RUN_MPM;
    assert!(wanted != point || when == "serving" && !is_serving(), "injected at {point}");
}

/// Without the feature there is nothing to inject.
#[cfg(not(feature = "inject-panic"))]
pub(crate) fn injected_into_process(_point: &str) {}

/// With the feature `inject-panic`, the environment variable INJECT_FAILURE names what the system refuses to give.
#[cfg(feature = "inject-panic")]
pub(crate) fn fails(what: &str) -> bool {
    std::env::var("INJECT_FAILURE").is_ok_and(|wanted| wanted == what)
}

/// Without the feature the system alone decides.
#[cfg(not(feature = "inject-panic"))]
pub(crate) fn fails(_what: &str) -> bool {
    false
}
