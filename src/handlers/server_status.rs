//! This module's section of mod_status' page, and its lines of `?auto`.

use std::fmt::Write as _;

use crate::counters::{CONNECTIONS, Counters, MESSAGES, TOKENS, Table, VERDICTS};
use crate::request::Request;

/// How mod_status wants it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `?auto`: a line each, for programs.
    Lines,
    /// `?notable`: HTML without tables.
    List,
    /// HTML.
    Tables,
}

/// Writes the section. Where nothing is counted there is none.
pub(crate) fn write(request: Request<'_>, style: Style) {
    let common = request.server_config().common();
    let Some((common, counters)) = common.and_then(|common| Some((common, common.counters()?))) else {
        return;
    };
    // What no directive asks for would only be zeros.
    let verifiers = common.finished().map_or(&[][..], |finished| &finished.verifiers);
    let mut tables: Vec<(&Table, Vec<usize>)> = vec![(&CONNECTIONS, vec![0, 1]), (&MESSAGES, vec![0])];
    if !verifiers.is_empty() {
        let is_used =
            |kind: &usize| verifiers.iter().any(|verifier| verifier.config().source.kind() as usize == *kind);
        tables.push((&TOKENS, vec![0]));
        tables.push((&VERDICTS, (0..VERDICTS.columns.len()).filter(is_used).collect()));
    }
    let mut text = String::new();
    if style != Style::Lines {
        text.push_str("<hr />\n<h1>Token Binding and access tokens</h1>\n");
    }
    for (table, columns) in tables {
        match style {
            Style::Lines => lines(&mut text, table, &columns, counters, ""),
            Style::List => {
                text.push_str("<dl>\n");
                lines(&mut text, table, &columns, counters, "<dt>");
                text.push_str("</dl>\n");
            }
            Style::Tables => html_table(&mut text, table, &columns, counters),
        }
    }
    request.write(&text);
}

fn lines(text: &mut String, table: &Table, columns: &[usize], counters: &Counters, before: &str) {
    let after = if before.is_empty() { "" } else { "</dt>" };
    for (name, _, place) in columns.iter().flat_map(|column| table.column(*column)) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{before}{name}: {}{after}", counters.total(place));
    }
}

/// Nothing in it comes from a request or from the configuration, so there is nothing to escape.
fn html_table(text: &mut String, table: &Table, columns: &[usize], counters: &Counters) {
    let _ = write!(text, "\n<table border=\"0\"><tr><th align=\"left\">{}</th>", table.title);
    for column in columns {
        let _ = write!(text, "<th align=\"right\">{}</th>", table.columns.get(*column).unwrap_or(&""));
    }
    text.push_str("</tr>\n");
    let mut columns: Vec<_> = columns.iter().map(|column| table.column(*column)).collect();
    loop {
        let cells: Vec<_> = columns.iter_mut().filter_map(Iterator::next).collect();
        let Some((_, words, _)) = cells.first() else { break };
        let _ = write!(text, "<tr><td>{words}</td>");
        for (_, _, place) in &cells {
            let _ = write!(text, "<td align=\"right\">{}</td>", counters.total(*place));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table>\n");
}
