//! Instructions per piece of work, with the module and without it.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use tokbind::http1;

use crate::callgrind::{self, Metered, Runs};
use crate::cases::{CASES, Case, Limit, Place, Work};
use crate::client::{Client, Connection};
use crate::common::{Httpd, certificates};
use crate::report::{Table, number};
use crate::subject::{self, Module, Shape};
use crate::tokens;
use crate::yardstick::Yardsticks;

/// What a case came to.
pub struct Figure {
    pub case: &'static Case,
    pub without: f64,
    pub with: f64,
    /// What the module may add.
    pub allowed: f64,
}

impl Figure {
    pub fn added(&self) -> f64 {
        self.with - self.without
    }
}

/// Counts the named cases, or all. The two servers of a comparison run at the same time.
pub fn count(names: &[&str], profiles: Option<&Path>) -> Vec<Figure> {
    if let Some(unknown) = names.iter().find(|name| CASES.iter().all(|case| case.name != **name)) {
        panic!("there is no case {unknown}");
    }
    let wanted = |case: &&Case| names.is_empty() || names.contains(&case.name);
    let yardsticks = thread::spawn(Yardsticks::measure);
    let yardsticks = yardsticks.join().expect("the yardsticks are measured");
    eprintln!(
        "P-256 verification {:.0}, exporter {:.0}, RS256 verification {:.0} instructions",
        yardsticks.p256, yardsticks.exporter, yardsticks.rs256
    );
    let mut figures = Vec::new();
    for http2 in [false, true] {
        let cases: Vec<&'static Case> =
            CASES.iter().filter(wanted).filter(|case| case.manner.http2 == http2).collect();
        if cases.is_empty() {
            continue;
        }
        let side = |module| Side { module, profiles }.count(&cases, http2);
        let (without, with) = thread::scope(|scope| {
            let without = scope.spawn(|| side(Module::Nothing));
            let with = side(Module::Ours);
            (without.join().expect("the other side"), with)
        });
        for ((case, without), with) in cases.into_iter().zip(without).zip(with) {
            let allowed = match case.limit {
                Limit::Instructions(count) => count,
                Limit::TokenBinding(times) => times * (yardsticks.p256 + yardsticks.exporter),
                Limit::Rs256(times) => times * yardsticks.rs256,
                Limit::Share(share) => share * without,
            };
            figures.push(Figure { case, without, with, allowed });
        }
    }
    figures
}

pub fn print(figures: &[Figure]) {
    println!("{:<26}{:>12}{:>12}{:>10}{:>10}", "case", "without", "with", "added", "allowed");
    for figure in figures {
        println!(
            "{:<26}{:>12.0}{:>12.0}{:>10.0}{:>10.0}{}",
            figure.case.name,
            figure.without,
            figure.with,
            figure.added(),
            figure.allowed,
            if figure.added() > figure.allowed { "  too much" } else { "" }
        );
    }
}

/// All cases, and what mod_oauth2 adds in those where it does the same work.
pub fn tables() -> Vec<Table> {
    let figures = count(&[], None);
    let same_work = |figure: &&Figure| ["bearer", "bound-token", "new-token"].contains(&figure.case.name);
    let shared: Vec<&Figure> = figures.iter().filter(same_work).collect();
    let cases: Vec<&Case> = shared.iter().map(|figure| figure.case).collect();
    let theirs = Side { module: Module::Oauth2, profiles: None }.count(&cases, false);
    let mut counts = Table::new("counts", &["case", "without", "with", "added", "at most", ""]);
    for figure in &figures {
        let (added, most) = (figure.added(), figure.allowed);
        let verdict = match (figure.case.manner.http2, added > most) {
            (true, _) => "cannot be told",
            (false, true) => "**missed**",
            (false, false) => "",
        };
        let numbers = [figure.without, figure.with, added, most].map(number);
        counts.row(&[&[format!("`{}`", figure.case.name)][..], &numbers, &[verdict.to_owned()]].concat());
    }
    let mut comparison = Table::new("mod_oauth2", &["added by", "this module", "mod_oauth2"]);
    for (figure, theirs) in shared.into_iter().zip(theirs) {
        let name = format!("`{}`", figure.case.name);
        comparison.row(&[name, number(figure.added()), number(theirs - figure.without)]);
    }
    vec![counts, comparison]
}

/// One of the servers.
struct Side<'a> {
    module: Module,
    profiles: Option<&'a Path>,
}

impl Side<'_> {
    fn count(&self, cases: &[&Case], http2: bool) -> Vec<f64> {
        let server =
            Metered::start(subject::server(self.module, if http2 { Shape::HTTP2 } else { Shape::One }));
        let count = |case: &&Case| {
            let start = Instant::now();
            let count = self.count_case(&server, case);
            eprintln!("{} {}: {count:.0} ({:.0?})", case.name, self.module.name(), start.elapsed());
            count
        };
        cases.iter().map(count).collect()
    }

    fn count_case(&self, server: &Metered, case: &Case) -> f64 {
        let port = if case.manner.certificate { "certificates" } else { "tls" };
        let client = Client::new(case.manner, server.httpd.port(port));
        let (folder, token) = case.work.place().folder_and_token();
        let mut connection = client.connect();
        prove(self.module, case, &mut connection);
        let path = format!("{folder}/hello.txt");
        // Threads meet in different orders under HTTP/2: that evens out over many requests.
        let requests = if case.manner.http2 { Runs { long: 820, ..REQUESTS } } else { REQUESTS };
        let (runs, mut work): (_, Box<dyn callgrind::Work>) = match case.work {
            Work::Requests(_) => {
                let tokens = token.into_iter().collect();
                (requests, Box::new(Requests { connection, path, tokens, next: 0 }))
            }
            Work::NewTokens => {
                // None comes again.
                let tokens =
                    (0..requests.warm + requests.short + requests.long).map(subject::token).collect();
                (requests, Box::new(Requests { connection, path, tokens, next: 0 }))
            }
            Work::Connections | Work::ConnectionsWithRequest => {
                // The only child serves one connection after the other.
                drop(connection);
                let runs = Runs { warm: 3, short: 5, long: 45 };
                let request = (case.work == Work::ConnectionsWithRequest).then_some(path);
                (runs, Box::new(Connections { client, plain: server.httpd.plain(), request }))
            }
        };
        let profile =
            self.profiles.map(|folder| folder.join(format!("{}.{}", case.name, self.module.name())));
        server.count(runs, profile.as_deref(), &mut *work)
    }
}

/// With the module, the same request on the same connection has the effect that it is measured for.
pub fn prove(module: Module, case: &Case, connection: &mut Connection) {
    let (folder, token) = case.work.place().folder_and_token();
    let answer = connection.get(&format!("{folder}/proof.txt"), token.as_deref());
    assert_eq!(answer.status, 200, "{}: {}", case.name, module.name());
    if module == Module::Nothing {
        return;
    }
    let expected = match case.work.place() {
        Place::Bearer | Place::Bound => subject::claims_witness(0),
        Place::Everybody => {
            let status = if case.manner.token_binding { "verified" } else { "not-negotiated" };
            let id = case.manner.token_binding.then(|| crate::common::id(&crate::common::keys().a));
            let thumbprint = case.manner.certificate.then(thumbprint);
            let or_null = |value: Option<String>| value.unwrap_or_else(|| "(null)".to_owned());
            format!("{status} {} {}", or_null(id), or_null(thumbprint))
        }
    };
    assert_eq!(answer.witness, expected, "{}: the work is not done", case.name);
}

fn thumbprint() -> String {
    let client: &certificates::Identity = &crate::common::pki().client_a;
    tokens::bound_to(client)["cnf"]["x5t#S256"].as_str().expect("text").to_owned()
}

/// Requests on one connection.
pub const REQUESTS: Runs = Runs { warm: 20, short: 20, long: 120 };

/// Requests on one connection, each with the next of some tokens.
pub struct Requests {
    connection: Connection,
    path: String,
    tokens: Vec<String>,
    next: usize,
}

impl Requests {
    /// Of a case, after the proof that its work is done.
    pub fn proved(module: Module, case: &Case, server: &Httpd) -> Self {
        let port = if case.manner.certificate { "certificates" } else { "tls" };
        let mut connection = Client::new(case.manner, server.port(port)).connect();
        prove(module, case, &mut connection);
        let (folder, token) = case.work.place().folder_and_token();
        Self { connection, path: format!("{folder}/hello.txt"), tokens: token.into_iter().collect(), next: 0 }
    }
}

impl callgrind::Work for Requests {
    fn work(&mut self, times: usize) {
        for _ in 0..times {
            let token = self.tokens.get(self.next % self.tokens.len().max(1));
            good(&mut self.connection, &self.path, token.map(String::as_str));
            self.next += 1;
        }
    }

    fn mark(&mut self) {
        let token = self.tokens.first();
        let answer = self.connection.request("OPTIONS", &self.path, token.map(String::as_str));
        assert_eq!(answer.status, 200, "OPTIONS");
    }
}

/// Connections with one request or none.
struct Connections {
    client: Client,
    plain: SocketAddr,
    request: Option<String>,
}

impl callgrind::Work for Connections {
    fn work(&mut self, times: usize) {
        for _ in 0..times {
            let mut connection = self.client.connect();
            if let Some(path) = &self.request {
                good(&mut connection, path, None);
            }
        }
    }

    fn mark(&mut self) {
        let tcp = TcpStream::connect(self.plain).expect("the server listens");
        let request = "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let response = http1::Client::new(tcp).exchange(request).expect("an answer");
        assert_eq!(response.status, 200, "OPTIONS");
    }
}

fn good(connection: &mut Connection, path: &str, token: Option<&str>) {
    let answer = connection.get(path, token);
    assert_eq!(answer.status, 200, "{path}");
}
