//! Rust source as tokens: without comments, without the content of literals, and without what only
//! tests compile.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the path and the text of every Rust file below `folder`, sorted by path. The path is
/// relative to the repository's root.
pub(crate) fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&Path::new(ROOT).join(folder), &mut files);
    assert!(!files.is_empty(), "no source below {folder}");
    files.sort();
    files
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a source file");
            let path = path.strip_prefix(ROOT).expect("below the root");
            (path.to_str().expect("a name in UTF-8").to_owned(), text)
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Returns the tokens of a source: words, `::`, and single characters. Literals are `"`.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if let Some(length) = ignored(rest) {
            length
        } else if let Some(length) = literal(rest) {
            tokens.push("\"".to_owned());
            length
        } else {
            let length = token(rest, first);
            tokens.push(rest[..length].to_owned());
            length
        };
        rest = &rest[length..];
    }
    tokens
}

fn token(rest: &str, first: char) -> usize {
    if is_of_word(first) {
        rest.find(|letter| !is_of_word(letter))
            .unwrap_or(rest.len())
    } else if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of the white space, the comment or the lifetime's tick at which `rest` begins.
fn ignored(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    let blank = rest.len() - rest.trim_start().len();
    (blank > 0).then_some(blank)
}

/// The length of the literal at which `rest` begins.
fn literal(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"]
        .iter()
        .find(|prefix| {
            let behind = rest.strip_prefix(**prefix);
            behind.is_some_and(|behind| behind.starts_with(['"', '#', '\'']))
        })
        .map_or(0, |prefix| prefix.len());
    let (raw, body) = (rest[..prefix].ends_with('r'), &rest[prefix..]);
    let hashes = body.len() - body.trim_start_matches('#').len();
    if raw && body[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let content = prefix + hashes + 1;
        let length = rest[content..].find(&end).expect("a literal ends");
        return Some(content + length + end.len());
    }
    match body.chars().next()? {
        '"' => Some(prefix + quoted(body, '"')),
        '\'' if is_character(body) => Some(prefix + quoted(body, '\'')),
        _ => None,
    }
}

/// Whether a tick begins a character and no lifetime.
fn is_character(body: &str) -> bool {
    let mut letters = body.chars().skip(1);
    letters.next() == Some('\\') || letters.next() == Some('\'')
}

fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in body.char_indices().skip(1) {
        if letter == quote && !escaped {
            return at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    body.len()
}

/// Takes out every item below `#[cfg(test)]`; returns the names of the modules among them.
pub(crate) fn without_tests(tokens: &[String]) -> (Vec<String>, Vec<String>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        if !rest.starts_with(&MARK.map(str::to_owned)) {
            kept.push(rest[0].clone());
            rest = &rest[1..];
            continue;
        }
        rest = &rest[MARK.len()..];
        let item = &rest[..item_length(rest)];
        if let Some(at) = item.iter().position(|token| token == "mod") {
            modules.push(item[at + 1].clone());
        }
        rest = &rest[item.len()..];
    }
    (kept, modules)
}

/// The length of an item: up to its semicolon, or to the end of its block.
fn item_length(tokens: &[String]) -> usize {
    let is_use = tokens
        .iter()
        .take_while(|token| *token != "{" && *token != ";")
        .any(|token| token == "use");
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match &**token {
            ";" if depth == 0 => return at + 1,
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if depth == 0 && !is_use {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn comments_and_literals_hold_no_paths() {
    let text = r##"use a::b; // crate::c
        let d = 'e' as &'f str; /* crate::g */ r#"crate::"h"#; b"\"crate::i" '\''"##;
    let expected = "use a :: b ; let d = \" as & ' f str ; \" ; \" \"";
    assert_eq!(tokens(text).join(" "), expected);
}

#[test]
fn items_of_tests_are_taken_out() {
    let text = "use a; #[cfg(test)] use b::{c}; #[cfg(test)] mod d { fn e() {} } \
        #[cfg(test)] mod f; fn g() {}";
    let (kept, modules) = without_tests(&tokens(text));
    assert_eq!(kept.join(" "), "use a ; fn g ( ) { }");
    assert_eq!(modules, ["d", "f"]);
}
