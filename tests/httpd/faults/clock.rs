//! The system's clock is set forward and back under a running server (libfaketime in httpd alone; nobody sets the monotonic clock).

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::common::authorization_server::{AuthorizationServer, decode};
use crate::common::process::poll;
use crate::common::{Builder, Httpd, site};
use crate::oauth2_server::{
    authorization_server, bearer, keys_were_fetched, opaque, present_plainly, resource_server, status,
    unknown_key,
};

/// The clock of one server.
struct Clock(tempfile::TempDir);

impl Clock {
    fn new() -> Self {
        let clock = Self(tempfile::tempdir().expect("a folder"));
        site::set_mode(clock.0.path(), 0o755);
        clock.set(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("offset")
    }

    /// So many seconds before or behind the true time.
    fn set(&self, offset: i64) {
        // libfaketime reads the file at each question: it must never be half written.
        let next = self.0.path().join("next");
        site::write(&next, format!("{offset:+}\n").as_bytes(), 0o644);
        fs::rename(next, self.file()).expect("our own folder");
    }

    fn rules(&self, builder: Builder) -> Httpd {
        let library = fs::read_dir("/usr/lib")
            .expect("/usr/lib")
            .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
            .find(|path| path.is_file())
            .expect("libfaketime (apt-get install libfaketime)");
        builder
            .environment("LD_PRELOAD", &library.display().to_string())
            .environment("FAKETIME_TIMESTAMP_FILE", &self.file().display().to_string())
            .environment("FAKETIME_NO_CACHE", "1")
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .environment("FAKETIME_DONT_RESET", "1")
            .start()
    }
}

const HOUR: i64 = 3600;

fn server(issuer: &AuthorizationServer, clock: &Clock, cache: &str) -> Httpd {
    let places = [("jwks", "{jwks}"), ("opaque", "{introspect}&expiry=4")];
    clock.rules(resource_server(issuer, &places).config(cache))
}

#[test]
fn forward_is_the_end_of_tokens_and_of_what_is_remembered_of_them() {
    let issuer = authorization_server();
    let (jwt, token) = (issuer.token(&bearer()), issuer.token(&opaque()));
    for cache in ["", "OAuth2Cache shm"] {
        let clock = Clock::new();
        let server = server(&issuer, &clock, cache);
        for _ in 0..2 {
            assert_eq!(
                (status(&server, "/jwks/env", &jwt), status(&server, "/opaque/env", &token)),
                (200, 200)
            );
        }
        // The authorization server, whose clock is right, still says "active"; its `exp` is over by ours.
        clock.set(HOUR);
        for (path, token) in [("/jwks/env", &jwt), ("/opaque/env", &token)] {
            let answer = present_plainly(&server, path, token);
            let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
            assert!(answer.status == 401 && challenge.contains("expired"), "{cache} {path} {answer:?}");
        }
        clock.set(0);
        assert_eq!((status(&server, "/jwks/env", &jwt), status(&server, "/opaque/env", &token)), (200, 200));
    }
}

#[test]
fn back_makes_nothing_that_is_remembered_live_longer() {
    let issuer = authorization_server();
    for cache in ["", "OAuth2Cache shm"] {
        let (jwt, token) = (issuer.token(&bearer()), issuer.token(&opaque()));
        assert!(decode(&jwt).0["iat"].is_number());
        let clock = Clock::new();
        let server = server(&issuer, &clock, cache);
        assert_eq!((status(&server, "/jwks/env", &jwt), status(&server, "/opaque/env", &token)), (200, 200));
        issuer.revoke("bearer", &token);
        clock.set(-HOUR);
        // By this clock it was issued in the future.
        assert_eq!(status(&server, "/jwks/env", &jwt), 401, "{cache}");
        thread::sleep(Duration::from_millis(4_500));
        assert_eq!(
            status(&server, "/opaque/env", &token),
            401,
            "{cache}: remembered for longer than `expiry`"
        );
        clock.set(0);
        assert_eq!((status(&server, "/jwks/env", &jwt), status(&server, "/opaque/env", &token)), (200, 401));
    }
}

#[test]
fn intervals_know_nothing_of_the_clock() {
    let (issuer, clock) = (authorization_server(), Clock::new());
    let server = clock.rules(resource_server(&issuer, &[("jwks", "{jwks}&jwks_uri.expiry=30")]));
    keys_were_fetched(&issuer, 1);
    // An unknown key may cause a fetch ten seconds after the last one, whatever the clock says.
    let before = issuer.counts().jwks;
    for (number, offset) in [HOUR, -HOUR, 2 * HOUR, 0].into_iter().enumerate() {
        clock.set(offset);
        assert_eq!(status(&server, "/jwks/env", &unknown_key(number)), 401);
    }
    assert!(issuer.counts().jwks <= before + 1, "{:?}", issuer.counts());
    // Keys are still looked after when the clock was set back: anew after four fifths of half a minute.
    if !super::thorough() {
        return;
    }
    clock.set(-HOUR);
    let before = issuer.counts().jwks;
    let fetched = || {
        status(&server, "/hello.txt", "none");
        thread::sleep(Duration::from_millis(200));
        (issuer.counts().jwks > before).then_some(())
    };
    poll(Duration::from_secs(40), fetched).expect("keys are fetched again");
}
