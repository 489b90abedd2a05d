//! `OAuth2Cache`: what one process found out serves the others.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::stores::Store;
use super::{authorization_server, bearer, opaque, resource_server, status};
use crate::common::authorization_server::{AuthorizationServer, Grant};
use crate::common::{Builder, Httpd, Mpm};

const PASSPHRASE: &str = "OAuth2CryptoPassphrase \"correct horse battery staple\"";
const PLACES: &[(&str, &str)] =
    &[("jwks", "{jwks}&verify.cache=default"), ("introspect", "{introspect}"), ("metadata", "{metadata}")];
const MEMCACHE: &str = "OAuth2Cache memcache config_string=--SERVER=127.0.0.1:{store}";
const PROVIDERS: [&str; 2] = ["socache_dbm", "socache_memcache"];

fn cached(issuer: &AuthorizationServer, lines: &str) -> Builder {
    resource_server(issuer, PLACES).load(&PROVIDERS).config(PASSPHRASE).config(lines)
}

fn with_memcached(issuer: &AuthorizationServer, store: &Store) -> Builder {
    cached(issuer, MEMCACHE).value("store", store.port())
}

/// The processes that answered requests.
fn processes(server: &Httpd) -> usize {
    let log = server.file("pids.log");
    log.lines().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn what_one_process_found_out_serves_the_others() {
    let (memcached, redis) = (Store::memcached(), Store::redis(&[]));
    for lines in [
        "OAuth2Cache shm",
        // 48 segments; mutexes that are files, each with a name of its own, and another cache's
        "Mutex flock:{run} token-binding-cache\nOAuth2Cache shm max_entries=100000\nOAuth2Cache shm name=other",
        "OAuth2Cache file dir={run}",
        "OAuth2Cache socache provider=shmcb:{run}/verdicts(512000)",
        MEMCACHE,
        "OAuth2Cache redis host=127.0.0.1&port={redis}",
    ] {
        let issuer = authorization_server();
        let (jwt, token) = (issuer.token(&bearer()), issuer.token(&opaque()));
        let server = cached(&issuer, lines)
            .value("store", memcached.port())
            .value("redis", redis.port())
            .mpm(Mpm::Prefork)
            .children(4)
            .config("LogFormat %P pid\nCustomLog {root}/pids.log pid")
            .start();
        for (path, token) in [("/jwks/env", &jwt), ("/introspect/env", &token), ("/metadata/env", &token)] {
            assert_eq!(status(&server, path, token), 200, "{lines} {path}");
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| assert_eq!(status(&server, path, token), 200, "{lines} {path}"));
                }
            });
        }
        // "Not active" is shared too.
        for _ in 0..8 {
            assert_eq!(status(&server, "/introspect/env", "nonsense"), 401);
        }
        assert!(processes(&server) > 1, "{lines}");
        assert_eq!(issuer.counts().introspection, 3, "{lines}: one for each location and token");
    }
}

#[test]
fn two_servers_share_a_memcached() {
    let (issuer, memcached) = (authorization_server(), Store::memcached());
    let secret = "nobody-else-may-read-this";
    let grant = |grant: Grant<'static>| Grant { claims: json!({"group": secret}), ..grant };
    let (jwt, token) = (issuer.token(&grant(bearer())), issuer.token(&grant(opaque())));
    let first = with_memcached(&issuer, &memcached).start();
    for (path, token) in [("/jwks/env", &jwt), ("/introspect/env", &token), ("/metadata/env", &token)] {
        assert_eq!(status(&first, path, token), 200, "{path}");
    }
    let before = issuer.counts();
    let second = with_memcached(&issuer, &memcached).start();
    for (path, token) in [("/jwks/env", &jwt), ("/introspect/env", &token), ("/metadata/env", &token)] {
        assert_eq!(status(&second, path, token), 200, "{path}");
    }
    assert_eq!(issuer.counts(), before, "nobody was asked");

    let keys = memcached.memcached_keys();
    assert!(keys.len() >= 4, "{keys:?}");
    for key in &keys {
        let value = memcached.tell(&format!("get {key}"));
        let text = String::from_utf8_lossy(&value).into_owned();
        assert!(text.starts_with("VALUE"), "{text}");
        for clear in
            [secret, "scope", "bearer", "kty", "introspection_endpoint", issuer.issuer(), &token, &jwt]
        {
            assert!(!text.contains(clear), "{clear} {key}: {text}");
        }
    }

    // Somebody else wrote there.
    for key in &keys {
        memcached.tell(&format!("set {key} 0 300 5\r\nfalse"));
    }
    let third = with_memcached(&issuer, &memcached).start();
    assert_eq!(status(&third, "/introspect/env", &token), 200);
    assert_eq!(status(&third, "/jwks/env", &jwt), 200);
    assert_eq!(issuer.counts().introspection, before.introspection + 1, "asked again");
}

#[test]
fn a_memcached_that_dies_is_not_missed() {
    let (issuer, mut memcached) = (authorization_server(), Store::memcached());
    let tokens: Vec<String> = (0..6).map(|_| issuer.token(&opaque())).collect();
    let server = with_memcached(&issuer, &memcached).allow_log("socache_memcache:").start();
    assert_eq!(status(&server, "/introspect/env", &tokens[0]), 200);
    memcached.kill();
    for token in &tokens {
        assert_eq!(status(&server, "/introspect/env", token), 200);
        assert_eq!(status(&server, "/introspect/env", "nonsense"), 401);
    }
}

#[test]
fn a_cache_without_its_module_or_passphrase_is_refused() {
    let issuer = authorization_server();
    let test = |lines: &str, passphrase: &str| {
        resource_server(&issuer, PLACES).config(passphrase).config(lines).configtest()
    };
    for (lines, module) in [
        ("OAuth2Cache memcache", "socache_memcache"),
        ("OAuth2Cache file", "socache_dbm"),
        ("OAuth2Cache socache provider=distcache", "socache_distcache"),
    ] {
        let verdict = test(lines, PASSPHRASE);
        assert_eq!(verdict.code, Some(1), "{lines} {verdict:?}");
        assert!(verdict.output.contains("OAuth2Cache"), "{verdict:?}");
        assert!(verdict.output.contains(&format!("LoadModule {module}_module")), "{verdict:?}");
    }
    for lines in ["OAuth2Cache redis", "OAuth2Cache shm encrypt=on"] {
        assert_eq!(test(lines, PASSPHRASE).code, Some(0), "{lines}");
        let verdict = test(lines, "");
        assert_eq!(verdict.code, Some(1), "{lines} {verdict:?}");
        assert!(verdict.output.contains("OAuth2CryptoPassphrase is needed"), "{verdict:?}");
    }
    let verdict = resource_server(&issuer, &[("api", "{jwks}&jwks_uri.cache=other")]).configtest();
    assert!(verdict.code == Some(1) && verdict.output.contains("there is no cache 'other'"), "{verdict:?}");
}

#[test]
fn a_ca_file_for_redis_that_holds_no_certificates_is_refused() {
    let issuer = authorization_server();
    let test = |file: &str| {
        let line = format!("OAuth2Cache redis tls=on&ca_file={file}");
        resource_server(&issuer, PLACES).config(PASSPHRASE).config(&line).configtest()
    };
    assert_eq!(test("{pki}/ca.pem").code, Some(0));
    for file in ["/nowhere/ca.pem", "{root}/mime.types"] {
        let verdict = test(file);
        assert_eq!(verdict.code, Some(1), "{verdict:?}");
        assert!(verdict.output.contains("OAuth2Cache: cannot take CA certificates from /"), "{verdict:?}");
    }
}

#[test]
fn entries_end_with_their_time() {
    let issuer = authorization_server();
    let token = issuer.token(&opaque());
    let server =
        resource_server(&issuer, &[("api", "{introspect}&expiry=2")]).config("OAuth2Cache shm").start();
    for _ in 0..3 {
        assert_eq!(status(&server, "/api/env", &token), 200);
    }
    assert_eq!(issuer.counts().introspection, 1);
    thread::sleep(Duration::from_secs(3));
    assert_eq!(status(&server, "/api/env", &token), 200);
    assert_eq!(issuer.counts().introspection, 2);
}
