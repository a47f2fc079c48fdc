//! The tables of keys and limits in `docs/`, made from the defaults. They stand between two markers
//! of a page; the rest of the page is written by hand.

use std::env;
use std::fmt::Write;
use std::fs;

use iem_gateway::config::reference::{Key, Section};

use super::{read, root};

const BEGIN: &str = "<!-- Made from src/config/defaults.toml by UPDATE_DOCS=1 cargo test --test \
                     integration documents -->\n";
const END: &str = "<!-- The end of what is made. -->\n";

/// Says how the page differs from `made`; with `UPDATE_DOCS` in the environment, writes it instead.
pub(super) fn update(page: &str, made: &str) -> Option<String> {
    let text = read(page);
    let markers = text.find(BEGIN).zip(text.find(END));
    let (begin, end) = markers.unwrap_or_else(|| panic!("{page} has no place for its table"));
    let begin = begin + BEGIN.len();
    let made = format!("\n{made}\n");
    if text[begin..end] == made {
        return None;
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        let whole = format!("{}{made}{}", &text[..begin], &text[end..]);
        fs::write(root().join(page), whole).expect("the page can be written");
        return None;
    }
    Some(format!(
        "{page} differs from src/config/defaults.toml; \
         UPDATE_DOCS=1 cargo test --test integration documents writes it"
    ))
}

/// A heading and a table of keys for each table of the configuration.
pub(super) fn keys(sections: &[Section]) -> String {
    let events = sections
        .iter()
        .find(|section| section.name == "topics.events");
    let events = events.expect("the events' topic");
    let mut parts = Vec::new();
    for section in sections {
        let inherits = section.name.starts_with("topics.") && section.name != events.name;
        let rows = section
            .keys
            .iter()
            .filter(|key| !inherits || is_own(key, events));
        let mut part = format!("## [{}]\n\n{}\n", section.name, section.about);
        if inherits {
            part.push_str("The other keys and their defaults are those of `topics.events`.\n");
        }
        if !section.keys.is_empty() {
            part.push_str("\n| key | default | range | meaning |\n|---|---|---|---|\n");
        }
        for key in rows {
            let default = default(key).map(code).unwrap_or_default();
            let (range, about) = if inherits {
                ("", "as above")
            } else {
                (key.range, &*key.about)
            };
            row(&mut part, &[&code(key.name), &default, range, about]);
        }
        parts.push(part);
    }
    parts.join("\n")
}

fn default(key: &Key) -> Option<&str> {
    key.has_default.then_some(key.value)
}

/// Whether the key's default differs from the one in `other`.
fn is_own(key: &Key, other: &Section) -> bool {
    let mut same = other.keys.iter().filter(|it| it.name == key.name);
    same.all(|it| default(it) != default(key))
}

/// The table of limits.
pub(super) fn limits(sections: &[Section]) -> String {
    let mut table =
        "| limit | default | key | beyond it | counted as |\n|---|---|---|---|---|\n".to_owned();
    for section in sections {
        let name = section.name.replace("topics.events", "topics.<topic>");
        for key in &section.keys {
            for limit in &key.limits {
                let default = default(key).unwrap_or_default();
                let value = if limit.value.is_empty() {
                    default.trim_matches('"')
                } else {
                    limit.value
                };
                let counted_as = match limit.counted_as {
                    "" => String::new(),
                    label => code(label),
                };
                let path = code(&format!("{name}.{}", key.name));
                row(
                    &mut table,
                    &[limit.what, value, &path, limit.beyond, &counted_as],
                );
            }
        }
    }
    table
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn row(table: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(table, "| {} |", cells.join(" | ")).expect("a string takes text");
}
