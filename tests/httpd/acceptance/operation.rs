//! Restarts, and what all the rows before left in the log.

use serde_json::json;

use super::{Row, row};
use crate::common::process::{patience, poll};

pub const ROWS: &[Row] = &[
    row("one info line with a reason for each refusal", "surface", "as many lines as refusals", |s| {
        let refused = s.refused;
        let lines = || s.server.log().lines().filter(|line| is_refusal(line)).count();
        // The last one may still be on its way.
        poll(patience(2), || (lines() >= refused).then_some(()));
        match lines() {
            lines if lines == refused => "as many lines as refusals".to_owned(),
            lines => format!("{lines} lines for {refused} refusals"),
        }
    }),
    row("no message in the log below trace", "house rule 9", "0 lines", |s| {
        let log = s.server.log();
        let below_trace = log.lines().filter(|line| !line.contains("[token_binding:trace"));
        let telling =
            below_trace.filter(|line| s.messages.iter().any(|value| line.contains(value.as_str()))).count();
        format!("{telling} lines")
    }),
    row("after ten graceful restarts", "lifecycle", "200 verified provided=alice", |s| {
        let mut outcomes: Vec<String> = (0..10)
            .map(|_| {
                s.server.graceful();
                s.once(json!({}), json!([{"key": "alice"}]))
            })
            .collect();
        outcomes.dedup();
        outcomes.join(", ")
    }),
    row("a session from before a graceful restart", "8472 §4", "200 verified provided=alice", |s| {
        let before = s.connect(json!({"tickets": false}));
        let value = s.alice(&before);
        s.send(&before, &value);
        s.server.graceful();
        let (after, _) = s.session(json!({"tickets": false, "resume": before}));
        let value = s.alice(&after);
        s.send(&after, &value)
    }),
    row("replay across a graceful restart", "8471 §7.1", "200 verified provided=alice, 400", |s| {
        let before = s.connect(json!({}));
        let value = s.alice(&before);
        let outcome = s.send(&before, &value);
        s.server.graceful();
        let after = s.connect(json!({}));
        [outcome, s.send(&after, &value)].join(", ")
    }),
    row("after a hard restart", "lifecycle", "200 verified provided=alice", |s| {
        s.server.hard_restart();
        s.once(json!({}), json!([{"key": "alice"}]))
    }),
];

fn is_refusal(line: &str) -> bool {
    line.contains("[token_binding:info]") && line.contains("request refused:")
}
