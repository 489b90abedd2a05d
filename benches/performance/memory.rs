//! Memory of the server's processes: for each idle connection, and over many requests.

use std::thread;
use std::time::Duration;

use crate::cases::{BOUND, CERTIFICATE, PLAIN};
use crate::client::{Client, Connection, Manner};
use crate::common::Httpd;
use crate::common::process::poll;
use crate::process;
use crate::report::{Table, number};
use crate::subject::{self, Module, Shape};

/// Few threads, whose allocators each keep something in reserve.
const SHAPE: Shape = Shape::Event { children: 1, threads: 4 };
/// Open before the first look, and opened between the two.
const CONNECTIONS: [usize; 2] = [100, 400];

pub fn tables(long: bool) -> Vec<Table> {
    vec![idle(), growth(if long { 1_000_000 } else { 100_000 })]
}

fn idle() -> Table {
    let head = ["idle connection", "octets without", "with", "added", "at most"];
    let mut table = Table::new("idle", &head);
    let manners =
        [("without Token Binding", PLAIN), ("Token Binding", BOUND), ("client certificate", CERTIFICATE)];
    for (name, manner) in manners {
        let sides = thread::scope(|scope| {
            let sides =
                [Module::Nothing, Module::Ours].map(|module| scope.spawn(move || for_each(module, manner)));
            sides.map(|side| side.join().expect("the side is measured"))
        });
        let [without, with] = sides;
        eprintln!("idle, {name}: {:.0} octets added", with - without);
        table.row(&[name.to_owned(), number(without), number(with), number(with - without), number(1024.0)]);
    }
    table
}

/// What a connection takes that has had one request.
fn for_each(module: Module, manner: Manner) -> f64 {
    // One heap: several would each grow by leaps.
    let server = subject::server(module, SHAPE).environment("MALLOC_ARENA_MAX", "1").start();
    let port = if manner.certificate { "certificates" } else { "tls" };
    let client = Client::new(manner, server.port(port));
    let open = |count: usize| -> Vec<Connection> {
        let one = || {
            let mut connection = client.connect();
            assert_eq!(connection.get("/hello.txt", None).status, 200);
            connection
        };
        (0..count).map(|_| one()).collect()
    };
    let [first, more] = CONNECTIONS;
    let held = open(first);
    let before = process::memory(&server);
    let held_too = open(more);
    let after = process::memory(&server);
    drop((held, held_too));
    // The event MPM, told to stop while connections end, may crash: see `Httpd::await_rest`, which waits for few.
    let rest = || (process::open_files(&server) < 60).then_some(());
    poll(Duration::from_secs(30), rest).expect("the connections end");
    #[allow(clippy::cast_precision_loss)] // small
    let each = (after - before) / more as f64;
    each
}

/// Requests over connections that come and go.
fn growth(requests: usize) -> Table {
    const FOR_EACH_CONNECTION: usize = 100;
    let server = subject::server(Module::Ours, Shape::BUSY).start();
    let token = subject::token(0);
    let mut table = Table::new("growth", &["requests", "KiB in all"]);
    let mut done = 0;
    for tenth in [1, 2, 4, 6, 8, 10] {
        let until = requests * tenth / 10;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..(until - done) / 4 / FOR_EACH_CONNECTION {
                        use_one(&server, &token, FOR_EACH_CONNECTION);
                    }
                });
            }
        });
        done = until;
        #[allow(clippy::cast_precision_loss)] // small
        table.row(&[number(done as f64), number(process::memory(&server) / 1024.0)]);
        eprintln!("{done} requests: {:.0} KiB", process::memory(&server) / 1024.0);
    }
    table
}

/// A connection with Token Binding; every other request has an access token.
fn use_one(server: &Httpd, token: &str, requests: usize) {
    let mut connection = Client::new(BOUND, server.tls()).connect();
    for number in 0..requests {
        let answer = match number % 2 {
            0 => connection.get("/hello.txt", None),
            _ => connection.get("/bearer/hello.txt", Some(token)),
        };
        assert_eq!(answer.status, 200);
    }
}
