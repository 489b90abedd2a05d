//! Many access tokens in turn: what a request costs where its token was seen before, and where it was not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use openssl::hash::MessageDigest;
use openssl::sign::{Signer, Verifier};

use crate::cases::PLAIN;
use crate::client::Client;
use crate::common::Httpd;
use crate::process;
use crate::report::{Table, number, tenth};
use crate::subject::{self, Module, Shape};
use crate::tokens;

const MOST: usize = 20_000;
/// So few suffice where a request takes milliseconds.
const SAMPLE: usize = 3_000;

pub fn tables(long: bool) -> Vec<Table> {
    let tokens = signed(MOST, &subject::token);
    let path = "/bearer/hello.txt";
    let bare = {
        let server = subject::server(Module::Nothing, Shape::BUSY).start();
        let _warm = send(&server, path, &tokens, SAMPLE);
        send(&server, path, &tokens, SAMPLE)
    };
    let verification = verification();
    let mut table = Table::new(
        "turns",
        &["tokens in turn", "module", "CPU µs added, first time", "later", "RS256 verifications, first time"],
    );
    let mut row = |count: usize, module: Module, [first, later]: [Option<f64>; 2]| {
        let added = |cpu: Option<f64>| cpu.map_or_else(|| "–".to_owned(), |cpu| tenth(cpu - bare));
        let ratio =
            first.map_or_else(|| "–".to_owned(), |first| format!("{:.2}", (first - bare) / verification));
        let name = if module == Module::Ours { "this" } else { "mod_oauth2" };
        #[allow(clippy::cast_precision_loss)] // small
        table.row(&[number(count as f64), name.to_owned(), added(first), added(later), ratio]);
        eprintln!("{count} tokens in turn, {name}: {}, later {}", added(first), added(later));
    };
    for count in [200, 2_000, MOST] {
        let server = subject::server(Module::Ours, Shape::BUSY).start();
        let tokens = &tokens[..count];
        let first = send(&server, path, tokens, count);
        // Both processes have then seen each of them.
        send(&server, path, tokens, 2 * count.max(SAMPLE));
        let later = send(&server, path, tokens, count.max(SAMPLE));
        // A few requests tell little: the processes are still new.
        row(count, Module::Ours, [(count >= 2_000).then_some(first), Some(later)]);
    }
    let server = subject::server(Module::Oauth2, Shape::BUSY).start();
    let first = send(&server, path, &tokens, if long { MOST } else { SAMPLE });
    row(MOST, Module::Oauth2, [Some(first), None]);
    let mut yardsticks = Table::new("yardstick", &["", "CPU µs"]);
    yardsticks.row(&["one RS256 verification with a key that is ready".to_owned(), tenth(verification)]);
    yardsticks.row(&["a request without any module".to_owned(), tenth(bare)]);
    vec![table, yardsticks]
}

/// By two threads: it is most of the time that this part takes.
pub fn signed(count: usize, sign: &(dyn Fn(usize) -> String + Sync)) -> Vec<String> {
    thread::scope(|scope| {
        let halves = [0..count / 2, count / 2..count];
        let halves = halves.map(|numbers| scope.spawn(|| numbers.map(sign).collect::<Vec<_>>()));
        halves.into_iter().flat_map(|half| half.join().expect("the tokens are signed")).collect()
    })
}

/// So many requests, one token after the other, on connections to all processes. Microseconds on a processor for each.
pub fn send(server: &Httpd, path: &str, tokens: &[String], requests: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let client = || {
        let mut connection = Client::new(PLAIN, server.tls()).connect();
        // Its handshake is not measured.
        assert_eq!(connection.get("/hello.txt", None).status, 200);
        connection
    };
    let mut connections: Vec<_> = (0..8).map(|_| client()).collect();
    let before = process::cpu(server);
    thread::scope(|scope| {
        for connection in &mut connections {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        break;
                    }
                    let token = &tokens[number % tokens.len()];
                    assert_eq!(connection.get(path, Some(token)).status, 200, "{path}");
                }
            });
        }
    });
    #[allow(clippy::cast_precision_loss)] // small
    let each = (process::cpu(server) - before).as_secs_f64() * 1e6 / requests as f64;
    each
}

/// Microseconds on a processor: the best of some runs.
fn verification() -> f64 {
    const TIMES: u32 = 200;
    let (key, data) = (&tokens::keys().one.private, [7; 400]);
    let mut signer = Signer::new(MessageDigest::sha256(), key).expect("a signer");
    let signature = signer.sign_oneshot_to_vec(&data).expect("a signature");
    let run = || {
        let before = process::own_cpu();
        for _ in 0..TIMES {
            let mut verifier = Verifier::new(MessageDigest::sha256(), key).expect("a verifier");
            assert!(verifier.verify_oneshot(&signature, &data).expect("a verdict"));
            thread::yield_now();
        }
        (process::own_cpu() - before).as_secs_f64() * 1e6 / f64::from(TIMES)
    };
    (0..10).map(|_| run()).fold(f64::INFINITY, f64::min)
}
