//! The recorded counts, and whether today's are still as low.

use std::fmt::Write as _;
use std::fs;
use std::iter;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::instructions::{self, Figure};

const FIRST_LINES: &str = "\
# Instructions, as `make bench-baseline` counted them: what the module adds, and what is spent inside of it.
# `make bench-check` fails where they rise.
";

/// What is compared: what it is called, the count, and how far above the recorded one it may be besides a tenth, which a
/// handshake varies by from run to run.
fn compared(figure: &Figure) -> [(&'static str, Option<f64>, f64); 2] {
    [("added", figure.added(), figure.with.all * 0.001), ("spent inside the module", figure.inside(), 0.0)]
}

pub fn write(figures: &[Figure]) -> ExitCode {
    instructions::print(figures);
    let mut text = FIRST_LINES.to_owned();
    for figure in figures {
        let counts = compared(figure)
            .map(|(_, count, _)| count.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}")));
        let _ = writeln!(text, "{}\t{}", figure.case.name, counts.join("\t"));
    }
    fs::write(file(), text).expect("the file can be written");
    ExitCode::SUCCESS
}

/// Succeeds when no count is above what was recorded.
pub fn check(figures: &[Figure]) -> ExitCode {
    instructions::print(figures);
    let text = fs::read_to_string(file()).expect("make bench-baseline writes it");
    let mut risen = false;
    for figure in figures {
        let name = figure.case.name;
        let recorded = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        let Some(recorded) = recorded else {
            eprintln!("bench: {name} is not in {}: run make bench-baseline", file().display());
            risen = true;
            continue;
        };
        for ((what, count, variation), recorded) in
            compared(figure).into_iter().zip(recorded.split('\t').chain(iter::repeat("-")))
        {
            let Some(count) = count else { continue };
            let recorded: f64 = recorded.parse().expect("a number");
            if count > recorded + (recorded / 10.0).max(variation) {
                eprintln!("bench: {name}: {count:.0} instructions are {what}, {recorded:.0} were recorded");
                risen = true;
            }
        }
    }
    if risen {
        eprintln!("bench: where the rise is worth it, record it with make bench-baseline and say why");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/baseline.tsv")
}
