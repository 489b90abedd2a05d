//! A process of prefork is one worker: half of all processes may wait for an authorization server that hangs, and the others
//! serve on. So do half of the threads of each process of the event MPM.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tokbind::http1::Client;

use super::hang::{children, kill, unavailable};
use super::{
    authorization, authorization_server, opaque, present_plainly, resource_server, status, unknown_key,
    with_a_visitor,
};
use crate::common::exchange::Answer;
use crate::common::process::poll;
use crate::common::{Builder, Httpd, Mpm};

/// What the log says of those for whom there is no place.
const CROWDED: &str = "as many workers as may wait for this authorization server wait for it already";
const PATIENCE: Duration = Duration::from_secs(15);

/// An authorization server that accepts and does not answer.
struct Silent {
    listener: TcpListener,
    connections: Vec<TcpStream>,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        Self { listener, connections: Vec::new() }
    }

    /// `TYPE URL OPTIONS` for OAuth2TokenVerify.
    fn verifier(&self, kind: &str, seconds: u32) -> String {
        let address = self.listener.local_addr().expect("an address");
        format!("OAuth2TokenVerify {kind} http://{address}/ {kind}.http_timeout={seconds}")
    }

    /// How many wait for it at this moment.
    fn waiting(&mut self) -> usize {
        while let Ok((connection, _)) = self.listener.accept() {
            connection.set_nonblocking(true).expect("a socket");
            self.connections.push(connection);
        }
        self.connections.retain_mut(is_open);
        self.connections.len()
    }

    fn wait_until(&mut self, number: usize) {
        let reached = || (self.waiting() == number).then_some(());
        poll(PATIENCE, reached).unwrap_or_else(|| panic!("{} wait", self.waiting()));
    }
}

fn is_open(connection: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match connection.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => (),
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Prefork, with so many processes from the beginning and no more.
fn prefork(builder: Builder, processes: usize) -> Builder {
    builder
        .mpm(Mpm::Prefork)
        .children(processes)
        .config(&format!("MaxRequestWorkers {processes}"))
        .allow_log("token_binding:error*authorization server http://127.0.0.1:")
        .allow_log("cannot be judged")
        // All processes are at work: that is what these tests are about.
        .allow_log("AH00161")
}

/// With a location where tokens are judged by a server that does not answer.
fn with_silence(silent: &Silent, processes: usize, kind: &str, seconds: u32) -> Httpd {
    let place = format!(
        "<Location /silent>\nAuthType oauth2\nAuthName api\nRequire valid-user\n{}\n</Location>",
        silent.verifier(kind, seconds)
    );
    prefork(Httpd::builder().load(&["authz_user"]).config(&place), processes).start()
}

/// Sends a request, and waits for no answer.
fn ask(server: &Httpd, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.plain()).expect("the server listens");
    let fields = authorization(token);
    let request = format!("GET /silent HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    stream
}

/// Two of four processes wait for as long as the limit is.
fn two_wait(server: &Httpd, silent: &mut Silent) -> [TcpStream; 2] {
    let waiters = ["one", "two"].map(|token| ask(server, token));
    silent.wait_until(2);
    waiters
}

/// There is no place for a third one, and it is told so at once.
fn a_third_is_sent_away(server: &Httpd, silent: &mut Silent) {
    let (before, mark, start) = (silent.waiting(), server.log_mark(), Instant::now());
    unavailable(&[present_plainly(server, "/silent", "three")]);
    assert!(server.log_since(mark).contains(CROWDED), "{}", server.log_since(mark));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(silent.waiting(), before);
}

/// So many requests at the same time, with how long each took, sorted; meanwhile something else is done.
fn flood(server: &Httpd, path: &str, tokens: &[String], meanwhile: impl FnOnce()) -> Vec<(Duration, Answer)> {
    let mut answers = thread::scope(|scope| {
        let ask = |token| {
            let start = Instant::now();
            let answer = present_plainly(server, path, token);
            (start.elapsed(), answer)
        };
        let asking: Vec<_> = tokens.iter().map(|token| scope.spawn(move || ask(token))).collect();
        meanwhile();
        asking.into_iter().map(|one| one.join().expect("an answer")).collect::<Vec<_>>()
    });
    answers.sort_by_key(|(time, _)| *time);
    answers
}

/// All were refused, and at most so many of them waited. Those who did not had their answer within a second; one in ten of them
/// may take two on a busy machine.
fn at_most_so_many_waited(answers: &[(Duration, Answer)], most: usize, limit: Duration) {
    answers.iter().for_each(|(_, answer)| unavailable(std::slice::from_ref(answer)));
    let times: Vec<Duration> = answers.iter().map(|(time, _)| *time).collect();
    let surplus = times.len() - most;
    assert!(times[surplus * 9 / 10] < Duration::from_secs(1), "{times:?}");
    assert!(times[surplus - 1] < Duration::from_secs(2), "{times:?}");
    assert!(times[times.len() - 1] < limit + Duration::from_secs(2), "{times:?}");
}

#[test]
fn half_of_preforks_processes_wait_for_introspection() {
    let (issuer, mut silent) = (authorization_server(), Silent::start());
    let good = issuer.token(&opaque());
    let places = [("silent", silent.verifier("introspect", 4)), ("other", "{introspect}".to_owned())];
    let places = places.each_ref().map(|(name, lines)| (*name, lines.as_str()));
    let server = prefork(resource_server(&issuer, &places), 16).start();
    let tokens: Vec<String> = (0..40).map(|number| format!("opaque-{number}")).collect();
    let mut answers = Vec::new();
    with_a_visitor(&server, || {
        answers = flood(&server, "/silent/hello", &tokens, || {
            silent.wait_until(8);
            // One that hangs does not close the door to another.
            assert_eq!(status(&server, "/other/env", &good), 200);
            assert_eq!(silent.waiting(), 8);
        });
    });
    at_most_so_many_waited(&answers, 8, Duration::from_secs(4));
    assert!(answers[32].0 > Duration::from_secs(3), "eight waited: {:?}", answers[32].0);
    assert!(server.log().contains(CROWDED));
}

/// However many lines lead to it: event, with one process of eight threads, where eight processes are allowed.
#[test]
fn half_of_a_process_waits_for_a_server_of_several_lines() {
    let mut silent = Silent::start();
    let line = silent.verifier("introspect", 4);
    let place = |number: usize| {
        format!(
            "<Location /silent{number}>\nAuthType oauth2\nAuthName api\nRequire valid-user\n{line}\n</Location>\n"
        )
    };
    let server = Httpd::builder()
        .load(&["authz_user"])
        .config(&(1..=3).map(place).collect::<String>())
        .allow_log("token_binding:error*authorization server http://127.0.0.1:")
        .allow_log("cannot be judged")
        .start();
    let tokens: Vec<String> = (0..4).map(|number| format!("opaque-{number}")).collect();
    with_a_visitor(&server, || {
        thread::scope(|scope| {
            for path in ["/silent1", "/silent2", "/silent3"] {
                let (server, tokens) = (&server, &tokens);
                scope.spawn(move || {
                    flood(server, path, tokens, || ()).iter().for_each(|(_, answer)| {
                        unavailable(std::slice::from_ref(answer));
                    });
                });
            }
            let mut most = 0;
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(3) {
                most = most.max(silent.waiting());
                thread::sleep(Duration::from_millis(20));
            }
            // On a busy machine httpd may start a second process.
            assert!((4..=4 * children(&server).len()).contains(&most), "{most}");
        });
    });
    assert!(server.log().contains(CROWDED));
    drop(silent);
}

#[test]
fn half_of_preforks_processes_wait_for_keys() {
    let mut silent = Silent::start();
    let server = with_silence(&silent, 16, "jwks_uri", 4);
    // Each asked when it started, got no answer within two seconds, and may ask again a second later.
    silent.wait_until(16);
    silent.wait_until(0);
    thread::sleep(Duration::from_millis(1500));
    let tokens: Vec<String> = (0..40).map(unknown_key).collect();
    let mut most = 0;
    let answers = flood(&server, "/silent", &tokens, || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            most = most.max(silent.waiting());
            let visit = Instant::now();
            // It looks at the length: a process may look after keys before it closes a connection that it has answered.
            let connection = TcpStream::connect(server.plain()).expect("the server listens");
            let page = Client::new(connection).get("/hello.txt", "localhost", &[]).expect("a page");
            assert_eq!(page.status, 200);
            assert!(visit.elapsed() < Duration::from_secs(2), "{:?}", visit.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(most, 8);
    at_most_so_many_waited(&answers, 8, Duration::from_secs(4));
    drop(silent);
}

#[test]
fn the_place_of_a_process_that_was_killed_is_free_again() {
    let mut silent = Silent::start();
    let server = with_silence(&silent, 4, "introspect", 7);
    let start = Instant::now();
    let waiters = two_wait(&server, &mut silent);
    a_third_is_sent_away(&server, &mut silent);
    children(&server).into_iter().for_each(kill);
    silent.wait_until(0);
    drop(waiters);
    // Its successor does not know better before the time is over.
    a_third_is_sent_away(&server, &mut silent);
    assert!(start.elapsed() < Duration::from_secs(7), "too slow a machine: {:?}", start.elapsed());
    thread::sleep(Duration::from_secs(9).saturating_sub(start.elapsed()));
    two_wait(&server, &mut silent);
    a_third_is_sent_away(&server, &mut silent);
    drop(silent);
}

#[test]
fn a_graceful_restart_frees_no_place_before_its_time() {
    let mut silent = Silent::start();
    let mut server = with_silence(&silent, 4, "introspect", 7);
    let waiters = two_wait(&server, &mut silent);
    server.graceful();
    a_third_is_sent_away(&server, &mut silent);
    // Those of the generation before get their answers, and leave.
    for mut waiter in waiters {
        let mut answer = String::new();
        waiter.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    silent.wait_until(0);
    two_wait(&server, &mut silent);
    a_third_is_sent_away(&server, &mut silent);
    drop(silent);
}
