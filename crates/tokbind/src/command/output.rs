//! What goes to the terminal, or to wherever stdout and stderr lead.

use super::Failure;
use serde_json::Value;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

/// Writes octets to stdout.
pub(crate) fn write(octets: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(octets).and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough, as in `tokbind get ... | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Failure::Usage(format!("cannot write to stdout: {error}"))),
    }
}

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Writes a JSON document to stdout.
pub(crate) fn json(value: &Value) -> Result<(), Failure> {
    line(&format!("{value:#}"))
}

/// Says on stderr why the command fails.
pub(crate) fn error(text: &str) {
    note(&format!("{} {}", paint("31;1", "tokbind:"), printable(text)));
}

/// Says on stderr what a careful reader should know.
pub(crate) fn warning(text: &str) {
    note(&format!("{} {}", paint("33;1", "tokbind: warning:"), printable(text)));
}

/// A line of what `-v` shows, on stderr.
pub(crate) fn detail(name: &str, text: &str) {
    note(&format!("{} {} {}", paint("2", "*"), paint("1", &format!("{name}:")), printable(text)));
}

/// Writes a line to stderr. There is nowhere to complain when that fails.
fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Colours text where a person reads it: on a terminal, unless <https://no-color.org> forbids.
fn paint(style: &str, text: &str) -> String {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !forbidden {
        format!("\x1b[{style}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Text from a peer could hold control characters that a terminal obeys; they are shown instead.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|char| {
            let escaped = char.is_control().then(|| char.escape_default());
            let plain = (!char.is_control()).then_some(char);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
