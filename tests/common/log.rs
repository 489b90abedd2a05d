//! httpd's error log as a test sees it, and the judgement on it at the end of a test.

use std::fs;
use std::path::{Path, PathBuf};

use super::process::{patience, poll};

/// The error log of one server. A mark is a position in it.
pub struct ErrorLog {
    path: PathBuf,
}

impl ErrorLog {
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Everything logged until now; empty before the server made the file.
    pub fn contents(&self) -> String {
        fs::read(&self.path).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default()
    }

    pub fn mark(&self) -> usize {
        self.contents().len()
    }

    pub fn since(&self, mark: usize) -> String {
        self.contents().get(mark..).unwrap_or_default().to_owned()
    }

    /// Waits until a line after `mark` matches `pattern` and returns it.
    pub fn wait_for(&self, mark: usize, pattern: &str) -> Option<String> {
        poll(patience(10), || self.since(mark).lines().find(|line| matches(line, pattern)).map(str::to_owned))
    }
}

/// Substring match; a `*` in `pattern` stands for any text, so the pieces must follow one another.
pub fn matches(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// What a test said about the log of its server.
#[derive(Default)]
pub struct Expectations {
    /// Patterns of lines at level warn or worse that may be there.
    pub allowed: Vec<String>,
    /// Patterns that must have matched a line at the end; these lines are allowed as well.
    pub required: Vec<String>,
    /// Octets that must not appear in a line of our module below trace.
    pub secrets: Vec<String>,
}

/// Fatal in any line, at any level, allowed or not.
const NEVER: [&str; 5] =
    ["exit signal", "panicked at", "AddressSanitizer", "ThreadSanitizer", "runtime error:"];

/// Everything in `log` that must not be there, one sentence each. Empty: the log is as expected.
pub fn judge(log: &str, expectations: &Expectations) -> Vec<String> {
    let mut faults = Vec::new();
    for line in log.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(word) = NEVER.iter().find(|word| line.contains(**word)) {
            faults.push(format!("`{word}`: {line}"));
            continue;
        }
        let origin = Origin::of(line);
        if origin.is_ours() && !origin.is_trace() {
            faults.extend(
                expectations
                    .secrets
                    .iter()
                    .filter(|secret| line.contains(secret.as_str()))
                    .map(|secret| format!("secret `{secret}`: {line}")),
            );
        }
        let patterns = expectations.allowed.iter().chain(&expectations.required);
        if origin.is_alarming() && !patterns.into_iter().any(|pattern| matches(line, pattern)) {
            faults.push(format!("unexpected: {line}"));
        }
    }
    for pattern in &expectations.required {
        if !log.lines().any(|line| matches(line, pattern)) {
            faults.push(format!("no line matches `{pattern}`"));
        }
    }
    faults
}

/// Who logged a line and how loud: `[time] [module:level] ...`.
struct Origin<'a>(Option<(&'a str, &'a str)>);

impl<'a> Origin<'a> {
    fn of(line: &'a str) -> Self {
        let tag = line.split_once("] [").and_then(|(_, rest)| rest.split_once(']')).map(|(tag, _)| tag);
        Self(tag.and_then(|tag| tag.split_once(':')))
    }

    /// A line without a tag went to standard error past httpd's log: nobody should.
    fn is_alarming(&self) -> bool {
        self.0.is_none_or(|(_, level)| matches!(level, "warn" | "error" | "crit" | "alert" | "emerg"))
    }

    /// Untagged lines count as ours: a panic message of the module looks like that.
    fn is_ours(&self) -> bool {
        self.0.is_none_or(|(module, _)| module == "token_binding")
    }

    fn is_trace(&self) -> bool {
        self.0.is_some_and(|(_, level)| level.starts_with("trace"))
    }
}
