//! What the module costs inside httpd: `make bench-check`, `make bench-baseline`. docs/performance.md explains the figures.

// A benchmark may fail loudly anywhere, as a test may.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../tests/common/mod.rs"]
mod common;

// The tokens of the integration tests, signed over OpenSSL octet by octet.
#[allow(dead_code)]
#[path = "../../tests/httpd/oauth2/tokens.rs"]
mod tokens;

// Their redis, too.
#[allow(dead_code)]
#[path = "../../tests/httpd/oauth2_server/stores.rs"]
mod stores;

mod baseline;
mod caches;
mod callgrind;
mod cases;
mod client;
mod instructions;
mod memory;
mod process;
mod profile;
mod report;
mod scale;
mod subject;
mod threads;
mod time;
mod turns;
mod workers;
mod yardstick;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use report::Table;

const USAGE: &str = "\
usage: performance check | baseline | instructions [--profiles FOLDER] [CASE...] | report [--write] [--long] [PART...]
  check         count instructions; fail where one is more than 10 % above benches/baseline.tsv
  baseline      count instructions and write them to benches/baseline.tsv
  instructions  count instructions, of these cases only where some are named; keep callgrind's profiles in FOLDER
  report        the tables of docs/performance.md, of these parts only where some are named: counts, time, turns, memory,
                scale, caches, workers, threads. --write puts them there. --long takes half an hour";

fn main() -> ExitCode {
    // cargo bench adds a word of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check"] => baseline::check(&instructions::count(&[], None)),
        ["baseline"] => baseline::write(&instructions::count(&[], None)),
        ["report", options @ ..] => report(options),
        ["instructions", "--profiles", folder, names @ ..] => {
            instructions::print(&instructions::count(names, Some(Path::new(folder))));
            ExitCode::SUCCESS
        }
        ["instructions", names @ ..] => {
            instructions::print(&instructions::count(names, None));
            ExitCode::SUCCESS
        }
        ["yardstick", name, folder, count] => {
            yardstick::run(name, Path::new(folder), count.parse().expect("a number"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

type Part = (&'static str, fn(bool) -> Vec<Table>);

/// In the order of the document. Each is told whether there is much time.
const PARTS: [Part; 8] = [
    ("counts", |_| instructions::tables()),
    ("time", |_| time::tables()),
    ("turns", turns::tables),
    ("memory", memory::tables),
    ("scale", scale::tables),
    ("caches", caches::tables),
    ("workers", workers::tables),
    ("threads", threads::tables),
];

fn report(options: &[&str]) -> ExitCode {
    let (options, names): (Vec<&str>, Vec<&str>) = options.iter().partition(|word| word.starts_with("--"));
    let is_known = |name: &&str| PARTS.iter().any(|(part, _)| part == name);
    if !names.iter().all(is_known) || !options.iter().all(|word| ["--write", "--long"].contains(word)) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let done = |tables: &[Table]| {
        for table in tables {
            table.print();
            if options.contains(&"--write") {
                table.document();
            }
        }
    };
    done(&[report::machine(&names)]);
    let mut failed = false;
    for (name, part) in PARTS.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        let start = Instant::now();
        // What a part cannot do does not keep the others from theirs.
        match std::panic::catch_unwind(|| part(options.contains(&"--long"))) {
            Ok(tables) => done(&tables),
            Err(_) => {
                eprintln!("bench: {name} failed; what it said stands above, and its tables are as they were");
                failed = true;
            }
        }
        eprintln!("{name}: {:.0?}", start.elapsed());
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
