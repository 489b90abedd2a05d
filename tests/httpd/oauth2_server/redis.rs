//! `OAuth2Cache redis`: with a password, with TLS, and when it is not there.

use std::time::{Duration, Instant};

use serde_json::json;

use super::stores::Store;
use super::{authorization_server, opaque, resource_server, status};
use crate::common::Builder;
use crate::common::authorization_server::{AuthorizationServer, Grant};

const PATH: &str = "/introspect/env";
const PASSPHRASE: &str = "OAuth2CryptoPassphrase \"correct horse battery staple\"";
const FAILED: &str = "token_binding:error*token cache: redis at localhost:";

/// A server with this redis; `options` follow the port.
fn with_redis(issuer: &AuthorizationServer, redis: &Store, options: &str) -> Builder {
    let line = format!("OAuth2Cache redis port={}&{options}", redis.port());
    resource_server(issuer, &[("introspect", "{introspect}"), ("jwks", "{jwks}")]).config(&line)
}

fn tokens<const N: usize>(issuer: &AuthorizationServer) -> [String; N] {
    [(); N].map(|()| issuer.token(&opaque()))
}

#[test]
fn two_servers_share_a_redis_that_reads_nothing() {
    let (issuer, redis) = (authorization_server(), Store::redis(&["--requirepass", "open sesame"]));
    let login = "AUTH \"open sesame\"";
    let secret = "nobody-else-may-read-this";
    let token = issuer.token(&Grant { claims: json!({"group": secret}), ..opaque() });
    // Under valgrind, half a second is not enough.
    let options = "password=open%20sesame&timeout=5000";
    let start = |passphrase: &str| with_redis(&issuer, &redis, options).config(passphrase).start();
    let first = start(PASSPHRASE);
    assert_eq!(status(&first, PATH, &token), 200);
    let before = issuer.counts();
    let second = start(PASSPHRASE);
    assert_eq!(status(&second, PATH, &token), 200);
    assert_eq!(issuer.counts(), before, "neither keys nor verdicts were asked for");

    let keys = redis.redis_keys(login);
    assert_eq!(keys.len(), 2, "a key set and a verdict");
    for key in &keys {
        let value = String::from_utf8_lossy(&redis.tell(&format!("{login}\r\nGET {key}"))).into_owned();
        assert!(value.len() > 100, "{value}");
        for clear in [secret, "scope", "bearer", "kty", issuer.issuer(), &token] {
            assert!(!value.contains(clear), "{clear}: {value}");
        }
    }

    // Another passphrase, another world.
    let stranger = start("OAuth2CryptoPassphrase other");
    assert_eq!(status(&stranger, PATH, &token), 200);
    assert_eq!(issuer.counts().introspection, before.introspection + 1);
    assert_eq!(issuer.counts().jwks, before.jwks + 1);
}

#[test]
fn a_value_that_was_changed_or_moved_is_none() {
    let (issuer, redis) = (authorization_server(), Store::redis(&[]));
    let [good, revoked] = tokens(&issuer);
    let start = || with_redis(&issuer, &redis, "").config(PASSPHRASE).start();
    let key_of = |token: &str| {
        redis.tell("FLUSHALL");
        assert_eq!(status(&start(), PATH, token), 200);
        // The key set is there for its `jwks` location too; verdicts live shorter.
        let keys = redis.redis_keys("");
        let seconds = |key: &String| {
            let answer = String::from_utf8_lossy(&redis.tell(&format!("TTL {key}"))).into_owned();
            answer
                .trim_start_matches(':')
                .split('\r')
                .next()
                .and_then(|word| word.parse::<u64>().ok())
                .expect("seconds")
        };
        keys.into_iter().min_by_key(seconds).expect("a verdict")
    };
    let (other, own) = (key_of(&revoked), key_of(&good));
    issuer.revoke("bearer", &revoked);
    // The verdict on the good token under the name of the revoked one.
    redis.tell(&format!("COPY {own} {other} REPLACE"));
    assert_eq!(status(&start(), PATH, &revoked), 401);
    for change in [
        format!("SETRANGE {own} 40 xxxx"),
        format!("SET {own} \"\""),
        format!("SET {own} nonsense"),
        format!("LPUSH {own}2 x\r\nRENAME {own}2 {own}"),
    ] {
        let before = issuer.counts().introspection;
        redis.tell(&change);
        let server = start();
        server.allow_log(FAILED);
        assert_eq!(status(&server, PATH, &good), 200, "{change}");
        assert_eq!(issuer.counts().introspection, before + 1, "{change}: verified again");
    }
}

#[test]
fn redis_speaks_tls() {
    let issuer = authorization_server();
    let ca = issuer.ca_file();
    let file = |name: &str| ca.with_file_name(name).display().to_string();
    let (certificate, key, ca_file) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let redis = Store::redis(&[
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca_file,
        "--tls-auth-clients",
        "no",
    ]);
    let [token] = tokens(&issuer);
    let start = |options: &str| with_redis(&issuer, &redis, options).config(PASSPHRASE).start();
    assert_eq!(status(&start("tls=on&ca_file={ca}"), PATH, &token), 200);
    let before = issuer.counts();
    assert_eq!(status(&start("tls=on&ca_file={ca}"), PATH, &token), 200);
    assert_eq!(issuer.counts(), before);
    // Nobody believes a certificate of a CA that was not named.
    let server = start("tls=on");
    server.expect_log(FAILED);
    assert_eq!(status(&server, PATH, &token), 200);
    assert_eq!(issuer.counts().introspection, before.introspection + 1);
}

#[test]
fn a_wrong_password_costs_a_line_and_no_request() {
    let (issuer, redis) = (authorization_server(), Store::redis(&["--requirepass", "right"]));
    let [first, second] = tokens(&issuer);
    for options in ["password=wrong", ""] {
        let server = with_redis(&issuer, &redis, options).config(PASSPHRASE).expect_log(FAILED).start();
        server.forbid_in_log("wrong&");
        for token in [&first, &second] {
            assert_eq!(status(&server, PATH, token), 200);
        }
        assert!(!server.log().contains("password=wrong"));
    }
}

#[test]
fn a_redis_that_dies_costs_a_line_in_each_interval() {
    let (issuer, mut redis) = (authorization_server(), Store::redis(&[]));
    let all: [String; 8] = tokens(&issuer);
    let server = with_redis(&issuer, &redis, "").config(PASSPHRASE).expect_log(FAILED).start();
    let (first, others) = all.split_first().expect("tokens");
    assert_eq!(status(&server, PATH, first), 200);
    redis.kill();
    let start = Instant::now();
    for token in others {
        assert_eq!(status(&server, PATH, token), 200);
    }
    let lines = server.log().lines().filter(|line| line.contains("token cache: redis")).count();
    let intervals = 1 + usize::try_from(start.elapsed().as_secs() / 5).unwrap_or(usize::MAX);
    assert!((1..=intervals).contains(&lines), "{lines} {:?}", start.elapsed());
}

#[test]
fn a_redis_that_hangs_keeps_one_request_waiting() {
    let (issuer, redis) = (authorization_server(), Store::redis(&[]));
    let all: [String; 6] = tokens(&issuer);
    let server = with_redis(&issuer, &redis, "timeout=1000").config(PASSPHRASE).expect_log(FAILED).start();
    redis.hang();
    let start = Instant::now();
    for token in &all {
        assert_eq!(status(&server, PATH, token), 200);
    }
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
