//! What comes back from a shared cache, which others may write: sealed entries, verdicts, and redis's own protocol.

use std::sync::LazyLock;

use sender_constraint::json::parse_object;
use sender_constraint::verdict::{CacheKey, Remembered, Sealer, Verdict, VerifierId, document_key};

use crate::input::Choices;
use crate::nothing_left_in_openssl;

static SEALERS: LazyLock<[Sealer; 2]> =
    LazyLock::new(|| [&b"one"[..], b"two"].map(|phrase| Sealer::from_passphrase(phrase).expect("a key")));

/// Has sealed nothing. libFuzzer sees what the others seal when it is compared, and tries it as an input.
static UNUSED: LazyLock<Sealer> = LazyLock::new(|| Sealer::from_passphrase(b"three").expect("a key"));

/// The keys of three entries.
fn key(number: usize) -> CacheKey {
    match number {
        0 => VerifierId::of([&b"verifier"[..]]).cache_key(b"token"),
        1 => VerifierId::of([&b"verifier"[..]]).cache_key(b"tokem"),
        _ => document_key("https://as.example/jwks", b""),
    }
}

/// Any octets as an entry, sealed and not, and as redis's answer.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    sealed(&mut choices);
    let now = i64::from(choices.octet());
    let octets = choices.rest();
    verdict(octets, now);
    let _ = redis::Parser::new().parse_value(octets);
    nothing_left_in_openssl();
}

/// Nothing opens but what was sealed: with this passphrase, for this entry, unchanged.
fn sealed(choices: &mut Choices<'_>) {
    let (plain, at, sealer) = (choices.some(), choices.below(3), choices.below(2));
    let (tried_at, tried_sealer) = (choices.below(3), choices.below(2));
    let sealed = SEALERS[sealer].seal(&key(at), plain).expect("seals");
    let mut changed = sealed.clone();
    if choices.rarely(2) {
        choices.change(&mut changed);
    }
    let opened = SEALERS[tried_sealer].open(&key(tried_at), &changed);
    let genuine = tried_at == at && tried_sealer == sealer && changed == sealed;
    assert_eq!(opened.as_deref(), genuine.then_some(plain));
    assert_eq!(UNUSED.open(&key(at), plain), None);
}

/// An entry says one thing, and never for longer than it says; one that we would write is read as it was.
fn verdict(octets: &[u8], now: i64) {
    match Remembered::decode(octets, now) {
        Some(Remembered::Good(read)) => {
            assert!(read.good_until > now);
            let fresh = Verdict::new(read.claims.clone(), read.good_until).expect("read before");
            assert_eq!(fresh.confirmation.is_bound(), read.claims.contains_key("cnf"));
            again(&Remembered::Good(fresh), read.good_until);
        }
        Some(Remembered::Inactive { until }) => {
            assert!(until > now);
            again(&Remembered::Inactive { until }, until);
        }
        None => (),
    }
    if let Some(verdict) = parse_object(octets).ok().and_then(|claims| Verdict::new(claims, 100).ok()) {
        again(&Remembered::Good(verdict), 100);
    }
}

fn again(entry: &Remembered, until: i64) {
    let octets = entry.encode();
    match (entry, Remembered::decode(&octets, until - 1).expect("our own")) {
        (Remembered::Good(one), Remembered::Good(two)) => {
            assert_eq!((one.good_until, one.claims.len()), (two.good_until, two.claims.len()));
            assert_eq!(Remembered::Good(two).encode(), octets);
        }
        (Remembered::Inactive { .. }, Remembered::Inactive { until: read }) => assert_eq!(read, until),
        _ => panic!("read as something else"),
    }
    assert!(Remembered::decode(&octets, until).is_none(), "outlives its time");
    for end in 0..octets.len().min(40) {
        assert!(Remembered::decode(&octets[..end], until - 1).is_none(), "cut off and read");
    }
}
