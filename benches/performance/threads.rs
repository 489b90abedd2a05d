//! Two threads against one, in what threads of a process share of the module: what it remembers of access tokens.
//! Optimised as in the Makefile; httpd and the network are not in it.

use std::ffi::CStr;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sender_constraint::cnf::Proofs;
use sender_constraint::decision::{Policy, Verifiers, authenticate};
use sender_constraint::exchange::{Answer, Exchange, Transport};
use sender_constraint::provider;
use sender_constraint::services::{Memory, Services};
use sender_constraint::target::TargetSettings;
use sender_constraint::token_source::{Request, TokenSources};
use sender_constraint::verifier::Verifier;
use sender_constraint::verifier_config::VerifierConfig;
use token_binding::{Ekm, KeyParameters, Negotiated, ProtocolVersion};

use crate::common::keys;
use crate::report::{Table, number};
use crate::tokens;
use crate::yardstick;

const TOKENS: usize = 20_000;
/// One and two threads take turns, and the best turn counts: somebody else may be using a processor.
const TURNS: usize = 25;
const TURN: Duration = Duration::from_millis(80);

pub fn tables(_long: bool) -> Vec<Table> {
    let mut table =
        Table::new("threads", &["work", "1 thread, per second", "2 threads", "ratio", "at least"]);
    let site = Site::new();
    let all = AtomicU64::new(0);
    let next = || usize::try_from(all.fetch_add(1_000, Ordering::Relaxed)).expect("small") % TOKENS;
    let mut row = |name: &str, [one, two]: [f64; 2]| {
        table.row(&[
            name.to_owned(),
            number(one),
            number(two),
            format!("{:.2}", two / one),
            "1.9".to_owned(),
        ]);
        eprintln!("{name}: {:.2}", two / one);
    };
    row("nothing at all in common: this machine's own ratio", compare(&alone, &next));
    row(
        "decision on a request, each of 20,000 remembered tokens in turn",
        compare(&|at| site.decide(at), &next),
    );
    row("decision on a request, all with the same remembered token", compare(&|_| site.decide(0), &next));
    row(
        "OpenSSL's P-256 verification alone, each thread with its own key",
        compare(&yardstick::p256_alone, &next),
    );
    row(
        "OpenSSL's P-256 verification with a key object made for it",
        compare(&yardstick::p256_with_key, &next),
    );
    let (message, ekm) = message();
    row(
        "a Token Binding message without OpenSSL: taken apart, and refused",
        compare(&|_| read(&message, &ekm), &next),
    );
    row("verification of a Token Binding message", compare(&|_| verify(&message, &ekm), &next));
    vec![table]
}

/// Arithmetic, which threads cannot disturb each other in.
fn alone(_number: usize) {
    black_box((0..2_000_u64).fold(1_u64, |sum, step| black_box(sum.wrapping_mul(31) ^ step)));
}

/// Pieces of work per second with one thread and with two. A thread begins where `next` says and goes on from there.
fn compare(work: &(dyn Fn(usize) + Sync), next: &(dyn Fn() -> usize + Sync)) -> [f64; 2] {
    let mut best = [0.0_f64; 2];
    for _ in 0..TURNS {
        for (best, threads) in best.iter_mut().zip([1, 2]) {
            *best = best.max(turn(threads, work, next));
        }
    }
    best
}

fn turn(threads: usize, work: &(dyn Fn(usize) + Sync), next: &(dyn Fn() -> usize + Sync)) -> f64 {
    let (done, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    let begin = next();
                    (begin..begin + 50).for_each(work);
                    count += 50;
                }
                done.fetch_add(count, Ordering::Relaxed);
            });
        }
        thread::sleep(TURN);
        over.store(true, Ordering::Relaxed);
    });
    #[allow(clippy::cast_precision_loss)] // below 2^52
    let rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    rate
}

/// One location that wants access tokens, and has seen some.
struct Site {
    surroundings: Surroundings,
    sources: TokenSources,
    verifiers: Verifiers,
    target: Arc<TargetSettings>,
    requests: Vec<Bearer>,
}

impl Site {
    fn new() -> Self {
        provider::install();
        let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let jwk = tokens::keys().ec.jwk().to_string();
        let (config, _) = VerifierConfig::parse("jwk", &jwk, b"expiry=3600", &read).expect("options");
        let claims =
            |number: usize| tokens::claims(serde_json::json!({"jti": number, "exp": tokens::now() + 3600}));
        let token = |number: usize| tokens::keys().ec.token(&claims(number));
        let site = Self {
            surroundings: Surroundings { memory: Memory::new(TOKENS), now: tokens::now().cast_signed() },
            sources: TokenSources::default(),
            verifiers: Verifiers::new(vec![Arc::new(Verifier::new(config))]),
            target: Arc::default(),
            requests: (0..TOKENS).map(|number| Bearer(format!("Bearer {}", token(number)))).collect(),
        };
        (0..TOKENS).for_each(|number| site.decide(number));
        assert!(site.surroundings.memory.accepted.len() > TOKENS * 9 / 10, "they are remembered");
        site
    }

    fn decide(&self, number: usize) {
        let policy = Policy { sources: &self.sources, verifiers: &self.verifiers, target: &self.target };
        let request = &self.requests[number % TOKENS];
        black_box(authenticate(&policy, request, &Proofs::default(), &self.surroundings).expect("accepted"));
    }
}

struct Surroundings {
    memory: Memory,
    now: i64,
}

impl Transport for Surroundings {
    fn send(&self, _: &Exchange<'_>) -> Result<Answer, String> {
        Err("there is nobody".to_owned())
    }
}

impl Services for Surroundings {
    fn now(&self) -> i64 {
        self.now
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }
}

/// A request with this `Authorization`.
struct Bearer(String);

impl Request for Bearer {
    fn header(&self, name: &CStr) -> Option<&[u8]> {
        name.to_bytes().eq_ignore_ascii_case(b"authorization").then_some(self.0.as_bytes())
    }

    fn environment(&self, _: &CStr) -> Option<&[u8]> {
        None
    }

    fn query(&self) -> Option<&[u8]> {
        None
    }

    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn form_body(&self) -> Result<&[u8], &'static str> {
        Err("no body")
    }
}

/// The value of a field, and what it was made for.
fn message() -> (String, Ekm) {
    let ekm = Ekm::new([7; 32]);
    (tokbind::binding::field_value(&keys().a, None, &ekm).expect("a message"), ekm)
}

/// Another key type was negotiated. That is found out when the message has been taken apart, and before its key is looked at.
fn read(message: &str, ekm: &Ekm) {
    let key_parameters = KeyParameters::Rsa2048Pss;
    let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters };
    black_box(token_binding::verify(message.as_bytes(), &negotiated, ekm).expect_err("another key type"));
}

fn verify(message: &str, ekm: &Ekm) {
    let negotiated = Negotiated { version: ProtocolVersion::V1_0, key_parameters: KeyParameters::EcdsaP256 };
    black_box(token_binding::verify(message.as_bytes(), &negotiated, ekm).expect("it verifies"));
}
