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

mod baseline;
mod callgrind;
mod cases;
mod client;
mod instructions;
mod subject;
mod yardstick;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: performance check | baseline | compare | instructions [--profiles FOLDER] [CASE...]
  check         count instructions; fail where one is more than 10 % above benches/baseline.tsv
  baseline      count instructions and write them to benches/baseline.tsv
  compare       count instructions beside those of Debian's mod_oauth2
  instructions  count instructions, of these cases only where some are named; keep callgrind's profiles in FOLDER";

fn main() -> ExitCode {
    // cargo bench adds a word of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check"] => baseline::check(&instructions::count(&[], None)),
        ["baseline"] => baseline::write(&instructions::count(&[], None)),
        ["compare"] => {
            instructions::compare();
            ExitCode::SUCCESS
        }
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
