//! Start, restarts, stop; and the library as httpd loads it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokbind::http1;

use crate::common::bound::Exporter;
use crate::common::configuration::module_file;
use crate::common::exchange::get_plain;
use crate::common::process::poll;
use crate::common::{Bound, Builder, Httpd, ModulePosition, Mpm, connector, id, keys};

/// A server to be restarted in quick succession. mod_cgid's new daemon may then find the socket of the old one still in use,
/// and gives up; these tests run no scripts.
fn restartable() -> Builder {
    Httpd::builder().allow_log("AH01243").allow_log("AH01238")
}

#[test]
fn the_configuration_is_tested_without_a_start() {
    for position in [ModulePosition::BeforeSsl, ModulePosition::AfterSsl] {
        let verdict = Httpd::builder().position(position).config("TokenBindingEnabled On").configtest();
        assert_eq!(verdict.code, Some(0), "{position:?} {verdict:?}");
        assert!(verdict.output.contains("Syntax OK"), "{verdict:?}");
    }
}

#[test]
fn every_mpm_serves_bound_requests_from_several_clients_at_once() {
    for mpm in Mpm::ALL {
        for position in [ModulePosition::BeforeSsl, ModulePosition::AfterSsl] {
            let server = Httpd::builder().mpm(mpm).position(position).children(2).start();
            thread::scope(|scope| {
                for key in [&keys().a, &keys().b].repeat(2) {
                    let mut client = Bound::open(&server).with_key(key);
                    scope.spawn(move || {
                        for _ in 0..10 {
                            let answer = client.get("/cgi/env.cgi", &[]);
                            assert_eq!(
                                answer.variable("Sec_Provided_Token_Binding_ID"),
                                Some(id(key).as_str()),
                                "{mpm:?} {position:?} {answer:?}"
                            );
                        }
                    });
                }
            });
        }
    }
}

/// Clients that go on until they are told to stop, and count their answers.
#[derive(Default)]
struct Traffic {
    stopped: AtomicBool,
    right: AtomicUsize,
}

impl Traffic {
    /// Bound requests, one after the other, on connections that are kept as long as the server keeps them.
    fn run(&self, server: std::net::SocketAddr) {
        let connector = connector().build().unwrap();
        while !self.stopped.load(Ordering::SeqCst) {
            let mut client = Bound::connect(&connector, server, "localhost");
            // A connection accepted must be served once; later the server may close it between two requests.
            let mut first = true;
            while !self.stopped.load(Ordering::SeqCst) {
                let request = format!(
                    "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nSec-Token-Binding: {}\r\n\r\n",
                    client.message()
                );
                match client.exchange(&request) {
                    Ok(answer) => {
                        assert_eq!((answer.status, answer.body.as_str()), (200, "hello\n"));
                        self.right.fetch_add(1, Ordering::SeqCst);
                        if answer.header("Connection") == Some("close") {
                            break;
                        }
                    }
                    Err(http1::Error::Closed | http1::Error::Io(_)) if !first => break,
                    Err(error) => panic!("a request was lost: {error}"),
                }
                first = false;
            }
        }
    }
}

/// Restarts while two clients go on.
fn restart_under_traffic(mpm: Mpm, times: usize) {
    let mut server = restartable().mpm(mpm).start();
    let (traffic, address) = (Traffic::default(), server.tls());
    thread::scope(|scope| {
        let clients = [(); 2].map(|()| scope.spawn(|| traffic.run(address)));
        for _ in 0..times {
            let before = traffic.right.load(Ordering::SeqCst);
            server.graceful();
            let go_on = || {
                traffic.right.load(Ordering::SeqCst) > before + 4
                    || clients.iter().any(|one| one.is_finished())
            };
            poll(Duration::from_secs(10), || go_on().then_some(())).expect("the clients get answers");
        }
        traffic.stopped.store(true, Ordering::SeqCst);
    });
    let unverified: Vec<_> = server
        .access_log()
        .lines()
        .filter(|line| !line.contains("200 verified"))
        .map(str::to_owned)
        .collect();
    assert!(unverified.is_empty(), "{mpm:?} {unverified:?}");
}

#[test]
fn twenty_graceful_restarts_lose_no_request() {
    restart_under_traffic(Mpm::Event, 20);
}

#[test]
fn graceful_restarts_of_the_other_mpms_lose_no_request() {
    for mpm in [Mpm::Worker, Mpm::Prefork] {
        restart_under_traffic(mpm, 3);
    }
}

/// How often this module stands in each list of hooks of mod_info.
fn hooks(server: &Httpd) -> usize {
    let page = get_plain(server.plain(), "localhost", "/hooks?hooks", &[]).body;
    page.matches("mod_token_binding.c").count()
}

#[test]
fn hooks_do_not_pile_up_over_restarts() {
    let mut server = restartable()
        .load(&["info"])
        .plain_config("<Location /hooks>\nSetHandler server-info\n</Location>")
        .start();
    let first = hooks(&server);
    assert!(first > 0, "mod_info lists our hooks");
    for round in 0..3 {
        server.hard_restart();
        assert_eq!(hooks(&server), first, "hard restart {round}");
        server.graceful();
        assert_eq!(hooks(&server), first, "graceful restart {round}");
    }
    // One refusal, one line.
    let mark = server.log_mark();
    let mut client = Bound::open(&server);
    assert_eq!(client.unbound("/hello.txt", &[]).status, 400);
    assert_eq!(server.log_since(mark).matches("request refused").count(), 1, "{}", server.log_since(mark));
}

#[test]
fn keying_material_of_before_a_restart_is_worth_nothing_after_it() {
    let mut server = restartable().start();
    let mut before = Bound::open(&server);
    let stolen = before.message();
    assert_eq!(before.get("/hello.txt", &[]).status, 200);
    server.hard_restart();
    let mut after = Bound::open(&server);
    assert_ne!(before.stream().ekm().unwrap().as_bytes(), Exporter::ekm(after.stream()).as_bytes());
    assert_eq!(after.replay("/hello.txt", &stolen, &[]).status, 400);
    // httpd closes a connection after 400.
    assert_eq!(Bound::open(&server).get("/hello.txt", &[]).status, 200);
}

/// The output of a tool of binutils or libc-bin.
fn tool(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The files that the loader finds for libssl and libcrypto.
fn openssl_of(library: &str) -> BTreeSet<String> {
    let is_openssl = |line: &&str| line.contains("libssl.so") || line.contains("libcrypto.so");
    tool("ldd", &[library])
        .lines()
        .filter(is_openssl)
        .map(|line| line.split_whitespace().nth(2).unwrap_or_else(|| panic!("not found: {line}")).to_owned())
        .collect()
}

#[test]
fn one_openssl_serves_mod_ssl_and_this_module() {
    let ours = openssl_of(&module_file().display().to_string());
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert_eq!(ours, openssl_of("/usr/lib/apache2/modules/mod_ssl.so"));
}

#[test]
fn the_library_exports_one_symbol_and_stays_mapped() {
    let file = module_file().display().to_string();
    let symbols = tool("nm", &["--dynamic", "--defined-only", &file]);
    let names: Vec<_> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(names, ["token_binding_module"]);
    let dynamic = tool("readelf", &["--dynamic", "--wide", &file]);
    let has = |tag: &str, value: &str| dynamic.lines().any(|line| line.contains(tag) && line.contains(value));
    assert!(has("(FLAGS)", "BIND_NOW") && has("(FLAGS_1)", "NODELETE"), "{dynamic}");
    assert!(has("(NEEDED)", "libssl.so"), "{dynamic}");
    let segments = tool("readelf", &["--segments", "--wide", &file]);
    assert!(segments.contains("GNU_RELRO"), "{segments}");
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a GNU_STACK header");
    assert!(!stack.contains("RWE"), "{stack}");
    // Code that is written to at start, or libraries from where an installation does not expect them.
    for tag in ["TEXTREL", "(RPATH)", "(RUNPATH)"] {
        assert!(!dynamic.contains(tag), "{tag}: {dynamic}");
    }
}
