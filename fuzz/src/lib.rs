//! What must hold for every input. Each module is one fuzz target: its `run` panics when the rule is broken.
//!
//! Nothing here needs libFuzzer, so that an input can be looked at in a debugger or a test: `fuzz::message::run(octets)`.
//! `slow` holds second opinions, written from the specifications and sharing no code with the crates.

pub mod answers;
pub mod challenge;
pub mod claims;
pub mod encodings;
pub mod extraction;
pub mod input;
pub mod json;
pub mod jwks;
pub mod jwt;
pub mod keys;
pub mod message;
pub mod negotiation;
pub mod options;
pub mod request;
pub mod shared_cache;
pub mod slow;
pub mod verify;
pub mod world;

/// httpd's threads share OpenSSL's error queue with mod_ssl, which would take what we leave there for its own faults.
pub fn nothing_left_in_openssl() {
    let left = openssl::error::ErrorStack::get();
    assert!(left.errors().is_empty(), "left in OpenSSL's error queue: {left}");
}

/// No octet that could end a header field or hide in one.
pub fn fit_for_a_header(value: &[u8]) {
    assert!(value.iter().all(|octet| *octet >= 0x20 && *octet != 0x7f), "control character in {value:?}");
}
