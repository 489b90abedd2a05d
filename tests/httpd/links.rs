//! Links within the documents lead somewhere, and every document is reached from the README.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::configuration::{project, read};
use super::documented_commands::documents;

/// The targets of a document's links, blocks left out.
fn links(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2);
    let targets = outside.flat_map(|text| text.split("](").skip(1));
    let local = targets.filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains("://"));
    local.map(str::to_owned).collect()
}

/// The anchors of a document's headings, as GitHub and others make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside = text.split("```").step_by(2);
    let headings = outside.flat_map(str::lines).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
    };
    headings.map(anchor).collect()
}

/// Without `..`
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
        normal
    })
}

#[test]
fn links_lead_somewhere_and_every_document_is_reached() {
    let mut all = documents();
    all.extend(["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/README.md"].map(str::to_owned));
    let (mut faults, mut reached) = (Vec::new(), BTreeSet::new());
    for document in &all {
        let folder = Path::new(document).parent().expect("a folder");
        for link in links(&read(document)) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { PathBuf::from(document) } else { normal(&folder.join(file)) };
            let target = target.display().to_string();
            if !project(&target).exists() {
                faults.push(format!("{document}: {link}: there is no {target}"));
            } else if !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
                faults.push(format!("{document}: {link}: {target} has no such heading"));
            }
            reached.insert(target);
        }
    }
    let is_document = |name: &&String| name.starts_with("docs/") && !reached.contains(*name);
    faults.extend(all.iter().filter(is_document).map(|name| format!("{name}: no document links to it")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
