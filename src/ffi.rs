//! httpd, APR and the shim as bindgen sees them, and the few calls of OpenSSL that `openssl-sys` does not declare.
//! Every relaxation of the lints lives here.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnameable_types,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_qualifications,
    clippy::all,
    clippy::cast_possible_truncation,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::indexing_slicing,
    clippy::semicolon_if_nothing_returned
)]

use core::ffi::{c_int, c_ulong};

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

unsafe extern "C" {
    pub fn SSL_get_options(ssl: *const openssl_sys::SSL) -> u64;
    pub fn SSL_up_ref(ssl: *mut openssl_sys::SSL) -> c_int;
    pub fn SSL_get0_peer_certificate(ssl: *const openssl_sys::SSL) -> *mut openssl_sys::X509;
    pub fn SSL_get_early_data_status(ssl: *const openssl_sys::SSL) -> c_int;
}
/// `SSL_OP_NO_EXTENDED_MASTER_SECRET`: the administrator switched extended_master_secret off.
pub const SSL_OP_NO_EXTENDED_MASTER_SECRET: u64 = 1;
/// `SSL_get_secure_renegotiation_support()` is a macro around this.
pub const SSL_CTRL_GET_RI_SUPPORT: c_int = 76;
/// `SSL_EARLY_DATA_ACCEPTED`.
pub const SSL_EARLY_DATA_ACCEPTED: c_int = 2;
/// `"AP24"`: the cookie by which mod_so knows a module of httpd 2.4.
pub const MODULE_COOKIE: c_ulong = 0x4150_3234;

// httpd refuses a module of another major number when it loads it; better that this one is not even built.
const _: () = assert!(MODULE_MAGIC_NUMBER_MAJOR == 20120211, "these are not the headers of httpd 2.4");
// APR aligns what it hands out to 8 bytes.
const _: () = assert!(align_of::<request_rec>() <= 8 && align_of::<conn_rec>() <= 8);
