//! Keys come and go: when they are fetched, from whom, and what serves meanwhile.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::hang::{at_once, unavailable};
use super::{
    authorization_server, bearer, keys_were_fetched, opaque, present, present_plainly, resource_server,
    status, unknown_key,
};
use crate::common::authorization_server::Endpoint;

/// An unknown key is looked for this long after the last fetch, not before.
const INTERVAL: Duration = Duration::from_millis(10_500);
const PATH: &str = "/api/env";

#[test]
fn a_new_key_is_found_by_its_first_token_and_unknown_ones_cost_nothing() {
    let issuer = authorization_server();
    let old = issuer.token(&bearer());
    let server = resource_server(&issuer, &[("api", "{jwks}")]).start();
    keys_were_fetched(&issuer, 1);
    assert_eq!(status(&server, PATH, &old), 200);
    assert_eq!(issuer.counts().jwks, 1);

    thread::sleep(INTERVAL);
    issuer.rotate();
    let new = issuer.token(&bearer());
    assert_eq!(status(&server, PATH, &new), 200, "the first one finds it: {}", server.log());
    let fetched = Instant::now();
    for number in 0..20 {
        assert_eq!(status(&server, PATH, &unknown_key(number)), 401);
    }
    assert!(fetched.elapsed() < Duration::from_secs(10), "this machine is too busy for this test");
    assert_eq!(issuer.counts().jwks, 2, "unknown keys are not looked for so soon");

    thread::sleep(INTERVAL);
    for number in 20..40 {
        assert_eq!(status(&server, PATH, &unknown_key(number)), 401);
    }
    assert_eq!(issuer.counts().jwks, 3, "once in an interval");
    assert_eq!((status(&server, PATH, &old), status(&server, PATH, &new)), (200, 200));
}

/// While the key is fetched nobody knows whether it exists: the tokens that come meanwhile are not thrown away.
#[test]
fn tokens_with_a_new_key_that_come_together_are_not_refused() {
    let issuer = authorization_server();
    let server = resource_server(&issuer, &[("api", "{jwks}")]).allow_log("cannot be judged").start();
    keys_were_fetched(&issuer, 1);
    thread::sleep(INTERVAL);
    issuer.rotate();
    let tokens: Vec<String> = (0..4).map(|_| issuer.token(&bearer())).collect();
    issuer.delay(Endpoint::Jwks, Duration::from_secs(2));
    let answers = at_once(&server, PATH, &tokens);
    let (served, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!served.is_empty() && !others.is_empty(), "{served:?} {others:?}");
    unavailable(&others);
    for token in &tokens {
        assert_eq!(status(&server, PATH, token), 200);
    }
    assert_eq!(status(&server, PATH, &unknown_key(1)), 401);
}

#[test]
fn known_keys_serve_on_while_the_authorization_server_is_down() {
    let mut issuer = authorization_server();
    let [token, other, late] = [(); 3].map(|()| issuer.token(&bearer()));
    let options = "&metadata.expiry=30&jwks_uri.expiry=30";
    let server = resource_server(
        &issuer,
        &[("api", "{jwks}&jwks_uri.expiry=30"), ("metadata", &format!("{{metadata}}{options}"))],
    )
    .expect_log("authorization server*: localhost:*")
    .allow_log("cannot be judged")
    .start();
    let start = Instant::now();
    assert_eq!(status(&server, PATH, &token), 200);
    issuer.stop();
    // A token that was not seen before needs the keys, not the server.
    assert_eq!(status(&server, PATH, &other), 200);
    assert_eq!(status(&server, "/metadata/env", &other), 200);
    thread::sleep(INTERVAL);
    let answer = present(&server, None, PATH, &unknown_key(1));
    assert_eq!(answer.status, 503, "nobody can say whether there is such a key");
    assert!(
        answer.header("Retry-After").is_some() && answer.header("WWW-Authenticate").is_none(),
        "{answer:?}"
    );
    // They are stale now, and better than none.
    thread::sleep(Duration::from_secs(32).saturating_sub(start.elapsed()));
    for path in [PATH, "/metadata/env"].repeat(3) {
        assert_eq!(status(&server, path, &token), 200, "{path}");
        assert_eq!(status(&server, path, &late), 200, "{path}");
    }
}

#[test]
fn cache_control_counts_within_bounds() {
    let issuer = authorization_server();
    // A verdict is remembered; only a token that is new needs the keys.
    let [early, late] = [(); 2].map(|()| issuer.token(&bearer()));
    let start = |cache_control: &str, options: &str| {
        issuer.header(Endpoint::Jwks, "Cache-Control", cache_control);
        let before = issuer.counts().jwks;
        let server = resource_server(&issuer, &[("api", &format!("{{jwks}}{options}"))]).start();
        keys_were_fetched(&issuer, before + 1);
        server
    };
    let started = Instant::now();
    let servers = [
        ("fresh for 30 s at least", start("public, max-age=1", ""), 1),
        ("no longer than the administrator wants", start("max-age=86400", "&jwks_uri.expiry=30"), 1),
        ("as long as it says otherwise", start("max-age=600", ""), 0),
    ];
    let fetches = |server, token| {
        let before = issuer.counts().jwks;
        assert_eq!(status(server, PATH, token), 200);
        issuer.counts().jwks - before
    };
    thread::sleep(Duration::from_secs(10));
    for (what, server, _) in &servers {
        assert_eq!(fetches(server, &early), 0, "{what}");
    }
    assert!(started.elapsed() < Duration::from_secs(24), "this machine is too busy for this test");
    thread::sleep(Duration::from_secs(22));
    for (what, server, expected) in &servers {
        assert_eq!(fetches(server, &late), *expected, "{what}");
    }
}

#[test]
fn keys_in_a_file_are_read_again() {
    let issuer = authorization_server();
    let old = issuer.token(&bearer());
    let server =
        resource_server(&issuer, &[("api", "OAuth2TokenVerify jwks_uri file://{docroot}/jwks.json")])
            .file("jwks.json", &issuer.get_json("/jwks").to_string())
            .start();
    assert_eq!(status(&server, PATH, &old), 200);
    issuer.replace_keys();
    let new = issuer.token(&bearer());
    fs::write(server.document_root().join("jwks.json"), issuer.get_json("/jwks").to_string()).unwrap();
    thread::sleep(INTERVAL);
    assert_eq!(status(&server, PATH, &new), 200);
}

#[test]
fn the_authorization_server_must_prove_who_it_is() {
    let issuer = authorization_server();
    let (jwt, opaque) = (issuer.token(&bearer()), issuer.token(&opaque()));
    let jwks = "OAuth2TokenVerify jwks_uri {as}/jwks";
    let credentials = "introspect.auth=client_secret_basic&client_id=resource-server&client_secret=correct-horse-battery-staple";
    let introspect = format!("OAuth2TokenVerify introspect {{as}}/token/introspection {credentials}");
    let by_address = "OAuth2TokenVerify jwks_uri {address}/jwks jwks_uri.ca_file={ca}";
    let server = resource_server(
        &issuer,
        &[
            ("jwks", jwks),
            ("jwks-on", &format!("{jwks} jwks_uri.ssl_verify=on")),
            ("jwks-other", &format!("{jwks} jwks_uri.ca_file={{pki}}/self_signed.pem")),
            ("jwks-good", &format!("{jwks} jwks_uri.ca_file={{ca}}&jwks_uri.ssl_verify=1")),
            ("jwks-off", &format!("{jwks} jwks_uri.ssl_verify=off")),
            ("address", by_address),
            ("introspect", &introspect),
            ("introspect-on", &format!("{introspect}&introspect.ssl_verify=on")),
            ("introspect-good", &format!("{introspect}&introspect.ca_file={{ca}}")),
            ("introspect-off", &format!("{introspect}&introspect.ssl_verify=false")),
        ],
    )
    .value("address", issuer.issuer().replace("localhost", "127.0.0.1"))
    .expect_log(
        "token_binding:error*authorization server*TLS with localhost:*is the CA in the ca_file option",
    )
    .allow_log("cannot be judged")
    .allow_log("ssl_verify")
    .start();
    for (path, token, expected) in [
        ("/jwks/env", &jwt, 503),
        ("/jwks-on/env", &jwt, 503),
        ("/jwks-other/env", &jwt, 503),
        ("/jwks-good/env", &jwt, 200),
        ("/jwks-off/env", &jwt, 200),
        ("/address/env", &jwt, 200),
        ("/introspect/env", &opaque, 503),
        ("/introspect-on/env", &opaque, 503),
        ("/introspect-good/env", &opaque, 200),
        ("/introspect-off/env", &opaque, 200),
    ] {
        let answer = present(&server, None, path, token);
        assert_eq!(answer.status, expected, "{path}");
        if expected == 503 {
            assert!(answer.header("Retry-After").is_some(), "{path} {answer:?}");
            assert!(!answer.body.contains("localhost:"), "the client learns nothing of it: {answer:?}");
        }
    }
}

#[test]
fn http_timeout_holds_to_within_a_second() {
    let issuer = authorization_server();
    let (jwt, opaque) = (issuer.token(&bearer()), issuer.token(&opaque()));
    for endpoint in [Endpoint::Jwks, Endpoint::Introspection] {
        issuer.delay(endpoint, Duration::from_secs(20));
    }
    let server = resource_server(
        &issuer,
        &[
            ("jwks", "{jwks}&jwks_uri.http_timeout=2"),
            ("introspect", "{introspect}&introspect.http_timeout=2"),
        ],
    )
    .expect_log("authorization server*/jwks: no answer from localhost:*within 2 s")
    .expect_log("authorization server*/introspection: no answer from localhost:*within 2 s")
    .allow_log("no answer from")
    .allow_log("cannot be judged")
    .start();
    // The child tried while it started, and not for long; now it is time for another try.
    server.wait_for_log(0, "no answer from");
    thread::sleep(Duration::from_millis(1100));
    for (path, token) in [("/jwks/env", &jwt), ("/introspect/env", &opaque)] {
        let start = Instant::now();
        let answer = present_plainly(&server, path, token);
        let elapsed = start.elapsed();
        assert_eq!(answer.status, 503, "{path}");
        assert!(
            elapsed > Duration::from_millis(1900) && elapsed < Duration::from_secs(3),
            "{path} {elapsed:?}"
        );
        // And nobody else waits until the next try; on a busy machine, one of these may be it.
        let at_once = |_| {
            let start = Instant::now();
            assert_eq!(status(&server, path, token), 503, "{path}");
            start.elapsed() < Duration::from_secs(1)
        };
        assert!((0..3).any(at_once), "{path}");
    }
}
