//! Two workers of one httpd against one worker in each of two: whether they wait for each other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::{self, Case};
use crate::client::{Client, Pipeline};
use crate::common::Httpd;
use crate::instructions::prove;
use crate::process::{self, quarter};
use crate::report::Table;
use crate::subject::{self, Module, Shape};

/// One process. Each connection has a thread of its own while it has requests.
const SHAPE: Shape = Shape::Event { children: 1, threads: 8 };
const CASES: [&str; 3] = ["token-binding", "bearer", "bound-token"];
/// Servers without the module and with it, workers together and apart take turns, so that what else the machine does meets
/// them alike.
const ROUNDS: usize = 120;
const TURN: Duration = Duration::from_millis(100);
/// Requests that are sent before an answer is read: a worker has always something to do, and the client little.
const AT_ONCE: usize = 40;

/// Microseconds on a processor for each request.
struct Cost {
    together: f64,
    apart: f64,
}

pub fn tables(_long: bool) -> Vec<Table> {
    let head = [
        "request",
        "without: apart",
        "together",
        "with: apart",
        "together",
        "added: apart",
        "together",
        "the module's throughput, 2 workers",
        "at least",
    ];
    let mut table = Table::new("workers", &head);
    for name in CASES {
        let [without, with] = measure(cases::by_name(name));
        let (apart, together) = (with.apart - without.apart, with.together - without.together);
        let ratio = 2.0 * apart / together;
        let mut row = vec![format!("`{name}`")];
        let costs = [without.apart, without.together, with.apart, with.together, apart, together, ratio];
        row.extend(costs.map(|cost| format!("{cost:.2}")));
        row.push("1.9".to_owned());
        eprintln!("{name}: added {apart:.2}, {together:.2} µs");
        table.row(&row);
    }
    vec![table]
}

/// Two workers of one, and one worker in each of two; without the module and with it.
fn measure(case: &Case) -> [Cost; 2] {
    let (folder, token) = case.work.place().folder_and_token();
    let path = format!("{folder}/hello.txt");
    let open = |module: Module, server: &Httpd| {
        let port = if case.manner.certificate { "certificates" } else { "tls" };
        let client = Client::new(case.manner, server.port(port));
        prove(module, case, &mut client.connect());
        client.pipeline(&path)
    };
    let sites = [Module::Nothing, Module::Ours].map(|module| {
        let server = || subject::timed(module, SHAPE).start();
        let servers = [server(), server()];
        let [one, other] = servers.each_ref().map(|server| open(module, server));
        let together = [open(module, &servers[0]), open(module, &servers[0])];
        (module, servers, [together, [one, other]])
    });
    let mut all = sites.map(|(module, servers, pairs)| (module, servers, pairs, [Vec::new(), Vec::new()]));
    for _ in 0..ROUNDS {
        for (_, servers, pairs, turns) in &mut all {
            for (pair, turns) in pairs.iter_mut().zip(turns) {
                turns.push(turn(servers, pair, token.as_deref()));
            }
        }
    }
    all.map(|(_, _, _, [together, apart])| Cost { together: quarter(together), apart: quarter(apart) })
}

fn turn(servers: &[Httpd; 2], connections: &mut [Pipeline; 2], token: Option<&str>) -> f64 {
    let cpu = || servers.iter().map(process::cpu).sum::<Duration>();
    let (before, start) = (cpu(), Instant::now());
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        for connection in connections {
            scope.spawn(|| {
                while start.elapsed() < TURN {
                    connection.get(&[token; AT_ONCE]);
                    done.fetch_add(u32::try_from(AT_ONCE).expect("small"), Ordering::Relaxed);
                }
            });
        }
    });
    (cpu() - before).as_secs_f64() * 1e6 / f64::from(done.into_inner())
}
