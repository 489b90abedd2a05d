//! Faults: everything around the module breaks, and each outcome is either right or refused. docs/security-testing.md lists them,
//! with the tests of other groups.
//!
//! In `make test` they look at a few points of failure; `make faults` sets `FAULTS=all`, and they look at all.

mod clock;
mod liars;
mod openssl;
mod resources;
mod restarts;
mod stores;

use std::fs;

use crate::common::Httpd;

/// The processes that a server has forked.
fn children(server: &Httpd) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// `make faults`
fn thorough() -> bool {
    std::env::var_os("FAULTS").is_some_and(|value| value == "all")
}

/// The numbers from 1 to `last`; in `make test` these alone.
fn sweeps(few: &'static [i32], last: i32) -> impl Iterator<Item = i32> {
    (1..=last).filter(move |number| thorough() || few.contains(number))
}
