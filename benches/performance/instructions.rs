//! Instructions per piece of work, with the module and without it.

use std::iter;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use tokbind::http1;

use crate::callgrind::{self, Metered, Runs};
use crate::cases::{CASES, Case, Limit, Place, Work};
use crate::client::{Client, Connection};
use crate::common::{Httpd, certificates};
use crate::profile::Count;
use crate::report::{Table, number};
use crate::subject::{self, Module, Shape};
use crate::tokens;
use crate::yardstick::Yardsticks;

/// What a case came to.
pub struct Figure {
    pub case: &'static Case,
    /// HTTP/1.1 only. With HTTP/2, threads meet in different orders: servers differ by thousands of instructions from run
    /// to run.
    pub without: Option<f64>,
    pub with: Count,
    /// What the module may cost.
    pub allowed: f64,
}

impl Figure {
    /// The difference of the two servers.
    pub fn added(&self) -> Option<f64> {
        self.without.map(|without| self.with.all - without)
    }

    /// From each entrance into the module until it returns.
    pub fn inside(&self) -> Option<f64> {
        self.case.work.is_requests().then(|| self.with.inside())
    }

    /// What the limit is about.
    fn judged(&self) -> f64 {
        self.added().unwrap_or_else(|| self.with.inside())
    }
}

/// Counts the named cases, or all. The two servers of a comparison run at the same time.
pub fn count(names: &[&str], profiles: Option<&Path>) -> Vec<Figure> {
    if let Some(unknown) = names.iter().find(|name| CASES.iter().all(|case| case.name != **name)) {
        panic!("there is no case {unknown}");
    }
    let named = |case: &Case| names.is_empty() || names.contains(&case.name);
    // With HTTP/2 it is compared with HTTP/1.1.
    let compared = |case: &Case| {
        CASES.iter().any(|other| named(other) && other.http1().is_some_and(|http1| http1.name == case.name))
    };
    let wanted = |case: &&Case| named(case) || compared(case);
    let yardsticks = Yardsticks::measure();
    eprintln!(
        "P-256 verification {:.0}, exporter {:.0}, RS256 verification {:.0} instructions",
        yardsticks.p256, yardsticks.exporter, yardsticks.rs256
    );
    let of = |http2: bool| -> Vec<&'static Case> {
        CASES.iter().filter(wanted).filter(|case| case.manner.http2 == http2).collect()
    };
    let side = |module, http2| Side { module, profiles }.count(&of(http2), http2);
    let [without, http1, http2] = thread::scope(|scope| {
        let without = scope.spawn(|| side(Module::Nothing, false));
        let with = [side(Module::Ours, false), side(Module::Ours, true)];
        let [http1, http2] = with;
        [without.join().expect("the other side"), http1, http2]
    });
    let without = without.into_iter().map(|count| Some(count.all)).chain(iter::repeat(None));
    let with = of(false).into_iter().zip(http1).chain(of(true).into_iter().zip(http2));
    let mut figures: Vec<Figure> = Vec::new();
    for ((case, with), without) in with.zip(without) {
        let allowed = match case.limit {
            Limit::Instructions(count) => count,
            Limit::TokenBinding(times) => times * (yardsticks.p256 + yardsticks.exporter),
            Limit::Rs256(times) => times * yardsticks.rs256,
            Limit::Share(share) => share * without.expect("HTTP/1.1"),
            Limit::Http1(times) => times * http1_of(case, &figures).with.inside(),
        };
        figures.push(Figure { case, without, with, allowed });
    }
    figures
}

fn http1_of<'a>(case: &Case, figures: &'a [Figure]) -> &'a Figure {
    let http1 = case.http1().expect("HTTP/2");
    figures.iter().find(|figure| figure.case.name == http1.name).expect("HTTP/1.1 is counted first")
}

pub fn print(figures: &[Figure]) {
    let or_dash = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
    println!("{:<26}{:>12}{:>12}{:>10}{:>10}{:>10}", "case", "without", "with", "added", "inside", "allowed");
    for figure in figures {
        println!(
            "{:<26}{:>12}{:>12.0}{:>10}{:>10}{:>10.0}{}",
            figure.case.name,
            or_dash(figure.without),
            figure.with.all,
            or_dash(figure.added()),
            or_dash(figure.inside()),
            figure.allowed,
            if figure.judged() > figure.allowed { "  too much" } else { "" }
        );
    }
}

/// All cases, and what mod_oauth2 adds in those where it does the same work.
pub fn tables() -> Vec<Table> {
    let figures = count(&[], None);
    vec![added(&figures), parts(&figures), http2(&figures), comparison(&figures)]
}

fn name(figure: &Figure) -> String {
    format!("`{}`", figure.case.name)
}

fn verdict(figure: &Figure) -> String {
    if figure.judged() > figure.allowed { "**missed**" } else { "" }.to_owned()
}

fn added(figures: &[Figure]) -> Table {
    let mut table = Table::new("counts", &["case", "without", "with", "added", "at most", ""]);
    for figure in figures {
        let (Some(without), Some(added)) = (figure.without, figure.added()) else { continue };
        let numbers = [without, figure.with.all, added, figure.allowed].map(number);
        table.row(&[&[name(figure)][..], &numbers, &[verdict(figure)]].concat());
    }
    table
}

/// Whose code it is that the module adds.
fn parts(figures: &[Figure]) -> Table {
    let head = [
        "case",
        "added",
        "the module itself",
        "APR, called by it",
        "OpenSSL",
        "C library",
        "httpd",
        "httpd besides",
    ];
    let mut table = Table::new("parts", &head);
    for figure in figures {
        let (Some(added), Some(inside)) = (figure.added(), figure.inside()) else { continue };
        let called = figure.with.called.map(number);
        let row =
            [&[name(figure), number(added), number(figure.with.own)][..], &called, &[number(added - inside)]];
        table.row(&row.concat());
    }
    table
}

fn http2(figures: &[Figure]) -> Table {
    let mut table = Table::new("http2", &["inside the module", "HTTP/1.1", "HTTP/2", "ratio", "at most", ""]);
    for figure in figures.iter().filter(|figure| figure.case.manner.http2) {
        let (http1, http2) = (http1_of(figure.case, figures).with.inside(), figure.with.inside());
        table.row(&[
            name(figure),
            number(http1),
            number(http2),
            format!("{:.2}", http2 / http1),
            format!("{:.1}", figure.allowed / http1),
            verdict(figure),
        ]);
    }
    table
}

fn comparison(figures: &[Figure]) -> Table {
    let same_work = |figure: &&Figure| ["bearer", "bound-token", "new-token"].contains(&figure.case.name);
    let shared: Vec<&Figure> = figures.iter().filter(same_work).collect();
    let cases: Vec<&Case> = shared.iter().map(|figure| figure.case).collect();
    let theirs = Side { module: Module::Oauth2, profiles: None }.count(&cases, false);
    let mut table = Table::new("mod_oauth2", &["added by", "this module", "mod_oauth2"]);
    for (figure, theirs) in shared.into_iter().zip(theirs) {
        let without = figure.without.expect("HTTP/1.1");
        table.row(&[name(figure), number(figure.with.all - without), number(theirs.all - without)]);
    }
    table
}

/// One of the servers.
struct Side<'a> {
    module: Module,
    profiles: Option<&'a Path>,
}

impl Side<'_> {
    fn count(&self, cases: &[&Case], http2: bool) -> Vec<Count> {
        if cases.is_empty() {
            return Vec::new();
        }
        let server =
            Metered::start(subject::server(self.module, if http2 { Shape::HTTP2 } else { Shape::One }));
        let count = |case: &&Case| {
            let start = Instant::now();
            let count = self.count_case(&server, case);
            eprintln!("{} {}: {:.0} ({:.0?})", case.name, self.module.name(), count.all, start.elapsed());
            count
        };
        cases.iter().map(count).collect()
    }

    fn count_case(&self, server: &Metered, case: &Case) -> Count {
        let port = if case.manner.certificate { "certificates" } else { "tls" };
        let client = Client::new(case.manner, server.httpd.port(port));
        let (folder, token) = case.work.place().folder_and_token();
        let mut connection = client.connect();
        prove(self.module, case, &mut connection);
        let path = format!("{folder}/hello.txt");
        // How often the event MPM is waked differs with HTTP/2: that evens out over many requests.
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
        let (count, profile) = server.count(runs, profile.as_deref(), &mut *work);
        let again = profile.entered_again();
        assert!(!case.work.is_requests() || again.is_empty(), "{}: counted twice: {again:?}", case.name);
        count
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
pub const REQUESTS: Runs = Runs { warm: 20, short: 20, long: 420 };

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
