//! mod_token_binding: with this module of Apache httpd, a stolen cookie or token is useless.
//!
//! What is here maps httpd's calls to `crates/`, which decide. [`register_hooks`] is the list of all that happens, in the order
//! of a request; the callbacks are in `hooks.rs`, what they do in `handlers/`.

mod binding;
mod body;
mod command;
mod common;
mod config;
mod connection;
mod counters;
mod directives;
mod ffi;
mod filters;
mod guard;
mod handlers;
mod hooks;
mod log;
mod oauth2_directives;
mod pool;
mod request;
mod sections;
mod shared_cache;
mod shared_memory;
mod slot;
mod socache;
mod status;
mod table;
mod tls;
mod waiting_room;

use std::ffi::{c_char, c_int};
use std::ptr::{null, null_mut};

use crate::config::{DirConfig, ServerConfig};

/// The module record that httpd looks for: `LoadModule token_binding_module modules/mod_token_binding.so`.
///
/// httpd writes to it while it loads the module, and only reads it afterwards.
#[unsafe(no_mangle)]
pub static mut token_binding_module: ffi::module = ffi::module {
    version: ffi::MODULE_MAGIC_NUMBER_MAJOR,
    minor_version: ffi::MODULE_MAGIC_NUMBER_MINOR,
    module_index: -1,
    // Other modules order themselves by this name, and <IfModule> knows it.
    name: c"mod_token_binding.c".as_ptr(),
    dynamic_load_handle: null_mut(),
    next: null_mut(),
    magic: ffi::MODULE_COOKIE,
    rewrite_args: None,
    create_dir_config: Some(hooks::create::<DirConfig, c_char>),
    merge_dir_config: Some(hooks::merge::<DirConfig>),
    create_server_config: Some(hooks::create::<ServerConfig, ffi::server_rec>),
    merge_server_config: Some(hooks::merge::<ServerConfig>),
    cmds: directives::COMMANDS.as_ptr(),
    register_hooks: Some(register_hooks),
    flags: 0,
};

/// The record's address, for httpd's look-ups by module.
fn module() -> *const ffi::module {
    &raw const token_binding_module
}

/// The number that httpd gave this module.
fn module_index() -> c_int {
    // SAFETY: written while the module is loaded, before any callback.
    unsafe { (*module()).module_index }
}

/// A list of module names for the order of hooks. httpd keeps the pointer, so it must not be on the stack.
struct Modules<const N: usize>([*const c_char; N]);
// SAFETY: constants, only read.
unsafe impl<const N: usize> Sync for Modules<N> {}

impl<const N: usize> Modules<N> {
    const fn as_ptr(&self) -> *const *const c_char {
        self.0.as_ptr()
    }
}

static MOD_SSL: Modules<2> = Modules([c"mod_ssl.c".as_ptr(), null()]);
static MOD_HTTP2: Modules<2> = Modules([c"mod_http2.c".as_ptr(), null()]);
/// Modules that look at header fields or variables as soon as a request has been read.
static FIRST_READERS: Modules<5> = Modules([
    c"mod_setenvif.c".as_ptr(),
    c"mod_headers.c".as_ptr(),
    c"mod_remoteip.c".as_ptr(),
    c"mod_auth_openidc.c".as_ptr(),
    null(),
]);
static MOD_HEADERS: Modules<2> = Modules([c"mod_headers.c".as_ptr(), null()]);
/// Modules that need the session's binding when they authenticate.
static MOD_AUTH_OPENIDC: Modules<2> = Modules([c"mod_auth_openidc.c".as_ptr(), null()]);

/// Before `APR_HOOK_REALLY_FIRST`: before all others.
const FIRST_OF_ALL: c_int = ffi::APR_HOOK_REALLY_FIRST - 10;

/// Calls one of httpd's registration functions.
macro_rules! register {
    ($function:ident($($argument:expr),+)) => {
        // SAFETY: what is registered are functions and statics of a library that stays mapped; httpd copies the rest.
        unsafe { ffi::$function($($argument),+) }
    };
}

/// All that happens, in the order in which it happens.
unsafe extern "C" fn register_hooks(pool: *mut ffi::apr_pool_t) {
    guard::install_panic_hook();
    // start: configuration and mod_ssl's contexts
    register!(ap_hook_check_config(Some(hooks::check_config), null(), null(), ffi::APR_HOOK_MIDDLE));
    register!(ap_hook_pre_config(Some(hooks::pre_config), null(), null(), ffi::APR_HOOK_MIDDLE));
    register!(ap_hook_post_config(Some(hooks::post_config), null(), null(), ffi::APR_HOOK_MIDDLE));
    register!(ap_hook_pre_mpm(Some(hooks::pre_mpm), null(), null(), ffi::APR_HOOK_MIDDLE));
    register!(ap_hook_child_init(Some(hooks::child_init), null(), null(), ffi::APR_HOOK_MIDDLE));
    // handshake
    register!(tb_hook_mod_ssl(Some(hooks::init_server), Some(hooks::pre_handshake)));
    // connection: when mod_ssl has finished the handshake, and before mod_http2 takes the connection over
    register!(ap_hook_process_connection(
        Some(hooks::process_connection),
        MOD_SSL.as_ptr(),
        MOD_HTTP2.as_ptr(),
        ffi::APR_HOOK_MIDDLE
    ));
    // request: strip, verify, set variables, before any other module looks
    register!(ap_hook_post_read_request(
        Some(hooks::post_read_request),
        null(),
        FIRST_READERS.as_ptr(),
        FIRST_OF_ALL
    ));
    // After SetEnvIf: after an internal redirect there may be no check_access to have the last word.
    register!(ap_hook_header_parser(Some(hooks::header_parser), null(), null(), ffi::APR_HOOK_LAST));
    register!(ap_hook_check_access(
        Some(hooks::check_access),
        MOD_SSL.as_ptr(),
        MOD_AUTH_OPENIDC.as_ptr(),
        ffi::APR_HOOK_MIDDLE,
        ffi::AP_AUTH_INTERNAL_PER_CONF
    ));
    // authentication: an access token comes before mod_auth_openidc's session
    register!(ap_hook_check_authn(
        Some(hooks::check_authn),
        null(),
        MOD_AUTH_OPENIDC.as_ptr(),
        ffi::APR_HOOK_MIDDLE,
        ffi::AP_AUTH_INTERNAL_PER_CONF
    ));
    // above all others: what they did to the body is done
    register!(ap_register_input_filter(
        body::REPLAY.as_ptr(),
        Some(filters::replay_filter),
        None,
        ffi::ap_filter_type_AP_FTYPE_RESOURCE - 1
    ));
    // authorization
    register!(ap_hook_check_authz(
        Some(hooks::auth_checker),
        null(),
        null(),
        FIRST_OF_ALL,
        ffi::AP_AUTH_INTERNAL_PER_CONF
    ));
    for (name, provider) in hooks::REQUIRE {
        register!(ap_register_auth_provider(
            pool,
            ffi::AUTHZ_PROVIDER_GROUP.as_ptr(),
            name.as_ptr(),
            ffi::AUTHZ_PROVIDER_VERSION.as_ptr(),
            provider.as_ptr(),
            ffi::AP_AUTH_INTERNAL_PER_CONF
        ));
    }
    // what the location's application and backend get, before RequestHeader reads the variables
    register!(ap_hook_fixups(Some(hooks::fixups), null(), MOD_HEADERS.as_ptr(), FIRST_OF_ALL));
    register!(ap_hook_insert_filter(Some(hooks::insert_filter), null(), null(), ffi::APR_HOOK_LAST));
    register!(ap_register_input_filter(
        handlers::strip::TRAILERS.as_ptr(),
        Some(filters::trailers_filter),
        None,
        ffi::ap_filter_type_AP_FTYPE_CONTENT_SET
    ));
    // response
    register!(ap_hook_insert_error_filter(
        Some(hooks::insert_error_filter),
        null(),
        null(),
        ffi::APR_HOOK_LAST
    ));
    register!(ap_register_output_filter(
        handlers::vary::FILTER.as_ptr(),
        Some(filters::vary_filter),
        None,
        ffi::ap_filter_type_AP_FTYPE_CONTENT_SET
    ));
    register!(ap_register_output_filter(
        handlers::referred::FILTER.as_ptr(),
        Some(filters::referred_filter),
        None,
        ffi::ap_filter_type_AP_FTYPE_CONTENT_SET
    ));
    register!(ap_register_output_filter(
        filters::FAILED.as_ptr(),
        Some(filters::failed_filter),
        Some(filters::failed_init),
        ffi::ap_filter_type_AP_FTYPE_CONTENT_SET
    ));
    // mod_status' page
    register!(tb_hook_mod_status(Some(hooks::status_hook)));
    // afterwards, behind the modules that write the access log
    register!(ap_hook_log_transaction(
        Some(hooks::log_transaction),
        null(),
        null(),
        ffi::APR_HOOK_REALLY_LAST
    ));
}
