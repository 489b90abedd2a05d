//! What the documents say about the sources themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::configuration::{project, read};

/// All files of Rust below a folder of the project.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![project(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// How often the word `unsafe` stands outside comments.
fn unsafe_places(file: &Path) -> usize {
    let source = std::fs::read_to_string(file).expect("text");
    let code = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    code.flat_map(|line| line.split(|character| !is_word(character))).filter(|word| *word == "unsafe").count()
}

#[test]
fn the_documents_list_all_unsafe_code() {
    let in_sources: BTreeMap<String, usize> = sources("src")
        .into_iter()
        .map(|file| {
            (
                file.strip_prefix(project("")).expect("in the project").display().to_string(),
                unsafe_places(&file),
            )
        })
        .filter(|(_, places)| *places > 0)
        .collect();
    let mut in_document = BTreeMap::new();
    for row in read("docs/unsafe.md").lines().filter_map(|line| line.strip_prefix("| `")) {
        let (file, rest) = row.split_once("` | ").expect("a file");
        let (places, reason) = rest.split_once(" | ").expect("a number");
        assert!(reason.len() > 5, "{file}: why?");
        in_document.insert(file.to_owned(), places.parse().expect("a number"));
    }
    assert_eq!(in_document, in_sources, "left: docs/unsafe.md, right: the sources");
}

#[test]
fn what_decides_has_no_unsafe_code() {
    let roots = ["lib.rs", "main.rs", "manual.rs"];
    for file in sources("crates") {
        let is_root = file.parent().is_some_and(|folder| folder.ends_with("src"))
            && file.file_name().is_some_and(|name| roots.iter().any(|root| *root == name));
        if is_root {
            let source = std::fs::read_to_string(&file).expect("text");
            assert!(source.contains("\n#![forbid(unsafe_code)]\n"), "{}", file.display());
        }
    }
    assert_eq!(unsafe_places(&project("build.rs")), 0);
}
