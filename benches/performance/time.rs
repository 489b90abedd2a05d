//! CPU time inside httpd and requests per second, under the load of `tokbind bench`.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use token_binding::Ekm;

use crate::cases::{self, Case, Work};
use crate::client::Client;
use crate::common::{Httpd, keys};
use crate::instructions::prove;
use crate::process::{self, quarter};
use crate::report::{Table, number, tenth};
use crate::subject::{self, Module, Shape};

/// In which order they are measured.
const CASES: [&str; 10] = [
    "token-binding",
    "not-negotiated",
    "certificate",
    "bearer",
    "bound-token",
    "connection-token-binding",
    "connection",
    "h2-token-binding",
    "h2-not-negotiated",
    "h2-bearer",
];
/// mod_oauth2 does the same work here.
const SHARED: [&str; 2] = ["bearer", "bound-token"];

/// The servers take turns, so that what else the machine does meets them alike.
const ROUNDS: usize = 12;
const SECONDS: u64 = 1;
const CONNECTIONS: u32 = 8;

#[derive(Clone, Copy)]
struct Load {
    /// Microseconds on a processor for each request.
    cpu: f64,
    /// Requests per second.
    rate: f64,
}

pub fn tables() -> Vec<Table> {
    let modules = [Module::Nothing, Module::Ours, Module::Oauth2];
    let servers = modules.map(|module| (module, subject::timed(module, Shape::BUSY).start()));
    let head = [
        "case",
        "CPU µs without",
        "with",
        "added",
        "mod_oauth2 added",
        "req/s without",
        "with",
        "mod_oauth2",
    ];
    let mut table = Table::new("time", &head);
    for name in CASES {
        let case = cases::by_name(name);
        let wanted = if SHARED.contains(&name) { 3 } else { 2 };
        let loads = measure(case, &servers[..wanted]);
        let cpu = |side: usize| loads[side].cpu;
        let theirs = loads.get(2);
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        // Our client takes longer for a connection than the server.
        let is_connection = !matches!(case.work, Work::Requests(_));
        let rate = |side: usize| if is_connection { "–".to_owned() } else { number(loads[side].rate) };
        table.row(&[
            format!("`{name}`"),
            tenth(cpu(0)),
            tenth(cpu(1)),
            tenth(cpu(1) - cpu(0)),
            or_dash(theirs.map(|load| tenth(load.cpu - cpu(0)))),
            rate(0),
            rate(1),
            or_dash(theirs.map(|load| number(load.rate))),
        ]);
        eprintln!("{name}: added {:.1} µs", cpu(1) - cpu(0));
    }
    vec![table]
}

/// A quarter of each server's rounds took less time, and a quarter had more requests per second.
fn measure(case: &Case, servers: &[(Module, Httpd)]) -> Vec<Load> {
    for (module, server) in servers {
        let mut connection = Client::new(case.manner, server.port(case.port())).connect();
        prove(*module, case, &mut connection);
    }
    let mut rounds: Vec<Vec<Load>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((module, server), loads) in servers.iter().zip(&mut rounds) {
            loads.push(load(case, *module, server));
        }
    }
    let summary = |loads: Vec<Load>| Load {
        cpu: quarter(loads.iter().map(|load| load.cpu).collect()),
        rate: -quarter(loads.iter().map(|load| -load.rate).collect()),
    };
    rounds.into_iter().map(summary).collect()
}

fn load(case: &Case, module: Module, server: &Httpd) -> Load {
    let before = process::cpu(server);
    let (requests, rate) = match case.work {
        Work::Connections | Work::ConnectionsWithRequest => connections(case, server),
        Work::Requests(_) | Work::NewTokens => requests(case, module, server),
    };
    Load { cpu: (process::cpu(server) - before).as_secs_f64() * 1e6 / requests, rate }
}

/// Connections with one request each: how many, and how many per second.
fn connections(case: &Case, server: &Httpd) -> (f64, f64) {
    let (client, start) = (Client::new(case.manner, server.tls()), Instant::now());
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                while start.elapsed() < Duration::from_secs(SECONDS) {
                    assert_eq!(client.connect().get("/hello.txt", None).status, 200);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let done = f64::from(done.into_inner());
    (done, done / start.elapsed().as_secs_f64())
}

/// Some seconds of `tokbind bench`: requests, and requests per second.
fn requests(case: &Case, module: Module, server: &Httpd) -> (f64, f64) {
    let (folder, token) = case.work.place().folder_and_token();
    let mut command = Command::new(subject::release().with_file_name("tokbind"));
    command.args(["bench", "--json", "--expect", "200", "--duration", &SECONDS.to_string()]);
    command.args(["--connections", &CONNECTIONS.to_string()]);
    command.arg("--cacert").arg(server.pki("ca.pem"));
    command.arg(if case.manner.http2 { "--http2" } else { "--http1.1" });
    if !case.manner.token_binding {
        command.arg("--no-token-binding");
    } else if module != Module::Ours {
        // As many octets, that mean nothing to it.
        let message = tokbind::binding::field_value(&keys().a, None, &Ekm::new([0; 32]));
        command.arg("--replay").arg(message.expect("a message"));
    }
    if case.manner.certificate {
        command
            .arg("--cert")
            .arg(server.pki("client_a.pem"))
            .arg("--cert-key")
            .arg(server.pki("client_a.key"));
    }
    if let Some(token) = token {
        command.args(["--bearer", &token]);
    }
    command.arg(format!("https://localhost:{}{folder}/hello.txt", server.port(case.port()).port()));
    let output = command.output().expect("tokbind runs (make release)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}: {said}", case.name, module.name());
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let figure = |name: &str| result[name].as_f64().expect("a number");
    (figure("requests"), figure("requests_per_second"))
}
