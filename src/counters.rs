//! What is counted: by all processes together, without a lock, for mod_status.

use std::sync::atomic::{AtomicU64, Ordering};

use sender_constraint::decision::Origin;
use sender_constraint::refusal::{self, Refusal};
use sender_constraint::verifier_config::Kind;
use token_binding::{KeyParameters, Rejection};

use crate::shared_memory::Shared;

/// Some counters: one for each row, and for each reason to refuse something, in each column.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// What their names begin with.
    prefix: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) rows: &'static [&'static str],
    pub(crate) refused: &'static [&'static str],
    /// The place of its first counter.
    first: usize,
}

/// Connections, by what their first handshake agreed on.
pub(crate) const CONNECTIONS: Table = Table {
    title: "Connections",
    prefix: "TokenBindingConnections",
    columns: &["TLS 1.2", "TLS 1.3"],
    // by the octet on the wire
    rows: &[
        KeyParameters::Rsa2048Pkcs1_5.name(),
        KeyParameters::Rsa2048Pss.name(),
        KeyParameters::EcdsaP256.name(),
        "not negotiated",
    ],
    refused: &[],
    first: 0,
};

/// Requests on connections with Token Binding.
pub(crate) const MESSAGES: Table = Table {
    title: "Token Binding messages",
    prefix: "TokenBinding",
    columns: &[""],
    rows: &["verified", "remembered", "missing allowed", "missing refused"],
    refused: &Rejection::LABELS,
    first: CONNECTIONS.end(),
};

/// Refusal labels that come without a verifier are the first ones, those of verifiers the last.
const REQUEST_LABELS: &[&str] = refusal::LABELS.split_at(6).0;
const VERDICT_LABELS: &[&str] = refusal::LABELS.split_at(4).1;

/// Exchanges with authorization servers, and requests that no verifier judged.
pub(crate) const TOKENS: Table = Table {
    title: "Access tokens",
    prefix: "OAuth2",
    columns: &[""],
    rows: &["fetched", "fetch failed", "introspected", "introspection failed", "cache failed"],
    refused: REQUEST_LABELS,
    first: MESSAGES.end(),
};

/// Verdicts on access tokens, by the verifier that gave them.
pub(crate) const VERDICTS: Table = Table {
    title: "Verdicts on access tokens",
    prefix: "OAuth2",
    columns: &Kind::NAMES,
    rows: &Origin::NAMES,
    refused: VERDICT_LABELS,
    first: TOKENS.end(),
};

impl Table {
    const fn height(&self) -> usize {
        self.rows.len() + self.refused.len()
    }

    const fn end(&self) -> usize {
        self.first + self.columns.len() * self.height()
    }

    const fn place(&self, column: usize, row: usize) -> usize {
        self.first + column * self.height() + row
    }

    /// The place of a refusal; None for a label that is none of this table's.
    #[inline(never)]
    fn place_of_label(&self, column: usize, label: &str) -> Option<usize> {
        let row = self.refused.iter().position(|own| *own == label)?;
        Some(self.place(column, self.rows.len() + row))
    }

    /// One column's counters: what each is called in lists, what it is called in the table, and its place.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = (String, String, usize)> + '_ {
        let heading = self.columns.get(column).copied().unwrap_or_default();
        let rows = self.rows.iter().map(|row| (*row).to_owned());
        let refused = self.refused.iter().map(|label| format!("refused: {label}"));
        rows.chain(refused).enumerate().map(move |(row, words)| {
            let name = format!("{}{}{}", self.prefix, joined(heading), joined(&words));
            (name, words, self.place(column, row))
        })
    }
}

/// `not negotiated` becomes `NotNegotiated`, `rsa2048_pkcs1.5` becomes `Rsa2048Pkcs15`.
fn joined(words: &str) -> String {
    let mut name = String::new();
    for word in words.split(|character: char| !character.is_ascii_alphanumeric()) {
        let mut characters = word.chars();
        name.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    name
}

/// One thing to count.
#[derive(Clone, Copy)]
pub(crate) enum Count<'c> {
    /// A connection's first handshake has ended.
    Connection { tls13: bool, agreed: Option<KeyParameters> },
    /// A message was verified.
    Verified,
    /// A message was known on its connection.
    Remembered,
    /// There was no message, and the request went on.
    MissingAllowed,
    /// There was no message, and the request did not.
    MissingRefused,
    /// A message was refused.
    Rejected(&'c Rejection),
    /// An access token was accepted.
    Accepted(Kind, Origin),
    /// A request was refused for its access token, by a verifier of this kind or by none.
    Refused(Option<Kind>, &'c Refusal),
    /// Keys or metadata were fetched.
    Fetched,
    /// Or could not be.
    FetchFailed,
    /// An authorization server was asked about a token.
    Introspected,
    /// And gave no answer that helps.
    IntrospectionFailed,
    /// A shared cache failed.
    CacheFailed,
}

impl Count<'_> {
    #[inline(always)]
    fn place(self) -> Option<usize> {
        Some(match self {
            Self::Connection { tls13, agreed } => {
                let row = agreed.map_or(3, |key_parameters| usize::from(key_parameters.code()));
                CONNECTIONS.place(usize::from(tls13), row)
            }
            Self::Verified => MESSAGES.place(0, 0),
            Self::Remembered => MESSAGES.place(0, 1),
            Self::MissingAllowed => MESSAGES.place(0, 2),
            Self::MissingRefused => MESSAGES.place(0, 3),
            Self::Rejected(rejection) => return MESSAGES.place_of_label(0, rejection.label()),
            Self::Accepted(kind, origin) => VERDICTS.place(kind as usize, origin as usize),
            Self::Refused(None, refusal) => return TOKENS.place_of_label(0, refusal.label()),
            Self::Refused(Some(kind), refusal) => {
                return VERDICTS.place_of_label(kind as usize, refusal.label());
            }
            Self::Fetched => TOKENS.place(0, 0),
            Self::FetchFailed => TOKENS.place(0, 1),
            Self::Introspected => TOKENS.place(0, 2),
            Self::IntrospectionFailed => TOKENS.place(0, 3),
            Self::CacheFailed => TOKENS.place(0, 4),
        })
    }
}

/// Threads that serve different connections mostly count in different lanes, and do not wait for each other's cache lines.
const LANES: usize = 16;
/// Counters in a lane. More than are used, so that no two lanes meet in one cache line.
const PLACES: usize = 256;
const _: () = assert!(VERDICTS.end() + 8 <= PLACES, "a lane is too short");

/// All counters, in memory that the processes share.
pub(crate) struct Counters {
    lanes: [[AtomicU64; PLACES]; LANES],
}

// SAFETY: atomics, for which zero is a value.
unsafe impl Shared for Counters {
    const NAME: &str = "counters";
}

/// Where one thread counts, or nowhere.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lane(Option<&'static [AtomicU64; PLACES]>);

impl Lane {
    /// Counts. Always inlined: where it is known what is counted, a few instructions are left.
    #[inline(always)]
    pub(crate) fn add(self, count: Count<'_>) {
        if let (Self(Some(lane)), Some(place)) = (self, count.place())
            && let Some(counter) = lane.get(place)
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Counters {
    /// The lane of this number, which is any that differs between threads, such as the connection's.
    pub(crate) fn lane(&'static self, number: usize) -> Lane {
        Lane(self.lanes.get(number % LANES))
    }

    /// How often what is counted at this place happened, in all processes.
    pub(crate) fn total(&self, place: usize) -> u64 {
        let counters = self.lanes.iter().filter_map(|lane| lane.get(place));
        counters.map(|counter| counter.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }

    /// Begins anew.
    pub(crate) fn reset(&self) {
        self.lanes.iter().flatten().for_each(|counter| counter.store(0, Ordering::Relaxed));
    }
}
