//! The redis cache against a real redis-server, and against servers that are none.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use backchannel::redis_cache::{Invalid, RedisCache, Settings, Unavailable};

use common::certificates::Folder;
use common::redis_server::RedisServer;
use common::{Server, acceptor, within_a_second_of};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);

fn settings(port: u16) -> Settings {
    Settings {
        host: "localhost".to_owned(),
        port,
        username: None,
        password: None,
        tls: false,
        ca_file: None,
        timeout: TIMEOUT,
    }
}

fn cache(port: u16) -> RedisCache {
    RedisCache::new(&settings(port)).unwrap()
}

fn with_password(port: u16, username: Option<&str>, password: &str) -> RedisCache {
    let username = username.map(str::to_owned);
    RedisCache::new(&Settings { username, password: Some(password.to_owned()), ..settings(port) }).unwrap()
}

#[track_caller]
fn failed(result: Result<Option<Vec<u8>>, Unavailable>, reason: &str) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Unavailable::Failed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(reason), "{text}");
    text
}

#[test]
fn values_come_back_as_they_are() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.port);
    assert_eq!(cache.get(b"key").unwrap(), None);
    let everything: Vec<u8> = (0..=255).collect();
    let large = vec![b'x'; 1 << 20];
    for value in [b"".as_slice(), b"\r\n$-1\r\n", &everything, &large] {
        cache.set(&everything, value, MINUTE).unwrap();
        assert_eq!(cache.get(&everything).unwrap().unwrap(), value);
    }
    assert_eq!(cache.get(b"key").unwrap(), None);
}

#[test]
fn values_expire() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.port);
    cache.set(b"short", b"1", Duration::from_millis(300)).unwrap();
    cache.set(b"none", b"1", Duration::ZERO).unwrap();
    cache.set(b"ever", b"1", Duration::MAX).unwrap();
    assert_eq!(cache.get(b"short").unwrap().unwrap(), b"1");
    thread::sleep(Duration::from_millis(400));
    assert_eq!(cache.get(b"short").unwrap(), None);
    assert_eq!(cache.get(b"none").unwrap(), None);
    assert_eq!(cache.get(b"ever").unwrap().unwrap(), b"1");
}

#[test]
fn a_connection_is_used_again() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.port);
    let count = || {
        let statistics = server.tell("INFO stats");
        let line =
            statistics.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
        line.parse::<u32>().unwrap()
    };
    let before = count();
    for _ in 0..10 {
        cache.set(b"key", b"value", MINUTE).unwrap();
        cache.get(b"key").unwrap();
    }
    // The limit is for each question, not for the connection.
    thread::sleep(TIMEOUT);
    cache.get(b"key").unwrap();
    // One of the cache, one of this count.
    assert_eq!(count() - before, 2);
}

#[test]
fn sixteen_threads_each_get_their_own_answer() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.port);
    thread::scope(|scope| {
        for thread in 0..16 {
            let cache = &cache;
            scope.spawn(move || {
                for turn in 0..100 {
                    let key = format!("{thread}");
                    let value = format!("{thread} {turn}");
                    cache.set(key.as_bytes(), value.as_bytes(), MINUTE).unwrap();
                    assert_eq!(cache.get(key.as_bytes()).unwrap().unwrap(), value.as_bytes());
                }
            });
        }
    });
}

#[test]
fn with_a_password() {
    let server = RedisServer::start(&["--requirepass", "correct horse"]);
    let cache = with_password(server.port, None, "correct horse");
    cache.set(b"key", b"value", MINUTE).unwrap();
    assert_eq!(cache.get(b"key").unwrap().unwrap(), b"value");
}

#[test]
fn with_a_wrong_password_or_none() {
    let server = RedisServer::start(&["--requirepass", "correct horse"]);
    let text = failed(with_password(server.port, None, "battery staple").get(b"key"), "WRONGPASS");
    assert!(!text.contains("battery"), "{text}");
    failed(cache(server.port).get(b"key"), "NOAUTH");
}

#[test]
fn as_a_user_with_an_access_control_list() {
    let server = RedisServer::start(&[]);
    server.tell("ACL SETUSER apache on >secret ~tb:* +get +set");
    server.tell("ACL SETUSER open on nopass ~* +get");
    let apache = with_password(server.port, Some("apache"), "secret");
    apache.set(b"tb:1", b"value", MINUTE).unwrap();
    assert_eq!(apache.get(b"tb:1").unwrap().unwrap(), b"value");
    failed(apache.get(b"other"), "NOPERM");
    failed(with_password(server.port, Some("apache"), "guess").get(b"tb:1"), "WRONGPASS");
    failed(with_password(server.port, Some("nobody"), "secret").get(b"tb:1"), "WRONGPASS");
    let without = Settings { username: Some("open".to_owned()), ..settings(server.port) };
    assert_eq!(RedisCache::new(&without).unwrap().get(b"tb:1").unwrap().unwrap(), b"value");
}

#[test]
fn the_password_is_not_repeated_to_the_log() {
    // Redis quotes the arguments of a command that it does not know.
    let server = RedisServer::start(&["--rename-command", "AUTH", ""]);
    let text = failed(with_password(server.port, None, "swordfish").get(b"key"), "unknown command 'AUTH'");
    assert!(!text.contains("swordfish"), "{text}");
}

#[test]
fn tls_with_the_ca_file() {
    let certificates = Folder::mint();
    let server = RedisServer::start_tls(&certificates);
    let with = |ca: &str, host: &str| {
        let ca_file = Some(certificates.file(ca));
        RedisCache::new(&Settings { host: host.to_owned(), tls: true, ca_file, ..settings(server.port) })
            .unwrap()
    };
    for host in ["localhost", "127.0.0.1"] {
        let cache = with("ca.pem", host);
        for _ in 0..3 {
            cache.set(b"key", b"value", MINUTE).unwrap();
            assert_eq!(cache.get(b"key").unwrap().unwrap(), b"value");
        }
    }
    failed(
        with("stranger.pem", "localhost").get(b"key"),
        "certificate in certificate chain (is the CA in the ca_file option",
    );
    // Without TLS to a server that wants it.
    failed(cache(server.port).get(b"key"), "redis at localhost");
}

#[test]
fn tls_with_the_systems_store() {
    let certificates = Folder::mint();
    let server = RedisServer::start_tls(&certificates);
    let cache = RedisCache::new(&Settings { tls: true, ..settings(server.port) }).unwrap();
    failed(cache.get(b"key"), "TLS failed");
}

#[test]
fn tls_is_for_the_hosts_name() {
    let certificates = Folder::mint();
    let server = Server::start_tls(acceptor(&certificates, "elsewhere", false), |stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"$-1\r\n");
    });
    let ca_file = Some(certificates.file("ca.pem"));
    let cache = RedisCache::new(&Settings { tls: true, ca_file, ..settings(server.port) }).unwrap();
    failed(cache.get(b"key"), "hostname mismatch");
}

#[test]
fn a_ca_file_that_is_none() {
    let certificates = Folder::mint();
    for name in ["missing.pem", "ca.key"] {
        let with = Settings { tls: true, ca_file: Some(certificates.file(name)), ..settings(1) };
        let error = RedisCache::new(&with).err().unwrap();
        assert!(matches!(error, Invalid::CaFile { .. }) && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn the_ca_file_is_in_place_of_the_systems_store() {
    // The process's "system store" is our CA: trusted without a ca_file, not with another one.
    let Some(folder) = std::env::var_os("TEST_FOLDER").map(std::path::PathBuf::from) else {
        let certificates = Folder::mint();
        let ca = certificates.file("ca.pem");
        let folder = ca.parent().unwrap().to_str().unwrap();
        let test = "the_ca_file_is_in_place_of_the_systems_store";
        let server = RedisServer::start_tls(&certificates);
        let port = server.port.to_string();
        let variables =
            [("SSL_CERT_FILE", ca.to_str().unwrap()), ("TEST_FOLDER", folder), ("TEST_PORT", &port)];
        return common::again_with_environment(test, &variables);
    };
    let system = Settings { tls: true, ..settings(std::env::var("TEST_PORT").unwrap().parse().unwrap()) };
    assert_eq!(RedisCache::new(&system).unwrap().get(b"key").unwrap(), None);
    let other = Settings { ca_file: Some(folder.join("stranger.pem")), ..system };
    failed(RedisCache::new(&other).unwrap().get(b"key"), "TLS failed");
}

#[test]
fn redis_dies_and_comes_back() {
    let mut server = RedisServer::start(&[]);
    let cache = cache(server.port);
    cache.set(b"key", b"value", MINUTE).unwrap();
    server.kill();
    failed(cache.get(b"key"), "Connection refused");
    assert_eq!(cache.get(b"key"), Err(Unavailable::Resting));
    server.run_again();
    assert_eq!(cache.set(b"key", b"new", MINUTE), Err(Unavailable::Resting));
    thread::sleep(RedisCache::REST);
    assert_eq!(cache.get(b"key").unwrap(), None);
    cache.set(b"key", b"new", MINUTE).unwrap();
    assert_eq!(cache.get(b"key").unwrap().unwrap(), b"new");
}

#[test]
fn a_restart_between_two_questions_is_not_noticed() {
    let mut server = RedisServer::start(&[]);
    let cache = cache(server.port);
    cache.set(b"key", b"value", MINUTE).unwrap();
    server.kill();
    server.run_again();
    assert_eq!(cache.get(b"key").unwrap(), None);
}

#[test]
fn redis_closes_idle_connections() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.port);
    cache.set(b"key", b"value", MINUTE).unwrap();
    server.tell("CLIENT KILL TYPE normal");
    assert_eq!(cache.get(b"key").unwrap().unwrap(), b"value");
}

#[test]
fn a_server_that_never_answers_meets_the_limit() {
    let server = Server::silent();
    let silent = Settings { timeout: SECOND, ..settings(server.port) };
    let password = Some("secret".to_owned());
    // At the question, at AUTH, in the handshake.
    for settings in
        [silent.clone(), Settings { password, ..silent.clone() }, Settings { tls: true, ..silent }]
    {
        let cache = RedisCache::new(&settings).unwrap();
        let result = within_a_second_of(SECOND, || cache.get(b"key"));
        let text = failed(result, "no answer in time; going on without it for 5 s");
        assert!(text.starts_with(&format!("redis at localhost:{}: ", server.port)), "{text}");
        assert_eq!(within_a_second_of(Duration::ZERO, || cache.get(b"key")), Err(Unavailable::Resting));
    }
}

#[test]
fn a_server_that_stops_answering_meets_the_limit_once() {
    let server = Server::start(|stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"$-1\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let cache = RedisCache::new(&Settings { timeout: SECOND, ..settings(server.port) }).unwrap();
    assert_eq!(cache.get(b"key").unwrap(), None);
    // The kept connection and the new one together.
    failed(within_a_second_of(SECOND, || cache.get(b"key")), "no answer in time");
}

#[test]
fn octets_that_trickle_do_not_extend_the_limit() {
    let server = Server::trickling(b"+OKOKOKOKOK", Duration::from_millis(50));
    let cache = RedisCache::new(&Settings { timeout: SECOND, ..settings(server.port) }).unwrap();
    failed(within_a_second_of(SECOND, || cache.get(b"key")), "no answer in time");
}

#[test]
fn garbage_is_no_answer() {
    let cases: [(&[u8], &str); 7] = [
        (b"", "redis at"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not redis's"),
        (b"+OK\r\n", "not redis's"),
        (b"*1\r\n$1\r\nx\r\n", "not redis's"),
        (b"$5\r\nhal", "redis at"),
        (b"$99999999999999999999\r\n", "not redis's"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING Redis is loading"),
    ];
    for (answer, reason) in cases {
        let server = Server::start(move |stream| {
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(answer);
        });
        failed(cache(server.port).get(b"key"), reason);
    }
}

#[test]
fn an_endless_answer_is_given_up() {
    let server = Server::start(|stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"$99999999999\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let cache =
        RedisCache::new(&Settings { timeout: Duration::from_secs(30), ..settings(server.port) }).unwrap();
    let start = Instant::now();
    assert!(matches!(cache.get(b"key"), Err(Unavailable::Failed { .. })));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn after_the_rest_one_asks_for_all() {
    let server = Server::silent();
    let cache = RedisCache::new(&Settings { timeout: SECOND, ..settings(server.port) }).unwrap();
    failed(cache.get(b"key"), "no answer in time");
    thread::sleep(RedisCache::REST);
    let before = server.accepted();
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| cache.get(b"key"))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        results.iter().filter(|result| **result == Err(Unavailable::Resting)).count(),
        7,
        "{results:?}"
    );
    assert_eq!(server.accepted() - before, 1);
}
