//! Memory: what a process has after its first requests, connections and restarts is what it has after many more; and what a
//! handshake left behind is not looked at when it failed, which valgrind sees (make valgrind).
//!
//! `make leaks` runs the same with more of everything.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use openssl::ssl::SslVersion;
use serde_json::json;
use tokbind::tls::{Connector, Offer};

use crate::common::process::patience;
use crate::common::{Bound, Builder, Httpd, connector, identity, pki};
use crate::oauth2::tokens;

/// A number from the environment, for `make leaks`, or the quick one.
fn parameter(name: &str, quick: usize) -> usize {
    std::env::var(name).map_or(quick, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Memory of its own that a process has in RAM, in KiB (proc(5)): heap and stacks, not files.
fn resident(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux 4.5 or newer");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The process with the worker threads; mod_cgid's daemon has none.
fn worker(server: &Httpd) -> u32 {
    let text = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).expect("Linux");
    let threads = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let children = text.split_whitespace().map(|word| word.parse().expect("a number"));
    children.max_by_key(threads).expect("a child")
}

/// One child with everything that remembers something.
fn one_child() -> Builder {
    let place = |name: &str, options: &str| {
        format!(
            "<Location /{name}>\nAuthType oauth2\nAuthName api\nRequire valid-user\n\
             OAuth2TokenVerify jwk {{one}}{options}\n</Location>\n"
        )
    };
    Httpd::builder()
        .load(&["authz_user"])
        .value("one", tokens::keys().one.quoted())
        .config("ServerLimit 1\nThreadsPerChild 8\nMaxRequestWorkers 8\nMinSpareThreads 8\nMaxKeepAliveRequests 0")
        .config("OAuth2Cache shm\nClientCertForward Chain\nTokenBindingIncludeReferred On")
        .config(&place("bearer", ""))
        .config(&place("bound", " type=mtls"))
        .file("bearer/hello.txt", "hello\n")
        .file("bound/hello.txt", "hello\n")
        .tls_config("SSLVerifyClient optional_no_ca")
        // One heap for all threads: it finds its size sooner than several.
        .environment("MALLOC_ARENA_MAX", "1")
        .without_access_log()
        .log_level("warn mpm_event:notice")
        .allow_log("MaxRequestWorkers")
        .allow_log("AH01243")
        .allow_log("AH01238")
}

/// Clients of one server.
struct Load {
    server: SocketAddr,
    plain: Connector,
    certified: Connector,
    old: Connector,
    malformed: Connector,
    /// Some for everybody, and as many that are bound to client A's certificate.
    bearer: Vec<String>,
    bound: Vec<String>,
}

impl Load {
    fn on(server: &Httpd) -> Self {
        let settings = || connector().identity(identity(&pki().client_a));
        let claims = |number: usize| json!({"jti": number.to_string(), "exp": tokens::now() + 36_000});
        let proof = tokens::bound_to(&pki().client_a);
        let bound = |number: usize| {
            let mut claims = claims(number);
            claims["cnf"] = proof["cnf"].clone();
            tokens::token(claims)
        };
        Self {
            server: server.tls(),
            plain: connector().build().expect("a connector"),
            certified: settings().build().expect("a connector"),
            old: settings().tls_version(SslVersion::TLS1_2).build().expect("a connector"),
            malformed: connector().offer(Offer::Raw(vec![1, 0, 0])).build().expect("a connector"),
            bearer: (0..50).map(|number| tokens::token(claims(number))).collect(),
            bound: (0..50).map(bound).collect(),
        }
    }

    /// So many requests by four clients, 200 on each connection.
    fn requests(&self, count: usize) {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut stolen = String::new();
                    for start in (0..count / 4).step_by(200) {
                        let numbers = start..(start + 200).min(count / 4);
                        stolen = self.requests_on_one_connection(numbers, &stolen);
                    }
                });
            }
        });
    }

    /// The last of them with a message of another connection. Answers one of this connection.
    fn requests_on_one_connection(&self, numbers: std::ops::Range<usize>, stolen: &str) -> String {
        let mut client = Bound::connect(&self.certified, self.server, "localhost");
        let message = client.message();
        for number in numbers {
            let field = |token: &str| format!("Authorization: Bearer {token}");
            let token = number % self.bearer.len();
            let answer = match number % 5 {
                0 => client.get("/hello.txt", &[]),
                1 => client.get("/", &["Trailer: X", "Sec-Provided-Token-Binding-ID: forged"]),
                2 => client.replay("/bearer/hello.txt", &message, &[&field(&self.bearer[token])]),
                3 => client.replay("/bound/hello.txt", &message, &[&field(&self.bound[token])]),
                _ => {
                    let answer = client.replay("/bearer/hello.txt", &message, &[]);
                    assert_eq!(answer.status, 401, "no token");
                    continue;
                }
            };
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(client.replay("/hello.txt", stolen, &[]).status, 400);
        message
    }

    /// So many connections by four clients, of which every fourth does not get through its handshake.
    fn connections(&self, count: usize) {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..count / 4).for_each(|number| self.connection(number)));
            }
        });
    }

    fn connection(&self, number: usize) {
        let connector = match number % 4 {
            0 => &self.plain,
            1 => &self.certified,
            2 => &self.old,
            _ => return self.failed_handshake(number / 4),
        };
        let answer = Bound::connect(connector, self.server, "localhost").get("/hello.txt", &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Something that is not TLS, a refused extension, and a client that leaves in the middle.
    fn failed_handshake(&self, number: usize) {
        match number % 3 {
            0 => {
                let mut tcp = TcpStream::connect(self.server).expect("the server listens");
                tcp.set_read_timeout(Some(patience(15))).expect("a timeout");
                tcp.write_all(b"\x16\x03\x01\x00\x05hello").expect("the server reads");
                let _ = tcp.read_to_end(&mut Vec::new());
            }
            1 => assert!(self.malformed.connect(self.server, "localhost").is_err(), "decode_error"),
            _ => drop(TcpStream::connect(self.server).expect("the server listens")),
        }
    }
}

/// Memory of httpd's own that a process takes by and by, with or without this module (docs/security-testing.md), in KiB.
const OF_HTTPD: usize = 400;

/// Does a tenth of the work to warm up, then all of it. At the end the process may have `OF_HTTPD` more than after the
/// warm-up, and for each of the `count` things that were done these `octets`: less than the smallest piece of a heap.
fn stays_flat(
    (count, what, octets): (usize, &str, usize),
    measure: impl Fn() -> usize,
    mut work: impl FnMut(usize),
) {
    let tenth = count.div_ceil(10);
    let mut sizes = Vec::new();
    for _ in 0..=10 {
        work(tenth);
        sizes.push(measure());
    }
    println!("{count} {what}: KiB after the warm-up and each tenth: {sizes:?}");
    let allowed = OF_HTTPD + count * octets / 1024;
    assert!(sizes[10] <= sizes[0] + allowed, "{count} {what}: more than {allowed} KiB more: {sizes:?}");
}

#[test]
fn requests_and_connections_leave_nothing_behind() {
    let server = one_child().start();
    let (child, load) = (worker(&server), Load::on(&server));
    load.connections(200);
    let requests = parameter("LEAK_REQUESTS", 10_000);
    stays_flat((requests, "requests", 4), || resident(child), |count| load.requests(count));
    let connections = parameter("LEAK_CONNECTIONS", 1_000);
    stays_flat((connections, "connections", 32), || resident(child), |count| load.connections(count));
    assert_eq!(worker(&server), child, "one process served all of that");
}

#[test]
fn graceful_restarts_leave_nothing_behind() {
    let mut server = one_child().start();
    let (parent, load) = (server.pid(), Load::on(&server));
    let restarts = parameter("LEAK_RESTARTS", 10);
    stays_flat(
        (restarts, "graceful restarts", 2048),
        || resident(parent),
        |count| {
            for _ in 0..count {
                load.connections(8);
                server.graceful();
            }
        },
    );
}

#[test]
fn what_a_failed_handshake_left_is_not_looked_at() {
    let server = one_child().start();
    let load = Load::on(&server);
    for number in 0..9 {
        load.failed_handshake(number);
    }
    assert_eq!(Bound::open(&server).get("/hello.txt", &[]).status, 200);
}
