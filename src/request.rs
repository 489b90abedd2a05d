//! A request, in httpd's words.

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::config::{DirConfig, ServerConfig};
use crate::connection::Connection;
use crate::handlers::state::RequestState;
use crate::pool::Pool;
use crate::status::Status;
use crate::table::Table;
use crate::{ffi, slot};

/// A hook of httpd's `auth_checker`.
pub(crate) type AuthChecker = unsafe extern "C" fn(*mut ffi::request_rec) -> c_int;

/// A `request_rec`. What belongs to the request lives for `'r`; so does, seen from here, its connection and configuration.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    raw: NonNull<ffi::request_rec>,
    lives: PhantomData<&'r ffi::request_rec>,
}

impl<'r> Request<'r> {
    /// # Safety
    /// `raw` is a request that httpd handed to a callback, which outlives `'r`.
    pub(crate) unsafe fn from_raw(raw: *mut ffi::request_rec) -> Self {
        // SAFETY: httpd never hands a null request to a hook.
        Self { raw: unsafe { NonNull::new_unchecked(raw) }, lives: PhantomData }
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::request_rec {
        self.raw.as_ptr()
    }

    fn fields(&self) -> &'r ffi::request_rec {
        // SAFETY: live for 'r; httpd works on one request in one thread at a time, and no reference is kept across its calls.
        unsafe { self.raw.as_ref() }
    }

    pub(crate) fn pool(&self) -> Pool<'r> {
        // SAFETY: a request's pool lives as long as the request.
        unsafe { Pool::from_raw(self.fields().pool) }
    }

    pub(crate) fn connection(&self) -> Connection<'r> {
        // SAFETY: a connection outlives its requests.
        unsafe { Connection::from_raw(self.fields().connection) }
    }

    pub(crate) fn headers_in(&self) -> Table<'r> {
        self.table(self.fields().headers_in)
    }

    pub(crate) fn headers_out(&self) -> Table<'r> {
        self.table(self.fields().headers_out)
    }

    /// Trailers appear here when the body has been read.
    pub(crate) fn trailers_in(&self) -> Option<Table<'r>> {
        // SAFETY: live with the request.
        unsafe { Table::from_raw(self.fields().trailers_in) }
    }

    /// The variables for applications, other modules and logs.
    pub(crate) fn variables(&self) -> Table<'r> {
        self.table(self.fields().subprocess_env)
    }

    fn table(&self, raw: *mut ffi::apr_table_t) -> Table<'r> {
        // SAFETY: live with the request.
        let table = unsafe { Table::from_raw(raw) };
        // SAFETY: httpd makes these tables together with the request, before any hook runs.
        unsafe { table.unwrap_unchecked() }
    }

    /// The status of the response as it stands.
    pub(crate) fn status(&self) -> i32 {
        self.fields().status
    }

    /// The request that was redirected here internally.
    pub(crate) fn prev(&self) -> Option<Request<'r>> {
        self.other(self.fields().prev)
    }

    /// The request of which this is a subrequest.
    pub(crate) fn main(&self) -> Option<Request<'r>> {
        self.other(self.fields().main)
    }

    fn other(&self, raw: *mut ffi::request_rec) -> Option<Request<'r>> {
        // SAFETY: requests in one chain share their lifetime.
        (!raw.is_null()).then(|| unsafe { Request::from_raw(raw) })
    }

    /// The configuration of the virtual host that the request is for.
    pub(crate) fn server_config(&self) -> &'r ServerConfig {
        // SAFETY: a request always has a server.
        let server = unsafe { &*self.fields().server };
        ServerConfig::of(server)
    }

    /// The configuration of the location, as far as it has been walked.
    pub(crate) fn dir_config(&self) -> &'r DirConfig {
        // SAFETY: the configuration lives as long as the request at least.
        unsafe { DirConfig::of(self.fields().per_dir_config) }
    }

    /// Both are at places with one and the same configuration.
    pub(crate) fn has_configuration_of(&self, other: Self) -> bool {
        std::ptr::eq(self.fields().per_dir_config, other.fields().per_dir_config)
    }

    /// The location's `AuthType`.
    pub(crate) fn auth_type(&self) -> Option<&'r CStr> {
        // SAFETY: a live request.
        let kind = unsafe { ffi::ap_auth_type(self.as_ptr()) };
        // SAFETY: null or a C string of the configuration.
        unsafe { c_str(kind) }
    }

    /// The location's `AuthName`.
    pub(crate) fn auth_name(&self) -> Option<&'r CStr> {
        // SAFETY: a live request.
        let name = unsafe { ffi::ap_auth_name(self.as_ptr()) };
        // SAFETY: null or a C string of the configuration or the request.
        unsafe { c_str(name) }
    }

    /// REMOTE_USER, once somebody has authenticated the request.
    pub(crate) fn user(&self) -> Option<&'r CStr> {
        // SAFETY: null or a C string of the request.
        unsafe { c_str(self.fields().user) }
    }

    /// Sets REMOTE_USER and AUTH_TYPE.
    pub(crate) fn set_user(&self, user: &'r CStr, auth_type: &'static CStr) {
        // SAFETY: httpd works on the request in this thread, and reads the strings only.
        unsafe { (*self.raw.as_ptr()).user = user.as_ptr().cast_mut() };
        // SAFETY: as above.
        unsafe { (*self.raw.as_ptr()).ap_auth_type = auth_type.as_ptr().cast_mut() };
    }

    /// The method, as it came.
    pub(crate) fn method(&self) -> &'r CStr {
        // SAFETY: null or a C string of the request.
        unsafe { c_str(self.fields().method) }.unwrap_or(c"")
    }

    /// Whether a file is the response, as it is: no application, backend, status page or content filter has a part in it, and
    /// nobody has said anything about it yet.
    #[inline]
    pub(crate) fn is_for_a_plain_file(&self) -> bool {
        let fields = self.fields();
        fields.handler.is_null()
            && fields.output_filters == fields.proto_output_filters
            && self.headers_out().is_empty()
            && self.error_headers_out().is_empty()
            // a type may be a handler's name, as of mod_cgi or mod_php
            // SAFETY: null or a C string of the request.
            && !unsafe { begins_with(fields.content_type, b"application/x-httpd-") }
    }

    /// The path of the URL.
    pub(crate) fn path(&self) -> &'r CStr {
        // SAFETY: null or a C string of the request.
        unsafe { c_str(self.fields().uri) }.unwrap_or(c"")
    }

    /// What follows the `?`.
    pub(crate) fn query(&self) -> Option<&'r CStr> {
        // SAFETY: null or a C string of the request.
        unsafe { c_str(self.fields().args) }
    }

    /// Puts another query in its place, also in what else holds it: the request line (REQUEST_URI, `%r` in logs), the URI as it
    /// came, and the URL that mod_proxy has made of it for `nocanon`.
    pub(crate) fn set_query(&self, query: Option<&'r CStr>) {
        let (pool, old) = (self.pool(), self.query().map(CStr::to_bytes));
        // Only then: in any other file name, a `?` is a decoded part of the path.
        let is_raw_url = self.table(self.fields().notes).get(c"proxy-nocanon").is_some();
        // SAFETY: httpd works on the request in this thread; no other reference to it is in use until this function ends.
        let fields = unsafe { &mut *self.raw.as_ptr() };
        fields.args = query.map_or(std::ptr::null_mut(), |query| query.as_ptr().cast_mut());
        fields.parsed_uri.query = fields.args;
        let (Some(old), new) = (old, query.map(CStr::to_bytes)) else { return };
        let url = is_raw_url.then_some(&mut fields.filename);
        for field in [&mut fields.the_request, &mut fields.unparsed_uri].into_iter().chain(url) {
            // SAFETY: null or a C string of the request.
            let text = unsafe { c_str(*field) }.map(CStr::to_bytes);
            if let Some(changed) = text.and_then(|text| with_query(text, old, new)) {
                *field = pool.octets(&changed).as_ptr().cast_mut();
            }
        }
    }

    /// Writes text to the client.
    pub(crate) fn write(&self, text: &str) {
        let length = c_int::try_from(text.len()).unwrap_or(0);
        // SAFETY: that many octets. A client that has gone away is mod_status' matter.
        unsafe { ffi::ap_rwrite(text.as_ptr().cast(), length, self.as_ptr()) };
    }

    /// When the request arrived, in seconds since 1970.
    pub(crate) fn time(&self) -> i64 {
        self.fields().request_time / 1_000_000
    }

    /// Headers that go out with an error, too.
    pub(crate) fn error_headers_out(&self) -> Table<'r> {
        self.table(self.fields().err_headers_out)
    }

    /// Asks the other modules' hooks what `own` was asked: the first that does not decline decides.
    pub(crate) fn run_other_auth_checkers(&self, own: AuthChecker) -> Status {
        // SAFETY: httpd's array of hooks, sorted and unchanged since start.
        let array = unsafe { ffi::ap_hook_get_auth_checker() };
        // SAFETY: null or that array.
        let Some(array) = (unsafe { array.as_ref() }) else { return Status::Declined };
        let count = usize::try_from(array.nelts).unwrap_or(0);
        // SAFETY: httpd's array of that many links.
        let links =
            unsafe { std::slice::from_raw_parts(array.elts.cast::<ffi::ap_LINK_auth_checker_t>(), count) };
        let others = links.iter().filter_map(|link| link.pFunc).filter(|hook| *hook as usize != own as usize);
        for hook in others {
            // SAFETY: a hook of this kind, called with a live request.
            match Status::from_hook(unsafe { hook(self.as_ptr()) }) {
                Status::Declined => (),
                status => return status,
            }
        }
        Status::Declined
    }

    /// What this module noted about the request itself.
    pub(crate) fn own_state(&self) -> Option<&'r RequestState<'r>> {
        // SAFETY: the slot is ours: null or what `set_state` put there.
        unsafe { slot::get(self.fields().request_config) }
    }

    pub(crate) fn set_state(&self, state: &'r RequestState<'r>) {
        // SAFETY: the state lives as long as the request.
        unsafe { slot::set(self.fields().request_config, state) };
    }

    /// `LimitRequestFieldSize` of the server, in octets.
    pub(crate) fn field_size_limit(&self) -> usize {
        // SAFETY: a request always has a server.
        let server = unsafe { &*self.fields().server };
        usize::try_from(server.limit_req_fieldsize).unwrap_or(0)
    }

    /// The protocol is HTTP/2: httpd gives each stream a connection of its own beneath the real one.
    pub(crate) fn is_http2(&self) -> bool {
        self.connection().is_secondary()
    }

    /// Puts an input filter between the handler and the body.
    pub(crate) fn add_input_filter(&self, name: &'static CStr) {
        // SAFETY: registered by register_hooks under this name; needs no context.
        unsafe {
            ffi::ap_add_input_filter(
                name.as_ptr(),
                std::ptr::null_mut(),
                self.as_ptr(),
                self.fields().connection,
            );
        }
    }

    /// Puts an input filter with a context of its own between the handler and the body.
    pub(crate) fn add_input_filter_with<T>(&self, name: &'static CStr, context: &'r T) {
        let context = std::ptr::from_ref(context).cast_mut().cast();
        // SAFETY: registered by register_hooks under this name; the context lives as long as the request.
        unsafe { ffi::ap_add_input_filter(name.as_ptr(), context, self.as_ptr(), self.fields().connection) };
    }

    /// The filters through which the body is read.
    pub(crate) fn input_filters(&self) -> *mut ffi::ap_filter_t {
        self.fields().input_filters
    }

    /// Puts an output filter between the handler and the client.
    pub(crate) fn add_output_filter(&self, name: &'static CStr) {
        // SAFETY: registered by register_hooks under this name; needs no context.
        unsafe {
            ffi::ap_add_output_filter(
                name.as_ptr(),
                std::ptr::null_mut(),
                self.as_ptr(),
                self.fields().connection,
            );
        }
    }
}

/// A URI or request line with another query; `None` where the query is not the old one.
fn with_query(text: &[u8], old: &[u8], new: Option<&[u8]>) -> Option<Vec<u8>> {
    let start = text.iter().position(|octet| *octet == b'?')?;
    let (before, rest) = text.split_at(start);
    let after = rest.get(1..)?.strip_prefix(old)?;
    if !matches!(after.first(), None | Some(b' ' | b'#')) {
        return None;
    }
    let (mark, new) = new.map_or((&b""[..], &b""[..]), |new| (&b"?"[..], new));
    Some([before, mark, new, after].concat())
}

/// A C string from httpd, or nothing for null.
///
/// # Safety
/// `text` is null or a C string that lives for `'a`.
pub(crate) unsafe fn c_str<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: the caller vouches for it.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// Whether a C string from httpd, which may be null, begins so. Looks no further than to the first difference.
///
/// # Safety
/// `text` is null or a C string.
unsafe fn begins_with(text: *const c_char, beginning: &[u8]) -> bool {
    let is_at = |(at, octet): (usize, &u8)| {
        let place = text.wrapping_add(at).cast::<u8>();
        // SAFETY: the caller vouches for it; the NUL at its end is no octet of `beginning`.
        *octet == unsafe { *place }
    };
    !text.is_null() && beginning.iter().enumerate().all(is_at)
}
