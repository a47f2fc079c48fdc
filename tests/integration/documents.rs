//! Tests of the documents: links lead somewhere, snippets hold, tables are those of the code. With
//! `UPDATE_DOCS` in the environment they write the tables made from the defaults, and nothing else.

mod contract;
mod markdown;
mod settings;
mod snippets;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use iem_gateway::config::reference::sections;
use markdown::Page;

/// The repository's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file of the repository with this extension, in the order of their paths. Hidden folders
/// and what builds and fuzzing leave behind are no part of it.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "corpus"].contains(&&*name) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|other| other == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every Markdown file of the repository.
fn pages() -> Vec<Page> {
    let pages: Vec<_> = files("md").iter().map(|path| Page::read(path)).collect();
    assert!(pages.len() > 10, "{} pages", pages.len());
    pages
}

/// Fails the test with all that was found wrong.
#[track_caller]
fn none(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn the_readme_is_read_in_one_sitting() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= 150, "{lines} lines");
    assert!(readme.len() <= 10_240, "{} bytes", readme.len());
}

#[test]
fn every_link_leads_to_a_file_and_its_heading() {
    none(
        &pages()
            .iter()
            .flat_map(Page::broken_links)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_document_that_the_code_cites_is_there() {
    let mut faults = Vec::new();
    for path in ["rs", "http", "toml"].into_iter().flat_map(files) {
        let text = fs::read_to_string(&path).expect("a source file");
        let cited = text.lines().filter_map(markdown::citation);
        faults.extend(
            cited
                .filter_map(|target| markdown::fault(&target, root()))
                .map(|fault| format!("{}: {fault}", path.display())),
        );
    }
    none(&faults);
}

#[test]
fn every_command_line_parses() {
    let commands: Vec<_> = pages().iter().flat_map(snippets::commands).collect();
    assert!(commands.len() > 20, "{} command lines", commands.len());
    let faults = commands.iter().filter_map(|it| snippets::refused(it));
    none(&faults.collect::<Vec<_>>());
}

#[test]
fn every_configuration_snippet_loads() {
    none(
        &pages()
            .iter()
            .flat_map(snippets::bad_toml)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_schema_takes_every_configuration() {
    none(&settings::refused(&pages()));
}

#[test]
fn every_json_snippet_parses() {
    none(
        &pages()
            .iter()
            .flat_map(snippets::bad_json)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_key_and_limit_tables_are_those_of_the_defaults() {
    let sections = sections();
    none(
        &[
            tables::update("docs/configuration.md", &tables::keys(&sections)),
            tables::update("docs/limits.md", &tables::limits(&sections)),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>(),
    );
}

#[test]
fn every_key_of_the_defaults_is_documented() {
    none(&settings::faults(&sections()));
}

#[test]
fn the_contract_and_its_cases_agree() {
    none(&contract::faults());
}

#[test]
fn every_decision_has_its_parts_and_stands_in_the_index() {
    let index = read("docs/decisions/README.md");
    let mut faults = Vec::new();
    for path in fs::read_dir(root().join("docs/decisions")).expect("the decisions") {
        let path = path.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "README.md" {
            continue;
        }
        if !index.contains(&format!("({name})")) {
            faults.push(format!("{name} is not in the index"));
        }
        let text = fs::read_to_string(&path).expect("a decision");
        for part in ["Status", "Context", "Decision", "Consequences"] {
            if !text.contains(&format!("\n## {part}\n")) {
                faults.push(format!("{name} has no {part}"));
            }
        }
    }
    none(&faults);
}
