//! What callgrind wrote: what the module costs with all that it calls, apart from what goes on around it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Whose code the module calls, and how the names of its objects begin. What is in none of them is httpd.
const LIBRARIES: [(&str, &[&str]); 3] =
    [("APR", &["libapr"]), ("OpenSSL", &["libssl", "libcrypto"]), ("C library", &["libc."])];
const HTTPD: usize = LIBRARIES.len();
const MODULE: &str = "mod_token_binding";

/// Instructions.
#[derive(Clone, Copy, Default)]
pub struct Count {
    pub all: f64,
    /// The module's own.
    pub own: f64,
    /// What the module calls in APR, in OpenSSL, in the C library and in httpd, each with what these call.
    pub called: [f64; HTTPD + 1],
}

impl Count {
    /// From each entrance into the module until it returns.
    pub fn inside(&self) -> f64 {
        self.own + self.called.iter().sum::<f64>()
    }

    /// For one piece of work: the difference to a shorter window, divided.
    pub fn each(&self, short: &Self, pieces: f64) -> Self {
        let each = |long: f64, short: f64| (long - short) / pieces;
        Self {
            all: each(self.all, short.all),
            own: each(self.own, short.own),
            called: std::array::from_fn(|whose| each(self.called[whose], short.called[whose])),
        }
    }
}

/// A function: its object's name, and its own.
type Function = (String, String);

/// One file of callgrind.
#[derive(Default)]
pub struct Profile {
    pub count: Count,
    calls: HashMap<Function, HashSet<Function>>,
}

impl Profile {
    /// `None` while it is not complete.
    pub fn read(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let mut profile = Self { count: Count { all: total(&text)?, ..Count::default() }, ..Self::default() };
        let (mut objects, mut functions) = (Names::default(), Names::default());
        let (mut caller, mut callee) = (Function::default(), Function::default());
        let mut is_call = false;
        for line in text.lines() {
            match line.split_once('=') {
                Some(("ob", name)) => caller.0 = objects.name(name),
                Some(("fn", name)) => caller.1 = functions.name(name),
                Some(("cob", name)) => callee.0 = objects.name(name),
                Some(("cfn", name)) => callee.1 = functions.name(name),
                Some(("calls", _)) => is_call = true,
                Some(_) => {}
                // The line of the source, which may be relative to the last, and instructions.
                None if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) => {
                    let cost = line.split(' ').nth(1).map_or(0.0, |cost| cost.parse().expect("a number"));
                    if is_call {
                        // Without `cob` it is the caller's.
                        if callee.0.is_empty() {
                            callee.0.clone_from(&caller.0);
                        }
                        profile.call(&caller, std::mem::take(&mut callee), cost);
                    } else if is_ours(&caller) {
                        profile.count.own += cost;
                    }
                    is_call = false;
                }
                None => {}
            }
        }
        Some(profile)
    }

    fn call(&mut self, caller: &Function, callee: Function, cost: f64) {
        if is_ours(caller) && !is_ours(&callee) {
            self.count.called[whose(&callee)] += cost;
        }
        self.calls.entry(caller.clone()).or_default().insert(callee);
    }

    /// Functions by which the module may be entered while it is at work already. Such an entrance would count twice.
    pub fn entered_again(&self) -> Vec<&str> {
        let callees = |function: &Function| self.calls.get(function).into_iter().flatten();
        let ours = self.calls.keys().filter(|caller| is_ours(caller));
        let mut next: Vec<&Function> = ours.flat_map(callees).filter(|callee| !is_ours(callee)).collect();
        let (mut seen, mut again) = (HashSet::new(), Vec::new());
        while let Some(function) = next.pop() {
            match is_ours(function) {
                true => again.push(function.1.as_str()),
                false if seen.insert(function) => next.extend(callees(function)),
                false => {}
            }
        }
        again
    }
}

fn is_ours(function: &Function) -> bool {
    file_name(function).starts_with(MODULE)
}

fn whose(function: &Function) -> usize {
    let name = file_name(function);
    let library = |(_, names): &(&str, &[&str])| names.iter().any(|begin| name.starts_with(begin));
    LIBRARIES.iter().position(library).unwrap_or(HTTPD)
}

fn file_name(function: &Function) -> &str {
    function.0.rsplit('/').next().unwrap_or_default()
}

/// Names are written once, as `(7) name`, and are then called `(7)`.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn name(&mut self, written: &str) -> String {
        match written.split_once(' ') {
            Some((number, name)) if number.starts_with('(') => {
                self.0.insert(number.to_owned(), name.to_owned());
                name.to_owned()
            }
            _ => self.0.get(written).cloned().unwrap_or_else(|| written.to_owned()),
        }
    }
}

/// All instructions that a file of callgrind is about.
pub fn total(text: &str) -> Option<f64> {
    text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}
