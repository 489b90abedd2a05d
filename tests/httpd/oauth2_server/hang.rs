//! The authorization server accepts and does not answer, and processes die: the server goes on.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokbind::http1::Client;

use super::{
    authorization, authorization_server, bearer, client, keys_were_fetched, opaque, present_plainly,
    resource_server, status, unknown_key, with_a_visitor,
};
use crate::common::authorization_server::{AuthorizationServer, Endpoint};
use crate::common::exchange::Answer;
use crate::common::process::poll;
use crate::common::{Bound, Httpd, Mpm};

/// An unknown key is looked for this long after the last fetch.
const INTERVAL: Duration = Duration::from_millis(10_500);

/// Both endpoints accept and do not answer.
fn hang(issuer: &AuthorizationServer) {
    for endpoint in [Endpoint::Jwks, Endpoint::Introspection] {
        issuer.delay(endpoint, Duration::from_secs(30));
    }
}

/// So many requests at one time.
pub(super) fn at_once(server: &Httpd, path: &str, tokens: &[String]) -> Vec<Answer> {
    thread::scope(|scope| {
        let asking: Vec<_> =
            tokens.iter().map(|token| scope.spawn(move || present_plainly(server, path, token))).collect();
        asking.into_iter().map(|one| one.join().expect("an answer")).collect()
    })
}

/// The processes that serve.
pub(super) fn children(server: &Httpd) -> Vec<u32> {
    let path = format!("/proc/{0}/task/{0}/children", server.pid());
    let text = fs::read_to_string(path).unwrap_or_default();
    // mod_cgid has a process of its own, which is not one of the server's threads' kind.
    let is_worker = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| server.log().contains("mpm_prefork") || !status.contains("Threads:\t1\n"))
    };
    text.split_whitespace().filter_map(|word| word.parse().ok()).filter(is_worker).collect()
}

pub(super) fn kill(pid: u32) {
    let done = Command::new("sh").args(["-c", "kill -KILL \"$0\"", &pid.to_string()]).status();
    assert!(done.is_ok_and(|status| status.success()));
}

pub(super) fn unavailable(answers: &[Answer]) {
    for answer in answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        let seconds = answer.header("Retry-After").and_then(|value| value.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| (1..=30).contains(&seconds)), "{answer:?}");
        assert_eq!(answer.header("WWW-Authenticate"), None);
    }
}

#[test]
fn sixty_unknown_keys_keep_one_worker_waiting() {
    let issuer = authorization_server();
    let good = issuer.token(&bearer());
    let server = resource_server(&issuer, &[("api", "{jwks}&jwks_uri.http_timeout=3")])
        .allow_log("no answer from")
        .allow_log("cannot be judged")
        .start();
    keys_were_fetched(&issuer, 1);
    thread::sleep(INTERVAL);
    hang(&issuer);
    let before = issuer.counts().jwks;
    let tokens: Vec<String> = (0..60).map(unknown_key).collect();
    let start = Instant::now();
    let mut answers = Vec::new();
    with_a_visitor(&server, || answers = at_once(&server, "/api/env", &tokens));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    // Who looks, and who comes while somebody looks, learns that nobody knows; in a process that fetched the keys a moment ago,
    // those tokens are refused.
    assert!(
        statuses.contains(&503) && statuses.iter().all(|status| [401, 503].contains(status)),
        "{statuses:?}"
    );
    let fetches = issuer.counts().jwks - before;
    // Each process that was started meanwhile fetches for itself.
    assert!((1..=8).contains(&fetches), "{fetches}");
    // Known keys serve, in any process that has them; and nothing is left hanging.
    issuer.recover();
    let served = || (status(&server, "/api/env", &good) == 200).then_some(());
    poll(Duration::from_secs(10), served).expect("it goes on");
}

#[test]
fn sixty_opaque_tokens_leave_workers_for_others() {
    let issuer = authorization_server();
    let good = issuer.token(&opaque());
    let server = resource_server(&issuer, &[("api", "{introspect}&introspect.http_timeout=3")])
        .allow_log("no answer from")
        .allow_log("cannot be judged")
        .start();
    hang(&issuer);
    let tokens: Vec<String> = (0..60).map(|number| format!("opaque-{number}")).collect();
    let mut answers = Vec::new();
    let start = Instant::now();
    with_a_visitor(&server, || answers = at_once(&server, "/api/env", &tokens));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    unavailable(&answers);
    issuer.recover();
    let served = || (status(&server, "/api/env", &good) == 200).then_some(());
    poll(Duration::from_secs(40), served).expect("it goes on");
}

/// A process of prefork is one worker, which may wait as the only one of it: what is left are the others.
#[test]
fn a_process_of_prefork_waits_alone() {
    let issuer = authorization_server();
    let good = issuer.token(&opaque());
    let server = resource_server(
        &issuer,
        &[
            ("jwks", "{jwks}&jwks_uri.http_timeout=2"),
            ("introspect", "{introspect}&introspect.http_timeout=2"),
        ],
    )
    .mpm(Mpm::Prefork)
    .children(14)
    .config("MinSpareServers 2\nOAuth2Cache shm")
    .allow_log("no answer from")
    .allow_log("cannot be judged")
    .start();
    thread::sleep(INTERVAL);
    hang(&issuer);
    for (path, tokens) in [
        ("/jwks/env", (0..10).map(unknown_key).collect::<Vec<_>>()),
        ("/introspect/env", (0..10).map(|number| format!("opaque-{number}")).collect()),
    ] {
        let mut answers = Vec::new();
        let start = Instant::now();
        with_a_visitor(&server, || answers = at_once(&server, path, &tokens));
        assert!(start.elapsed() < Duration::from_secs(5), "{path} {:?}", start.elapsed());
        unavailable(&answers);
    }
    issuer.recover();
    let served = || (status(&server, "/introspect/env", &good) == 200).then_some(());
    poll(Duration::from_secs(40), served).expect("it goes on");
}

#[test]
fn a_process_that_starts_waits_two_seconds_for_all_keys_together() {
    // Connections wait in its queue, and nobody accepts them.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let place = |number: usize| {
        format!(
            "<Location /api{number}>\nAuthType oauth2\nAuthName api\nRequire valid-user\n\
             OAuth2TokenVerify jwks_uri http://127.0.0.1:{port}/{number}\n</Location>\n"
        )
    };
    let start = Instant::now();
    let server = Httpd::builder()
        .config(&(0..20).map(place).collect::<String>())
        .load(&["authz_user"])
        .allow_log("token_binding:error*authorization server http://127.0.0.1:")
        .start();
    // On a connection that is kept: a worker looks after keys once its response has gone out.
    let mut client = Client::new(TcpStream::connect(server.plain()).expect("the server listens"));
    assert_eq!(client.get("/hello.txt", "localhost", &[]).expect("a response").status, 200);
    // Each fetch by itself may take five.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    server.wait_for_log(0, &format!("authorization server http://127.0.0.1:{port}/0"));
    // Whoever waits now is told, and the server can stop.
    drop(silent);
}

#[test]
fn a_process_that_is_killed_takes_nothing_with_it() {
    for (mpm, cache) in [
        (Mpm::Event, "shm"),
        (Mpm::Prefork, "shm"),
        (Mpm::Event, "socache provider=dbm:{run}/verdicts&encrypt=off"),
    ] {
        let issuer = authorization_server();
        let tokens: Vec<String> = (0..3).map(|_| issuer.token(&opaque())).collect();
        let server = resource_server(&issuer, &[("api", "{introspect}"), ("jwks", "{jwks}")])
            .load(&["socache_dbm"])
            .mpm(mpm)
            .config(&format!("OAuth2Cache {cache}"))
            .allow_log("encrypt=false")
            .allow_log("no answer from")
            .allow_log("cannot be judged")
            .start();
        for round in 0..3 {
            // While the caches are in use, and while somebody waits for the authorization server.
            issuer.delay(Endpoint::Introspection, Duration::from_millis(400));
            thread::scope(|scope| {
                for client_number in 0..6 {
                    let (server, token) = (&server, &tokens[client_number % tokens.len()]);
                    scope.spawn(move || {
                        let connector = client(None);
                        for _ in 0..10 {
                            // Those whose process dies get no answer.
                            let Ok(connection) = connector.connect(server.tls(), "localhost") else { continue };
                            let fields = authorization(token);
                            let request = format!("GET /api/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n\r\n");
                            let _ = Bound::over(connection, "localhost").exchange(&request);
                        }
                    });
                }
                thread::sleep(Duration::from_millis(200));
                children(&server).into_iter().for_each(kill);
            });
            issuer.recover();
            let start = Instant::now();
            for token in &tokens {
                assert_eq!(status(&server, "/api/env", token), 200, "{mpm:?} {cache} {round}");
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{mpm:?} {cache} {:?}", start.elapsed());
        }
    }
}

#[test]
fn graceful_restarts_lose_no_request() {
    let issuer = authorization_server();
    let token = issuer.token(&bearer());
    let mut server =
        resource_server(&issuer, &[("api", "{jwks}")]).allow_log("AH01243").allow_log("AH01238").start();
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = server.tls();
    thread::scope(|scope| {
        let clients = [(); 2].map(|()| {
            scope.spawn(|| {
                let connector = client(None);
                while !over.load(Ordering::SeqCst) {
                    let answer = Bound::connect(&connector, address, "localhost")
                        .unbound("/api/hello", &[&authorization(&token), "Connection: close"]);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    served.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        for _ in 0..5 {
            let before = served.load(Ordering::SeqCst);
            server.graceful();
            let go_on = || {
                let enough = served.load(Ordering::SeqCst) > before + 6;
                (enough || clients.iter().any(thread::ScopedJoinHandle::is_finished)).then_some(())
            };
            poll(Duration::from_secs(20), go_on).expect("the clients get answers");
        }
        over.store(true, Ordering::SeqCst);
    });
    // Each new process fetched the keys before it served.
    assert!(issuer.counts().jwks >= 6, "{:?}", issuer.counts());
}
