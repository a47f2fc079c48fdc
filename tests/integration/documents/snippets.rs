//! Snippets of the documents, tried: command lines, configuration, JSON.

use std::fs;
use std::process::Command;

use iem_gateway::config;
use iem_gateway::identity::directory::Directory;
use serde_json::Value;

use super::markdown::{Page, Snippet};

/// The arguments of every command line of the page that calls the program.
pub(super) fn commands(page: &Page) -> Vec<Vec<String>> {
    let mut lines: Vec<String> = page.code_spans();
    for snippet in page.snippets() {
        lines.extend(snippet.text.replace("\\\n", " ").lines().map(str::to_owned));
    }
    lines.iter().filter_map(|line| arguments(line)).collect()
}

/// Says why the program does not take the arguments, or `None` where it does. `--help` at their end
/// makes the program read them and do nothing.
pub(super) fn refused(arguments: &[String]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_iem-gateway"))
        .args(arguments)
        .arg("--help")
        .output()
        .expect("the program starts");
    let told = String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then(|| format!("{}: {told}", arguments.join(" ")))
}

/// The arguments of a call of the program, up to a comment, a pipe or a redirection.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words = words(line)
        .into_iter()
        .skip_while(|word| is_assignment(word));
    if words.next()? != "iem-gateway" {
        return None;
    }
    let ends = ["#", "|", ">", "<", "&&", ";", "&"];
    Some(words.take_while(|word| !ends.contains(&&**word)).collect())
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        name.chars()
            .all(|c| c.is_ascii_uppercase() || "_0123456789".contains(c))
    })
}

/// Words of a shell's line; quotes hold spaces together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for c in line.trim_start_matches("$ ").chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The snippets of TOML that are no configuration, or no directory where they are said to be one.
pub(super) fn bad_toml(page: &Page) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("snippet.toml");
    faults(page, |snippet| {
        fs::write(&file, &snippet.text).expect("a file");
        match &*snippet.kind {
            "toml" => config::load(Some(&file), [])
                .err()
                .map(|error| error.to_string()),
            "toml directory" => Directory::read(&file).err().map(|error| error.to_string()),
            _ => None,
        }
    })
}

/// The snippets of JSON that are none.
pub(super) fn bad_json(page: &Page) -> Vec<String> {
    faults(page, |snippet| {
        let parse = |text: &str| serde_json::from_str::<Value>(text).err();
        let error = match &*snippet.kind {
            "json" => parse(&snippet.text),
            "ndjson" => snippet.text.lines().find_map(parse),
            _ => None,
        };
        error.map(|error| error.to_string())
    })
}

fn faults(page: &Page, check: impl Fn(&Snippet) -> Option<String>) -> Vec<String> {
    let snippets = page.snippets();
    snippets
        .iter()
        .filter_map(|snippet| Some(format!("{}: {}", snippet.place, check(snippet)?)))
        .collect()
}

#[test]
fn a_command_line_is_taken_apart() {
    let check = |line: &str, expected: Option<&str>| {
        let words = arguments(line).map(|words| words.join("|"));
        assert_eq!(words.as_deref(), expected, "{line}");
    };
    check("cargo run", None);
    check("iem-gateway check # all of it", Some("check"));
    check(
        "A_B=1 iem-gateway --config 'a b' check",
        Some("--config|a b|check"),
    );
}
