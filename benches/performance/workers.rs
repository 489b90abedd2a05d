//! Two threads of one httpd against one: what the module costs each of them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::{self, Case};
use crate::client::{Client, Pipeline};
use crate::common::Httpd;
use crate::instructions::prove;
use crate::process;
use crate::report::{Table, number};
use crate::subject::{self, Module, Shape};

/// One process. Each connection has a thread of its own while it has requests.
const SHAPE: Shape = Shape::Event { children: 1, threads: 8 };
const CASES: [&str; 2] = ["token-binding", "bearer"];
/// All servers take turns, with one worker and with two, so that what else the machine does meets them alike.
const ROUNDS: usize = 40;
const TURN: Duration = Duration::from_millis(150);
/// Requests that are sent before an answer is read: a worker has always something to do, and the client little.
const AT_ONCE: usize = 40;

/// What one turn came to.
struct Turn {
    /// Microseconds on a processor for each request.
    cpu: f64,
    /// Requests per second.
    rate: f64,
}

pub fn tables(_long: bool) -> Vec<Table> {
    let head = ["request", "workers", "CPU µs without", "with", "added", "req/s without", "with"];
    let mut table = Table::new("workers", &head);
    let servers =
        [Module::Nothing, Module::Ours].map(|module| (module, subject::server(module, SHAPE).start()));
    for name in CASES {
        let case = cases::by_name(name);
        for (workers, [without, with]) in [1, 2].into_iter().zip(measure(case, &servers)) {
            let cpu = [&without, &with].map(|turns| quarter(turns.iter().map(|turn| turn.cpu).collect()));
            let rate = [&without, &with].map(|turns| -quarter(turns.iter().map(|turn| -turn.rate).collect()));
            eprintln!("{name}, {workers} workers: {cpu:.2?} µs, {rate:.0?} per second");
            table.row(&[
                format!("`{name}`"),
                workers.to_string(),
                format!("{:.2}", cpu[0]),
                format!("{:.2}", cpu[1]),
                format!("{:.2}", cpu[1] - cpu[0]),
                number(rate[0]),
                number(rate[1]),
            ]);
        }
    }
    vec![table]
}

/// The turns with one worker, and those with two, of each server.
fn measure(case: &Case, servers: &[(Module, Httpd); 2]) -> [[Vec<Turn>; 2]; 2] {
    let (folder, token) = case.work.place().folder_and_token();
    let path = format!("{folder}/hello.txt");
    let mut connections = servers.each_ref().map(|(module, server)| {
        let client = Client::new(case.manner, server.tls());
        prove(*module, case, &mut client.connect());
        [(); 2].map(|()| client.pipeline(&path))
    });
    let mut all: [[Vec<Turn>; 2]; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (turns, workers) in all.iter_mut().zip(1..) {
            for ((turns, (_, server)), connections) in turns.iter_mut().zip(servers).zip(&mut connections) {
                turns.push(turn(server, &mut connections[..workers], token.as_deref()));
            }
        }
    }
    all
}

fn turn(server: &Httpd, connections: &mut [Pipeline], token: Option<&str>) -> Turn {
    let (cpu, start) = (process::cpu(server), Instant::now());
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
    let (done, seconds) = (f64::from(done.into_inner()), start.elapsed().as_secs_f64());
    Turn { cpu: (process::cpu(server) - cpu).as_secs_f64() * 1e6 / done, rate: done / seconds }
}

/// A quarter of the turns has less: it is little that the rest of the machine took from those.
fn quarter(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 4]
}
