//! The C libraries of the process: the system's, each of them once.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use backchannel::http::{Client, Endpoint, Method};

#[test]
fn curl_and_tls_are_the_systems_and_mod_ssls() {
    let url = "https://127.0.0.1:1/".to_owned();
    let (ca_file, client_certificate, proxy, timeout) = (None, None, None, Duration::from_secs(1));
    let nowhere = Endpoint { url, verify_tls: true, ca_file, client_certificate, proxy, timeout };
    assert!(Client::new().send(&nowhere, Method::Get, &[]).is_err());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let loaded = |library: &str| -> BTreeSet<&str> {
        let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        paths.filter(|path| path.rsplit('/').next().unwrap().starts_with(library)).collect()
    };
    for library in ["libssl.so", "libcrypto.so", "libcurl"] {
        assert_eq!(loaded(library).len(), 1, "{library}: {:?}", loaded(library));
    }
    // Debian's libcurl brings GnuTLS along, for RTMP; its https is OpenSSL's, as a rule and here.
    let version = curl::Version::get();
    assert!(version.ssl_version().is_some_and(|version| version.starts_with("OpenSSL/")), "{version:?}");
}

#[test]
fn no_second_crypto_library_is_in_the_lock_file() {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    for name in ["ring", "rustls", "aws-lc-sys", "openssl-src", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}
