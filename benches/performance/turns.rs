//! Many access tokens in turn: what a request costs where its token was seen before, and where it was not.

use std::thread;

use openssl::hash::MessageDigest;
use openssl::sign::{Signer, Verifier};

use crate::cases::PLAIN;
use crate::client::{Client, Pipeline};
use crate::common::Httpd;
use crate::process::{self, quarter};
use crate::report::{Table, number, tenth};
use crate::subject::{self, Module, Shape};
use crate::tokens;

const PATH: &str = "/bearer/hello.txt";
const MOST: usize = 20_000;
/// So few suffice where a request takes milliseconds.
const SAMPLE: usize = 3_000;
/// So many are sent at once, to the servers in turn, and are one measurement: between two requests the worker does not wait, and what
/// else the machine does meets the servers alike.
const AT_ONCE: usize = 40;

/// Microseconds on a processor for each request.
struct Cost {
    /// Of a server without any module.
    bare: f64,
    /// Added to that.
    first: f64,
    /// Likewise.
    later: Option<f64>,
    /// One verification.
    verification: f64,
}

/// A server of one worker, and the connection that it serves.
struct Site {
    server: Httpd,
    connection: Pipeline,
}

pub fn tables(long: bool) -> Vec<Table> {
    let tokens = signed(MOST, &subject::token);
    let mut bare = Site::new(Module::Nothing);
    let head = [
        "tokens in turn",
        "module",
        "CPU µs added, first time",
        "later",
        "one RS256 verification",
        "a request without any module",
    ];
    let mut table = Table::new("turns", &head);
    let sample = if long { MOST } else { SAMPLE };
    for (count, module) in [(2_000, Module::Ours), (MOST, Module::Ours), (sample, Module::Oauth2)] {
        let cost = measure(module, &mut bare, &tokens[..count]);
        eprintln!("{count} tokens in turn, {}: {:.1} µs", module.name(), cost.first);
        #[allow(clippy::cast_precision_loss)] // small
        table.row(&[
            number(count as f64),
            module.name().replace("with", "this"),
            tenth(cost.first),
            cost.later.map_or_else(|| "–".to_owned(), tenth),
            tenth(cost.verification),
            tenth(cost.bare),
        ]);
    }
    vec![table]
}

impl Site {
    /// It has served for a while, and seen none of the tokens.
    fn new(module: Module) -> Self {
        let server = subject::timed(module, Shape::One).start();
        let connection = Client::new(PLAIN, server.tls()).pipeline(PATH);
        let mut site = Self { server, connection };
        let others = signed(AT_ONCE, &|number| subject::token(MOST + number));
        (0..50).for_each(|_| {
            site.send(&others);
        });
        site
    }

    fn send(&mut self, tokens: &[String]) -> f64 {
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        process::each(&self.server, &mut self.connection, &tokens)
    }
}

fn measure(module: Module, bare: &mut Site, tokens: &[String]) -> Cost {
    let mut site = Site::new(module);
    let mut round = || {
        let mut turns = [Vec::new(), Vec::new(), Vec::new()];
        for tokens in tokens.chunks(AT_ONCE) {
            let costs = [bare.send(tokens), site.send(tokens), verification()];
            turns.iter_mut().zip(costs).for_each(|(turns, cost)| turns.push(cost));
        }
        turns.map(quarter)
    };
    let [bare, first, verification] = round();
    // mod_oauth2 does not remember so many.
    let later = (module == Module::Ours).then(&mut round).map(|[bare, later, _]| later - bare);
    Cost { bare, first: first - bare, later, verification }
}

/// By two threads: it is most of the time that this part takes.
pub fn signed(count: usize, sign: &(dyn Fn(usize) -> String + Sync)) -> Vec<String> {
    thread::scope(|scope| {
        let halves = [0..count / 2, count / 2..count];
        let halves = halves.map(|numbers| scope.spawn(|| numbers.map(sign).collect::<Vec<_>>()));
        halves.into_iter().flat_map(|half| half.join().expect("the tokens are signed")).collect()
    })
}

/// Microseconds on a processor that OpenSSL takes, with a key that is ready.
fn verification() -> f64 {
    const TIMES: u32 = 20;
    let (key, data) = (&tokens::keys().one.private, [7; 400]);
    let mut signer = Signer::new(MessageDigest::sha256(), key).expect("a signer");
    let signature = signer.sign_oneshot_to_vec(&data).expect("a signature");
    // The kernel accounts for the time when it looks whose turn it is.
    let cpu = || {
        thread::yield_now();
        process::own_cpu()
    };
    let before = cpu();
    for _ in 0..TIMES {
        let mut verifier = Verifier::new(MessageDigest::sha256(), key).expect("a verifier");
        assert!(verifier.verify_oneshot(&signature, &data).expect("a verdict"));
    }
    (cpu() - before).as_secs_f64() * 1e6 / f64::from(TIMES)
}
