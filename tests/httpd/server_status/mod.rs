//! The module's section of mod_status' page and its lines of `?auto`: each counter moves exactly as it should.

mod messages;
mod page;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use crate::common::exchange::get_plain;
use crate::common::{Builder, Httpd};

/// A server with mod_status, at /server-status.
fn watched() -> Builder {
    watch(Httpd::builder())
}

pub fn watch(builder: Builder) -> Builder {
    builder.load(&["status"]).config("<Location /server-status>\nSetHandler server-status\n</Location>")
}

/// The page, or another form of it: `?auto`, `?notable`.
fn page(server: &Httpd, form: &str) -> String {
    let answer = get_plain(server.plain(), "localhost", &format!("/server-status{form}"), &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// The lines that are ours.
fn counters(server: &Httpd) -> BTreeMap<String, u64> {
    let lines = page(server, "?auto");
    let ours = lines.lines().filter(|line| line.starts_with("TokenBinding") || line.starts_with("OAuth2"));
    ours.map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no value: {line}"));
        assert!(name.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{line}");
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
    })
    .collect()
}

/// What `act` adds to the counters: `Name 1, Other 2`.
pub fn moved(server: &Httpd, act: impl FnOnce()) -> String {
    let before = counters(server);
    act();
    let after = counters(server);
    assert!(before.keys().eq(after.keys()), "the names stay the same");
    let changes = after.iter().filter(|(name, value)| before[*name] != **value);
    let changes: Vec<String> =
        changes.map(|(name, value)| format!("{name} {}", value - before[name])).collect();
    changes.join(", ")
}

/// The names in use, with KIND for what kind of verifier it is.
fn names(server: &Httpd) -> BTreeSet<String> {
    const KINDS: [&str; 6] = ["Keys", "JwksUri", "EckeyUri", "AwsAlb", "Metadata", "Introspect"];
    let general = |name: &String| {
        let rest = name.strip_prefix("OAuth2").unwrap_or_default();
        let outcome = KINDS.iter().find_map(|kind| {
            rest.strip_prefix(kind)
                .filter(|outcome| ["R", "S", "V"].iter().any(|first| outcome.starts_with(first)))
        });
        outcome.map_or_else(|| name.clone(), |outcome| format!("OAuth2KIND{outcome}"))
    };
    counters(server).keys().map(general).collect()
}
