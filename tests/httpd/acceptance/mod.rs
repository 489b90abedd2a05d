//! The acceptance table: what a client on another TLS stack sees of a real httpd, row by row.
//!
//! Each row says in words what must come out of it, so the table can be read without the code. It is printed in full:
//! `cargo test --test httpd acceptance -- --nocapture`.

mod application;
mod handshakes;
mod http2;
mod hygiene;
mod messages;
mod operation;
mod replay;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use stage::Stage;

/// One row: the rule it is drawn from, what must come out, and what is done.
struct Row {
    name: &'static str,
    rule: &'static str,
    expected: &'static str,
    act: fn(&mut Stage) -> String,
}

const fn row(
    name: &'static str,
    rule: &'static str,
    expected: &'static str,
    act: fn(&mut Stage) -> String,
) -> Row {
    Row { name, rule, expected, act }
}

/// The C module this one replaces passes 19 of the first 46 rows ever written for it.
const AT_LEAST: usize = 46;

#[test]
fn every_row_comes_out_as_it_must() {
    let groups: [(&str, &[Row]); 7] = [
        ("messages", messages::ROWS),
        ("replay and forgery", replay::ROWS),
        ("handshakes", handshakes::ROWS),
        ("spoofed headers", hygiene::ROWS),
        ("application and backend", application::ROWS),
        ("HTTP/2", http2::ROWS),
        // Last: it restarts the server and reads the log of all that came before.
        ("operation", operation::ROWS),
    ];
    let mut stage = Stage::set();
    let (mut number, mut failed) = (0, Vec::new());
    for (group, rows) in groups {
        println!("\n{group}");
        for row in rows {
            number += 1;
            let outcome = catch_unwind(AssertUnwindSafe(|| (row.act)(&mut stage)))
                .unwrap_or_else(|_| "panicked, see above".to_owned());
            let passed = outcome == row.expected;
            let mark = if passed { "ok" } else { "NO" };
            println!("{number:>3} {mark} {:<72} {:<24} {}", row.name, row.rule, row.expected);
            if !passed {
                println!("       but got: {outcome}");
                failed.push(format!("{number} {}: expected `{}`, got `{outcome}`", row.name, row.expected));
            }
        }
    }
    println!("\n{} of {number} rows pass", number - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(number >= AT_LEAST, "the table has shrunk to {number} rows");
}
