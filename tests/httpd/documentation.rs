//! Whether the documents explain what the module says.

use std::path::Path;

use super::configuration::{TWO_VARIABLES, project, read};
use crate::common::log::matches;

/// One call of the log macros: level and text as written in the source.
struct Message {
    place: String,
    level: &'static str,
    text: String,
}

/// Every log message in src/.
fn messages() -> Vec<Message> {
    let mut files = vec![project("src")];
    let mut messages = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files
                .extend(std::fs::read_dir(&path).expect("src/").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source file");
        for (at, _) in source.match_indices("log::") {
            let call = &source[at..];
            let is_call =
                ["request!(", "connection!(", "server!("].iter().any(|name| call[5..].starts_with(name));
            let is_comment = source[..at].rsplit('\n').next().is_some_and(|line| line.contains("//"));
            if is_call && !is_comment {
                messages.push(message(&path, call));
            }
        }
    }
    assert!(messages.len() >= 10, "the log macros are called some other way now");
    messages
}

fn message(path: &Path, call: &str) -> Message {
    let place = format!("{}: {}", path.display(), call.lines().take(4).collect::<String>());
    let (arguments, rest) = call.split_once('"').expect("a text");
    let level = match arguments.trim_end().trim_end_matches(',').rsplit([',', ' ']).next().map(str::trim) {
        Some("Critical") => "crit",
        Some("Error") => "error",
        Some("Warning") => "warn",
        Some("Info") => "info",
        Some("Debug") => "debug",
        other => panic!("{place}: level {other:?}"),
    };
    Message { place, level, text: literal(rest) }
}

/// A string literal's text, from after its first quotation mark on.
fn literal(rest: &str) -> String {
    let mut text = String::new();
    let mut characters = rest.chars().peekable();
    loop {
        match characters.next().expect("an end") {
            '"' => return text,
            '\\' if characters.peek() == Some(&'\n') => {
                while characters.next_if(|character| character.is_whitespace()).is_some() {}
            }
            '\\' => text.extend(characters.next()),
            character => text.push(character),
        }
    }
}

/// A format string as a pattern for `matches`: any text for each placeholder.
fn pattern(format: &str) -> String {
    let mut pattern = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('{') {
        let (_, after) = after.split_once('}').expect("a placeholder's end");
        pattern = pattern + before + "*";
        rest = after;
    }
    pattern + rest
}

/// All documents for operators, line by line.
fn documents() -> String {
    let entries = std::fs::read_dir(project("docs")).expect("docs/");
    let files = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    files.map(|file| std::fs::read_to_string(file).expect("text")).collect()
}

#[test]
fn the_documents_explain_every_log_message() {
    let documents = documents();
    let mut missing = Vec::new();
    for Message { place, level, text } in messages() {
        let pattern = pattern(&text);
        // What another part of the program, or a start-up check above, has put into words.
        if pattern.split('*').all(|piece| piece.trim().len() < 10) {
            continue;
        }
        let row = format!("| `{pattern}` | {level} |");
        if !documents.lines().any(|line| matches(line, &row)) {
            missing.push(format!("{row}    {place}"));
        }
    }
    for answer in [TWO_VARIABLES, "TokenBindingEnabled On needs mod_ssl"] {
        if !documents.contains(answer) {
            missing.push(answer.to_owned());
        }
    }
    assert!(missing.is_empty(), "no document has these rows:\n{}", missing.join("\n"));
}

#[test]
fn the_documents_explain_every_reason_to_refuse_a_message() {
    let source = read("crates/token-binding/src/verification.rs");
    let documents = documents();
    let reasons: Vec<String> =
        source.split("#[error(\"").skip(1).map(|rest| pattern(&literal(rest))).collect();
    assert!(reasons.len() >= 11, "{reasons:?}");
    for reason in reasons {
        let row = format!("| `{reason}` |");
        assert!(documents.lines().any(|line| matches(line, &row)), "no document has the row {row}");
    }
}
