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
const ROUNDS: usize = 200;
/// Where there is much time.
const MORE_ROUNDS: usize = 600;
const TURN: Duration = Duration::from_millis(60);
/// Requests that are sent before an answer is read: a worker has always something to do, and the client little.
const AT_ONCE: usize = 40;

/// Microseconds on a processor for each request, of each turn.
struct Costs {
    together: Vec<f64>,
    apart: Vec<f64>,
}

pub fn tables(long: bool) -> Vec<Table> {
    let head = [
        "request",
        "without: apart",
        "together",
        "added: apart",
        "together",
        "the module's throughput, 2 workers",
        "at least",
    ];
    let mut table = Table::new("workers", &head);
    for name in CASES {
        let [without, with] = measure(cases::by_name(name), if long { MORE_ROUNDS } else { ROUNDS });
        let (apart, together) =
            (added(&without.apart, &with.apart), added(&without.together, &with.together));
        eprintln!("{name}: added {apart:.2}, {together:.2} µs");
        let mut row = vec![format!("`{name}`")];
        let costs = [quarter(without.apart), quarter(without.together), apart, together];
        row.extend(costs.map(|cost| format!("{cost:.2}")));
        // A difference that is lost in the noise says nothing.
        row.push(if together > 0.1 { format!("{:.2}", 2.0 * apart / together) } else { "–".to_owned() });
        row.push("1.9".to_owned());
        table.row(&row);
    }
    vec![table]
}

/// The median of the differences between turns that were next to each other.
fn added(without: &[f64], with: &[f64]) -> f64 {
    let mut differences: Vec<f64> = with.iter().zip(without).map(|(with, without)| with - without).collect();
    differences.sort_by(f64::total_cmp);
    differences[differences.len() / 2]
}

/// Two workers of one, and one worker in each of two; without the module and with it.
fn measure(case: &Case, rounds: usize) -> [Costs; 2] {
    let (folder, token) = case.work.place().folder_and_token();
    let path = format!("{folder}/hello.txt");
    let open = |module: Module, server: &Httpd| {
        let client = Client::new(case.manner, server.port(case.port()));
        prove(module, case, &mut client.connect());
        client.pipeline(&path)
    };
    let mut sites = [Module::Nothing, Module::Ours].map(|module| {
        let server = || subject::timed(module, SHAPE).start();
        let servers = [server(), server()];
        let apart = servers.each_ref().map(|server| open(module, server));
        let together = [open(module, &servers[0]), open(module, &servers[0])];
        (servers, together, apart, Costs { together: Vec::new(), apart: Vec::new() })
    });
    for _ in 0..rounds {
        for (servers, together, _, costs) in &mut sites {
            costs.together.push(turn(servers, together, token.as_deref()));
        }
        for (servers, _, apart, costs) in &mut sites {
            costs.apart.push(turn(servers, apart, token.as_deref()));
        }
    }
    sites.map(|(_, _, _, costs)| costs)
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
