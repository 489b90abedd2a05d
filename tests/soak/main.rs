//! `make soak`: all that clients do, right and wrong, at full load over event and prefork, with restarts in between. Each answer is
//! compared with what must come. It ends with status 1 where one was wrong or lost, or a process died.
//!
//! `SOAK_SECONDS` (1800): all of it, half for each MPM. A restart comes every minute, or every ten seconds where all of it takes no
//! more than five minutes; one in three is a hard one.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod http1;
mod http2;
mod memory;
mod record;
mod stage;
// The soak uses some of its keys.
#[allow(dead_code)]
#[path = "../httpd/oauth2/tokens.rs"]
mod tokens;
mod visit;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use common::authorization_server::AuthorizationServer;
use common::{Httpd, Mpm};
use memory::Memory;
use record::Record;
use visit::Cast;

/// Clients with HTTP/1.1: fewer than prefork has processes, so that nobody waits behind a connection that is only kept.
const CLIENTS: usize = 12;
/// Connections with HTTP/2 at a time, where the MPM allows it.
const HTTP2_CONNECTIONS: usize = 3;

fn main() -> ExitCode {
    let seconds =
        std::env::var("SOAK_SECONDS").map_or(1800, |text| text.parse().expect("SOAK_SECONDS: a number"));
    let interval = Duration::from_secs(if seconds > 300 { 60 } else { 10 });
    let issuer = stage::authorization_server();
    let mut good = true;
    for mpm in [Mpm::Event, Mpm::Prefork] {
        good &= run(mpm, &issuer, Duration::from_secs(seconds / 2), interval);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Half an hour or so with one MPM. Dropping the server judges its log: no signal, no panic, no line above notice.
fn run(mpm: Mpm, issuer: &AuthorizationServer, length: Duration, interval: Duration) -> bool {
    let mut server = stage::server(mpm, issuer);
    let (address, record) = (server.tls(), Record::default());
    let cast = Cast::new(issuer);
    let (mut first, mut last) = (None, None);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (cast, record) = (&cast, &record);
            scope.spawn(move || http1::client(address, cast, record, number));
        }
        if mpm == Mpm::Event {
            scope.spawn(|| http2::clients(address, &cast, &record, HTTP2_CONNECTIONS));
        }
        let end = Instant::now() + length;
        while Instant::now() < end && !record.is_over() {
            thread::sleep(interval.min(end.saturating_duration_since(Instant::now())));
            // The same time after a restart each time.
            last = Some(Memory::of(server.pid()));
            first = first.or(last);
            restart(mpm, &mut server, &record);
        }
        record.end();
    });
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    println!("soak: {mpm:?}, {} s: {record}", length.as_secs());
    println!("soak: {mpm:?}: memory (RSS) before the first and before the last restart: {first} / {last}");
    record.is_good()
}

/// A hard restart comes under full load with prefork. The event MPM crashes then now and again (`close_worker_sockets`, see
/// docs/security-testing.md), so nobody waits for an answer while that one is told; connections are open all the same.
fn restart(mpm: Mpm, server: &mut Httpd, record: &Record) {
    if !record.next_restart_is_hard() {
        server.graceful();
    } else if mpm == Mpm::Event {
        record.at_rest(|| server.hard_restart());
    } else {
        record.rough(|| server.hard_restart());
    }
}
