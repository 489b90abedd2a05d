//! Verdicts from a shared cache: what one costs as the cache fills, and while it is away.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::PLAIN;
use crate::client::{Client, Connection, Pipeline};
use crate::common::Httpd;
use crate::process::{self, quarter};
use crate::report::{Table, number, tenth};
use crate::stores::Store;
use crate::subject::{self, Module, Shape};
use crate::tokens;
use crate::turns;

/// Requests that are sent, each with a token that its process has not seen. The first tenth is not measured.
const SAMPLE: usize = 2_000;
/// So many are sent at once, and are one measurement: between two requests the worker does not wait.
const AT_ONCE: usize = 45;
/// Seconds without the cache.
const OUTAGE: u64 = 12;

/// A process answers each connection from its beginning to its end, and there is one for each of ours.
const PROCESSES: &str =
    "StartServers 4\nServerLimit 4\nMaxRequestWorkers 4\nMinSpareServers 1\nMaxSpareServers 4";
const PATH: &str = "/shared/hello.txt";
const PLACES: &str = "\
OAuth2CryptoPassphrase \"correct horse battery staple\"
<Location /server-status>
SetHandler server-status
</Location>
<Location /shared>
AuthType oauth2
AuthName api
Require valid-user
OAuth2TokenVerify jwk {ec} verify.cache=default&expiry=3000
</Location>
";

pub fn tables(long: bool) -> Vec<Table> {
    let most = if long { 6 } else { 5 };
    let all = tokens(10_usize.pow(most));
    let redis = Store::redis(&[]);
    let stores = [
        ("shmcb", format!("OAuth2Cache shm max_entries={}", all.len() * 2)),
        ("redis", format!("OAuth2Cache redis host=127.0.0.1&port={}", redis.port())),
    ];
    let mut columns = Vec::new();
    for (name, line) in &stores {
        let server = server(line);
        columns.push((2..=most).map(|power| filled(name, &server, &all, power)).collect::<Vec<_>>());
    }
    let mut table = Table::new("caches", &["tokens in the cache", "CPU µs with shmcb", "with redis"]);
    for (row, power) in (2..=most).enumerate() {
        table.row(&[
            number(10_f64.powi(power.cast_signed())),
            tenth(columns[0][row]),
            tenth(columns[1][row]),
        ]);
    }
    vec![table, outage(&all)]
}

/// Signed by an elliptic curve key, which takes little time.
fn tokens(count: usize) -> Vec<String> {
    let claims =
        |number: usize| tokens::claims(serde_json::json!({"jti": number, "exp": tokens::now() + 7200}));
    turns::signed(count, &|number| tokens::keys().ec.token(&claims(number)))
}

fn server(line: &str) -> Httpd {
    subject::timed(Module::Ours, Shape::One)
        .load(&["status"])
        .value("ec", tokens::keys().ec.quoted())
        .config(PROCESSES)
        .config(PLACES)
        .config(line)
        .file("shared/hello.txt", "hello\n")
        .allow_log("token cache: redis")
        .start()
}

/// Fills up the cache to this power of ten by two processes; CPU time of a request to another that finds its token there.
fn filled(name: &str, server: &Httpd, all: &[String], power: u32) -> f64 {
    let known = if power == 2 { 0 } else { 10_usize.pow(power - 1) };
    let added = &all[known..10_usize.pow(power)];
    let client = Client::new(PLAIN, server.tls());
    let filling = [(); 2].map(|()| client.pipeline(PATH));
    let filling = thread::scope(|scope| {
        let fill = |(mut pipeline, tokens): (Pipeline, &'_ [String])| {
            for tokens in tokens.chunks(40) {
                pipeline.get(&tokens.iter().map(|token| Some(token.as_str())).collect::<Vec<_>>());
            }
            pipeline
        };
        let (one, other) = added.split_at(added.len() / 2);
        let started = filling.into_iter().zip([one, other]).map(|work| scope.spawn(move || fill(work)));
        let started: Vec<_> = started.collect();
        started.into_iter().map(|filler| filler.join().expect("tokens are accepted")).collect::<Vec<_>>()
    });
    // The processes that are left: those of the first two connections are busy with them.
    let mut asking = client.pipeline(PATH);
    let asked: Vec<&str> =
        added.iter().step_by((added.len() / SAMPLE).max(1)).take(SAMPLE).map(String::as_str).collect();
    let mut turn = |tokens: &[&str]| process::each(server, &mut asking, tokens);
    let (warm, measured) = asked.split_at(asked.len() / 10);
    for tokens in warm.chunks(AT_ONCE) {
        turn(tokens);
    }
    let before = shared(server);
    let each = quarter(measured.chunks(AT_ONCE).map(turn).collect());
    let (found, all) = (shared(server) - before, measured.len());
    assert!(found >= all * 9 / 10, "{name}: {found} of {all} were found in the cache");
    eprintln!("{name}, 10^{power} tokens: {each:.1} µs, {found} of {all} found");
    drop(filling);
    each
}

fn get(connection: &mut Connection, token: &str) {
    assert_eq!(connection.get(PATH, Some(token)).status, 200);
}

/// How many verdicts came from the shared cache so far, says mod_status.
fn shared(server: &Httpd) -> usize {
    let mut tcp = TcpStream::connect(server.plain()).expect("the server listens");
    let request = "GET /server-status?auto HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    tcp.write_all(request.as_bytes()).expect("it reads");
    let mut page = String::new();
    tcp.read_to_string(&mut page).expect("it answers");
    let line = page.lines().find_map(|line| line.strip_prefix("OAuth2KeysShared: "));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or_else(|| panic!("no such counter: {page}"))
}

/// Tokens that were never seen, without a shared cache and with one that nobody answers for.
fn outage(all: &[String]) -> Table {
    let mut redis = Store::redis(&[]);
    let away = format!("OAuth2Cache redis host=127.0.0.1&port={}", redis.port());
    redis.kill();
    let mut table = Table::new("outage", &["shared cache", "CPU µs", "lines in the log", "seconds"]);
    for (name, line) in [("away", away.as_str()), ("not asked", "")] {
        let places =
            if line.is_empty() { PLACES.replace("verify.cache=default&", "") } else { PLACES.to_owned() };
        let server = subject::timed(Module::Ours, Shape::One)
            .value("ec", tokens::keys().ec.quoted())
            .config(&places)
            .config(line)
            .file("shared/hello.txt", "hello\n")
            .allow_log("token cache: redis")
            .start();
        let mut connection = Client::new(PLAIN, server.tls()).connect();
        let (start, cpu) = (Instant::now(), process::cpu(&server));
        let mut sent = 0_u32;
        for token in all.iter().take_while(|_| start.elapsed() < Duration::from_secs(OUTAGE)) {
            get(&mut connection, token);
            sent += 1;
        }
        let each = (process::cpu(&server) - cpu).as_secs_f64() * 1e6 / f64::from(sent);
        let lines = server.log().matches("token cache: redis").count();
        let seconds = start.elapsed().as_secs();
        eprintln!("cache {name}: {each:.1} µs, {lines} lines in {seconds} s");
        table.row(&[name.to_owned(), tenth(each), lines.to_string(), seconds.to_string()]);
    }
    table
}
