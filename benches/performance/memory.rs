//! Memory of the server's processes: for each idle connection, and over many requests.

use std::time::Duration;
use std::{fs, thread};

use serde_json::Value;

use crate::callgrind::only_child;
use crate::cases::{BOUND, CERTIFICATE, PLAIN};
use crate::client::{Client, Connection, Manner};
use crate::common::process::poll;
use crate::common::site;
use crate::process;
use crate::report::{Table, number};
use crate::subject::{self, Module, Shape};

/// Few threads, whose heaps valgrind makes one.
const SHAPE: Shape = Shape::Event { children: 1, threads: 4 };
/// Connections of the two servers whose difference counts.
const CONNECTIONS: [usize; 2] = [20, 160];

pub fn tables(long: bool) -> Vec<Table> {
    vec![idle(), growth(if long { 1_000_000 } else { 100_000 })]
}

fn idle() -> Table {
    let mut table = Table::new("idle", &["idle connection", "octets", "in blocks", "at most"]);
    let manners =
        [("without Token Binding", PLAIN), ("Token Binding", BOUND), ("client certificate", CERTIFICATE)];
    for (name, manner) in manners {
        let [few, many] = CONNECTIONS.map(|connections| alive(manner, connections));
        #[allow(clippy::cast_precision_loss)] // small
        let each =
            |few: u64, many: u64| (many as f64 - few as f64) / (CONNECTIONS[1] - CONNECTIONS[0]) as f64;
        let (octets, blocks) = (each(few[0], many[0]), each(few[1], many[1]));
        eprintln!("idle, {name}: {octets:.0} octets in {blocks:.0} blocks");
        // malloc's own octets are at most 16 for each block.
        let limit = 1024.0 - 16.0 * blocks;
        table.row(&[name.to_owned(), number(octets), number(blocks), number(limit)]);
    }
    table
}

/// Octets and blocks of heap that were asked for in calls of the module, and live when most memory does: at the end, with
/// all connections open. What httpd and OpenSSL take by themselves differs from run to run by more than this.
fn alive(manner: Manner, connections: usize) -> [u64; 2] {
    let folder = tempfile::Builder::new().prefix("dhat-").tempdir().expect("a temporary folder");
    // The child writes there as www-data.
    site::set_mode(folder.path(), 0o777);
    let output = format!("--dhat-out-file={}/%p", folder.path().display());
    let log = format!("--log-file={}/log", folder.path().display());
    let server =
        subject::server(Module::Ours, SHAPE).under(&["valgrind", "-q", "--tool=dhat", &output, &log]).start();
    let child = only_child(server.pid());
    let client = Client::new(manner, server.port(if manner.certificate { "certificates" } else { "tls" }));
    let mut held: Vec<Connection> = (0..connections)
        .map(|_| {
            let mut connection = client.connect();
            assert_eq!(connection.get("/hello.txt", None).status, 200);
            connection
        })
        .collect();
    // Fields of half a megabyte: no moment before took as much, so this one is what DHAT writes down.
    let fields: String = (0..60).map(|n| format!("\r\nX-Field-{n}: {}", "x".repeat(8_000))).collect();
    let last = held.last_mut().expect("connections");
    assert_eq!(last.get("/hello.txt", Some(&fields)).status, 200);
    drop(held);
    drop(server);
    let report = folder.path().join(child.to_string());
    let text = poll(Duration::from_secs(20), || fs::read(&report).ok().filter(|text| text.ends_with(b"}\n")))
        .expect("DHAT's report");
    let report: Value = serde_json::from_slice(&text).expect("DHAT's report is JSON");
    // Frames of the program, and the places where memory was asked for, by the numbers of their frames.
    let frames = report["ftbl"].as_array().expect("frames");
    let is_ours = |place: &Value| {
        let numbers = place["fs"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        let mut names = numbers.filter_map(|number| frames[usize::try_from(number).expect("small")].as_str());
        names.any(|name| name.contains("mod_token_binding"))
    };
    let places: Vec<&Value> =
        report["pps"].as_array().expect("places").iter().filter(|place| is_ours(place)).collect();
    // "gb" and "gbk": octets and blocks at the moment of the global maximum.
    let sum = |name: &str| places.iter().filter_map(|place| place[name].as_u64()).sum();
    [sum("gb"), sum("gbk")]
}

/// Requests over connections that come and go, without the module as well: httpd grows by itself.
fn growth(requests: usize) -> Table {
    let sizes = [Module::Nothing, Module::Ours].map(|module| grown(module, requests));
    let mut table = Table::new("growth", &["requests", "KiB in all, without", "with"]);
    for (tenth, (without, with)) in TENTHS.into_iter().zip(sizes[0].iter().zip(&sizes[1])) {
        #[allow(clippy::cast_precision_loss)] // small
        table.row(&[(requests * tenth / 10) as f64, *without, *with].map(number));
    }
    table
}

/// When memory is looked at.
const TENTHS: [usize; 6] = [1, 2, 4, 6, 8, 10];

/// KiB after each of these tenths.
fn grown(module: Module, requests: usize) -> Vec<f64> {
    const FOR_EACH_CONNECTION: usize = 100;
    let server = subject::server(module, Shape::BUSY).start();
    let (client, token) = (Client::new(BOUND, server.tls()), subject::token(0));
    let mut done = 0;
    let after = |tenth: usize| {
        let until = requests * tenth / 10;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..(until - done) / 4 / FOR_EACH_CONNECTION {
                        use_one(&client, &token, FOR_EACH_CONNECTION);
                    }
                });
            }
        });
        done = until;
        let size = process::memory(&server) / 1024.0;
        eprintln!("{}, {done} requests: {size:.0} KiB", module.name());
        size
    };
    TENTHS.map(after).to_vec()
}

/// A connection with Token Binding; every other request has an access token.
fn use_one(client: &Client, token: &str, requests: usize) {
    let mut connection = client.connect();
    for number in 0..requests {
        let answer = match number % 2 {
            0 => connection.get("/hello.txt", None),
            _ => connection.get("/bearer/hello.txt", Some(token)),
        };
        assert_eq!(answer.status, 200);
    }
}
