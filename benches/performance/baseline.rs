//! The recorded counts, and whether today's are still as low.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::instructions::{self, Figure};

const FIRST_LINES: &str = "\
# Instructions that the module adds, as `make bench-baseline` counted them. `make bench-check` fails where they rise.
";

/// How far above the recorded count one may be: a tenth, or what the same program differs by from run to run. A handshake
/// varies by itself; with HTTP/2, threads meet in different orders.
fn bound(recorded: f64, figure: &Figure) -> f64 {
    let variation = if figure.case.manner.http2 { 0.15 } else { 0.001 };
    recorded + (recorded / 10.0).max(figure.without * variation)
}

pub fn write(figures: &[Figure]) -> ExitCode {
    instructions::print(figures);
    let mut text = FIRST_LINES.to_owned();
    for figure in figures {
        let _ = writeln!(text, "{}\t{:.0}", figure.case.name, figure.added());
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
        let recorded: f64 = recorded.parse().expect("a number");
        if figure.added() > bound(recorded, figure) {
            eprintln!(
                "bench: {name}: {:.0} instructions are added, {recorded:.0} were recorded",
                figure.added()
            );
            risen = true;
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
