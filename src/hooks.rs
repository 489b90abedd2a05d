//! The callbacks that httpd and mod_ssl call: each guards, wraps and calls its handler.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null;

use crate::common::Common;
use crate::config::{Section, ServerConfig};
use crate::connection::Connection;
use crate::filters::FAILED;
use crate::guard::{self, guard, injected};
use crate::handlers::authorization::{Outcome, TokenBindingRequirement};
use crate::handlers::oauth2::authorization::Requirement;
use crate::handlers::server_status::{self, Style};
use crate::handlers::{
    authorization, binding, certificate, client_cert, oauth2, oidc_session, pass, referred, start, vary,
    verification,
};
use crate::pool::Pool;
use crate::request::Request;
use crate::status::Status;
use crate::tls::{self, Ssl};
use crate::{ffi, log, socache};

// Configuration

/// Makes the configuration of a server or of a section, before any directive has spoken.
pub(crate) unsafe extern "C" fn create<S: Section, Of>(
    pool: *mut ffi::apr_pool_t,
    _of: *mut Of,
) -> *mut c_void {
    // SAFETY: httpd passes the configuration's pool.
    let pool = unsafe { Pool::from_raw(pool) };
    let made = guard::section(|| {
        guard::injected_into_process("create");
        S::create(pool)
    });
    std::ptr::from_ref(pool.put(made)).cast_mut().cast()
}

/// Joins the configuration of a virtual host to the main server's, or of a section to the one around it.
pub(crate) unsafe extern "C" fn merge<S: Section>(
    pool: *mut ffi::apr_pool_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_void {
    // SAFETY: httpd passes the pool of the configuration or of the request.
    let pool = unsafe { Pool::from_raw(pool) };
    // SAFETY: made by `create` or here.
    let outer = unsafe { outer.cast::<S>().as_ref() }.copied().unwrap_or(S::DEFAULT);
    // SAFETY: as above.
    let inner = unsafe { inner.cast::<S>().as_ref() }.copied().unwrap_or(S::DEFAULT);
    let joined = guard::section(|| {
        guard::injected_into_process("merge");
        S::merge(outer, inner, pool)
    });
    std::ptr::from_ref(pool.put(joined)).cast_mut().cast()
}

// Start

/// Also run by `apachectl configtest`.
pub(crate) unsafe extern "C" fn check_config(
    _pconf: *mut ffi::apr_pool_t,
    _plog: *mut ffi::apr_pool_t,
    _ptemp: *mut ffi::apr_pool_t,
    server: *mut ffi::server_rec,
) -> c_int {
    guard(|| {
        // SAFETY: looks a name up in httpd's list of modules.
        let mod_ssl_is_loaded = unsafe { !ffi::ap_find_linked_module(c"mod_ssl.c".as_ptr()).is_null() };
        // SAFETY: httpd's list of servers, complete by now.
        let mut next = unsafe { server.as_ref() };
        // SAFETY: httpd passes its main server.
        let common = unsafe { server.as_ref() }.and_then(|server| ServerConfig::of(server).common());
        if let Some(Err(complaint)) = common.map(Common::finish) {
            log::server!(None, Critical, "{complaint}");
            return ffi::HTTP_INTERNAL_SERVER_ERROR;
        }
        while let Some(server) = next {
            if let Err(complaint) = start::check(ServerConfig::of(server), mod_ssl_is_loaded) {
                log::server!(Some(server), Critical, "{complaint} (server {})", name(server));
                return ffi::HTTP_INTERNAL_SERVER_ERROR;
            }
            // SAFETY: as above.
            next = unsafe { server.next.as_ref() };
        }
        ffi::OK
    })
}

fn name(server: &ffi::server_rec) -> std::borrow::Cow<'_, str> {
    // SAFETY: a C string of the configuration, or null.
    unsafe { crate::request::c_str(server.server_hostname) }.map_or("main".into(), CStr::to_string_lossy)
}

/// mod_ssl has made the `SSL_CTX` of a virtual host.
pub(crate) unsafe extern "C" fn init_server(
    server: *mut ffi::server_rec,
    _pool: *mut ffi::apr_pool_t,
    is_proxy: c_int,
    context: *mut ffi::ssl_ctx_st,
) -> c_int {
    guard(|| {
        // Towards backends this server is the client: Token Binding is not offered there.
        if is_proxy != 0 {
            return ffi::OK;
        }
        // SAFETY: mod_ssl passes the server at hand.
        let server = unsafe { &*server };
        // SAFETY: context and configuration are of one generation of the configuration.
        if unsafe { tls::register_extension(context.cast(), ServerConfig::of(server)) } {
            return ffi::OK;
        }
        let error = openssl::error::ErrorStack::get();
        log::server!(Some(server), Critical, "OpenSSL does not let us answer TLS extension 24: {error}");
        ffi::HTTP_INTERNAL_SERVER_ERROR
    })
}

/// Names what `Mutex` can configure.
pub(crate) unsafe extern "C" fn pre_config(
    pconf: *mut ffi::apr_pool_t,
    _plog: *mut ffi::apr_pool_t,
    _ptemp: *mut ffi::apr_pool_t,
) -> c_int {
    guard(|| {
        // SAFETY: called in pre_config, as httpd wants it.
        unsafe {
            ffi::ap_mutex_register(
                pconf,
                socache::MUTEX.as_ptr(),
                null(),
                ffi::apr_lockmech_e_APR_LOCK_DEFAULT,
                0,
            )
        }
    })
}

/// In the parent, before it forks. httpd reads its configuration twice at start; the first time is for practice.
pub(crate) unsafe extern "C" fn post_config(
    pconf: *mut ffi::apr_pool_t,
    _plog: *mut ffi::apr_pool_t,
    _ptemp: *mut ffi::apr_pool_t,
    server: *mut ffi::server_rec,
) -> c_int {
    guard(|| {
        // SAFETY: reads httpd's state.
        if unsafe { ffi::ap_state_query(ffi::AP_SQ_MAIN_STATE) } == ffi::AP_SQ_MS_CREATE_PRE_CONFIG {
            return ffi::OK;
        }
        // SAFETY: the configuration's pool.
        let common = Common::of(unsafe { Pool::from_raw(pconf) });
        // SAFETY: httpd passes its main server.
        if let Some(server) = unsafe { server.as_ref() } {
            // SAFETY: in post_config.
            unsafe { start::share(common, server) };
        }
        // SAFETY: in post_config, once.
        match unsafe { oauth2::start::parent(common, server, pconf) } {
            Ok(()) => ffi::OK,
            Err(complaint) => {
                log::server!(None, Critical, "{complaint}");
                ffi::HTTP_INTERNAL_SERVER_ERROR
            }
        }
    })
}

/// httpd starts, or restarts at once, and its scoreboard begins at zero. A graceful restart goes on counting.
pub(crate) unsafe extern "C" fn pre_mpm(_pool: *mut ffi::apr_pool_t, _kind: ffi::ap_scoreboard_e) -> c_int {
    guard(|| {
        start::count_anew();
        ffi::OK
    })
}

/// In a child, before its first connection.
pub(crate) unsafe extern "C" fn child_init(pool: *mut ffi::apr_pool_t, server: *mut ffi::server_rec) {
    let start = || {
        // SAFETY: httpd passes its main server.
        let common = unsafe { server.as_ref() }.and_then(|server| ServerConfig::of(server).common());
        if let Some(common) = common {
            // SAFETY: in child_init, once, with the child's pool.
            unsafe { oauth2::start::child(common, pool) };
        }
    };
    // What was not prepared is fetched by the request that needs it, or fails there.
    guard::guard_else(start, || ());
}

// Connections

/// mod_ssl is about to begin with the handshake.
pub(crate) unsafe extern "C" fn pre_handshake(
    connection: *mut ffi::conn_rec,
    ssl: *mut ffi::ssl_st,
    is_proxy: c_int,
) -> c_int {
    guard(|| {
        // SAFETY: mod_ssl passes a connection and its SSL, which live and die together.
        let connection = unsafe { Connection::from_raw(connection) };
        // SAFETY: as above.
        let ssl = unsafe { Ssl::from_raw(ssl.cast()) };
        if let Some(ssl) = ssl.filter(|_| is_proxy == 0) {
            binding::watch(connection, ssl);
        }
        ffi::OK
    })
}

/// After mod_ssl has finished the handshake, before mod_http2 takes over. Event calls this again for each keep-alive turn.
pub(crate) unsafe extern "C" fn process_connection(connection: *mut ffi::conn_rec) -> c_int {
    guard(|| {
        // SAFETY: httpd passes a live connection.
        let connection = unsafe { Connection::from_raw(connection) };
        if !connection.is_secondary() {
            binding::current(connection);
        }
        ffi::DECLINED
    })
}

// Requests

/// Defines request hooks: each guards, wraps and calls its handler, which answers what the hook returns.
macro_rules! request_hooks {
    ($($(#[$doc:meta])* $name:ident: $handler:expr;)+) => {$(
        $(#[$doc])*
        pub(crate) unsafe extern "C" fn $name(r: *mut ffi::request_rec) -> c_int {
            guard(|| {
                // SAFETY: httpd passes a live request.
                let request = unsafe { Request::from_raw(r) };
                injected(request, stringify!($name));
                let handler: fn(Request<'_>) -> Status = $handler;
                handler(request).into()
            })
        }
    )+};
}

request_hooks! {
    /// A request has been read; also after an internal redirect.
    post_read_request: verification::post_read_request;
    /// The request's location is known.
    header_parser: |request| {
        oidc_session::prefix(request);
        Status::Declined
    };
    /// mod_ssl may have asked for a client certificate.
    check_access: |request| {
        certificate::after_access(request);
        oidc_session::prefix(request);
        Status::Declined
    };
    /// Who is asking?
    check_authn: oauth2::authentication::check;
    /// May they?
    auth_checker: oauth2::authorization::check;
    /// Access is granted, and mod_headers has not yet looked.
    fixups: |request| {
        if request.dir_config().broken {
            return Status::INTERNAL_SERVER_ERROR;
        }
        pass::fixups(request);
        oauth2::authentication::fixups(request);
        client_cert::headers(request);
        Status::Declined
    };
}

/// The response has gone out.
pub(crate) unsafe extern "C" fn log_transaction(r: *mut ffi::request_rec) -> c_int {
    guard(|| {
        // SAFETY: httpd passes a live request.
        oauth2::start::look_after(unsafe { Request::from_raw(r) });
        ffi::DECLINED
    })
}

/// mod_status writes its page.
pub(crate) unsafe extern "C" fn status_hook(r: *mut ffi::request_rec, flags: c_int) -> c_int {
    guard(|| {
        let style = match flags {
            flags if flags & ffi::AP_STATUS_SHORT != 0 => Style::Lines,
            flags if flags & ffi::AP_STATUS_NOTABLE != 0 => Style::List,
            _ => Style::Tables,
        };
        // SAFETY: mod_status passes a live request.
        server_status::write(unsafe { Request::from_raw(r) }, style);
        ffi::OK
    })
}

/// Just before the handler, also for subrequests.
pub(crate) unsafe extern "C" fn insert_filter(r: *mut ffi::request_rec) {
    // SAFETY: httpd passes a live request.
    let request = unsafe { Request::from_raw(r) };
    let insert = || {
        injected(request, "insert_filter");
        pass::before_handler(request);
        client_cert::headers(request);
        vary::before_response(request);
        referred::insert_filter(request);
    };
    guard::guard_else(insert, || request.add_output_filter(FAILED));
}

/// The response is one that httpd makes itself, such as a redirect of mod_alias.
pub(crate) unsafe extern "C" fn insert_error_filter(r: *mut ffi::request_rec) {
    // SAFETY: httpd passes a live request.
    let request = unsafe { Request::from_raw(r) };
    let insert = || {
        injected(request, "insert_error_filter");
        vary::before_response(request);
        referred::insert_filter(request);
    };
    guard::guard_else(insert, || request.add_output_filter(FAILED));
}

// Authorization

/// A `Require` line's name and what reads and judges it, as httpd wants it described.
pub(crate) struct Provider(ffi::authz_provider);
// SAFETY: function pointers only.
unsafe impl Sync for Provider {}

impl Provider {
    pub(crate) const fn as_ptr(&self) -> *const c_void {
        (&raw const self.0).cast()
    }
}

/// Defines a provider: how its line is read, once, and how a request is judged by what was read.
macro_rules! provider {
    ($name:literal, $requirement:ty, $parse:expr, $judge:expr) => {{
        unsafe extern "C" fn parse(
            command: *mut ffi::cmd_parms,
            line: *const c_char,
            parsed: *mut *const c_void,
        ) -> *const c_char {
            // SAFETY: httpd passes its command, the rest of the line and where to put what was read.
            guard(|| unsafe { read_requirement::<$requirement>(command, line, parsed, $parse) })
        }
        unsafe extern "C" fn check(
            r: *mut ffi::request_rec,
            _line: *const c_char,
            parsed: *const c_void,
        ) -> ffi::authz_status {
            guard(|| {
                // SAFETY: httpd passes a live request.
                let request = unsafe { Request::from_raw(r) };
                injected(request, "check_authorization");
                // SAFETY: what `parse` gave to httpd.
                let Some(requirement) = (unsafe { parsed.cast::<$requirement>().as_ref() }) else {
                    return ffi::authz_status_AUTHZ_GENERAL_ERROR;
                };
                let judge: fn(Request<'_>, &$requirement) -> Outcome = $judge;
                match judge(request, requirement) {
                    Outcome::Granted => ffi::authz_status_AUTHZ_GRANTED,
                    Outcome::Denied => ffi::authz_status_AUTHZ_DENIED,
                    Outcome::NobodyYet => ffi::authz_status_AUTHZ_DENIED_NO_USER,
                }
            })
        }
        static PROVIDER: Provider = Provider(ffi::authz_provider {
            check_authorization: Some(check),
            parse_require_line: Some(parse),
        });
        ($name, &PROVIDER)
    }};
}

/// All `Require` lines of this module.
pub(crate) static REQUIRE: [(&CStr, &Provider); 3] = [
    provider!(
        c"token-binding",
        TokenBindingRequirement,
        TokenBindingRequirement::parse,
        authorization::judge
    ),
    provider!(c"oauth2_claim", Requirement, Requirement::claim, oauth2::authorization::judge),
    provider!(c"sender-constrained", Requirement, Requirement::constrained, oauth2::authorization::judge),
];

/// Reads a `Require` line; the complaint goes to httpd as a C string of the configuration's pool.
unsafe fn read_requirement<R: 'static>(
    command: *mut ffi::cmd_parms,
    line: *const c_char,
    parsed: *mut *const c_void,
    parse: impl FnOnce(&[&str]) -> Result<R, String>,
) -> *const c_char {
    // SAFETY: httpd never calls without its command.
    let command = unsafe { &*command };
    // SAFETY: the configuration's pool.
    let pool = unsafe { Pool::from_raw(command.pool) };
    // SAFETY: a C string of the configuration.
    let words = unsafe { words_of(line, pool) };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match parse(&words) {
        Ok(requirement) => {
            let requirement: &R = pool.place(requirement);
            // SAFETY: httpd hands the pointer back to `check`; the value lives as long as the configuration.
            unsafe { *parsed = std::ptr::from_ref(requirement).cast() };
            null()
        }
        Err(complaint) => pool.string(&complaint).as_ptr(),
    }
}

/// A line's words, with httpd's quoting.
unsafe fn words_of(line: *const c_char, pool: Pool<'_>) -> Vec<String> {
    let mut rest = line;
    let mut words = Vec::new();
    loop {
        // SAFETY: `rest` points into the line, which ends in NUL.
        let word = unsafe { ffi::ap_getword_conf(pool.as_ptr(), &raw mut rest) };
        // SAFETY: a C string of the pool.
        match unsafe { crate::request::c_str(word) } {
            Some(word) if !word.is_empty() => words.push(word.to_string_lossy().into_owned()),
            _ => return words,
        }
    }
}
