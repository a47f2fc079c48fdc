//! The configuration's keys as the comments of `src/config/defaults.toml` document them.

use toml::Table;

use super::read;

/// A table of the configuration.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) keys: Vec<Key>,
}

/// A key with its default, as it is written there.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) default: Option<String>,
    pub(super) about: String,
    pub(super) range: String,
    pub(super) limits: Vec<Limit>,
}

/// A limit that a key sets, and its effect on a client.
#[derive(Default)]
pub(super) struct Limit {
    pub(super) what: String,
    /// Said instead of the key's default.
    pub(super) value: String,
    pub(super) beyond: String,
    pub(super) counted_as: String,
}

/// Every table, in the order of the file.
pub(super) fn sections() -> Vec<Section> {
    let text = read("src/config/defaults.toml");
    let mut sections: Vec<Section> = Vec::new();
    let mut comments: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            sections.push(Section {
                name: name.trim_end_matches(']').to_owned(),
                about: comments.join(" "),
                keys: Vec::new(),
            });
        } else if let Some((name, default)) = key(line) {
            let section = sections.last_mut().expect("a key is in a table");
            section.keys.push(Key::new(name, default, &comments));
        } else if let Some(comment) = line.strip_prefix("# ") {
            comments.push(comment);
            continue;
        }
        comments.clear();
    }
    sections
}

/// The key of a line and its default. A key without a default stands in a comment.
fn key(line: &str) -> Option<(&str, Option<&str>)> {
    let stated = line.strip_prefix("# ");
    let (name, value) = stated.unwrap_or(line).split_once(" = ")?;
    let is_key = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_key.then_some((name, stated.is_none().then_some(value)))
}

impl Key {
    fn new(name: &str, default: Option<&str>, comments: &[&str]) -> Self {
        let mut key = Self {
            name: name.to_owned(),
            default: default.map(str::to_owned),
            about: String::new(),
            range: String::new(),
            limits: Vec::new(),
        };
        let mut about = Vec::new();
        for comment in comments {
            if let Some(range) = comment.strip_prefix("Range: ") {
                key.range = sentence(range);
            } else if let Some(what) = comment.strip_prefix("Limit: ") {
                key.limits.push(Limit {
                    what: sentence(what),
                    ..Limit::default()
                });
            } else if let Some(field) = comment.strip_prefix("  ") {
                let limit = key.limits.last_mut();
                limit.expect("a field belongs to a limit").set(field);
            } else {
                about.push(*comment);
            }
        }
        key.about = about.join(" ");
        key
    }
}

impl Limit {
    fn set(&mut self, field: &str) {
        let (name, value) = field.split_once(": ").expect("a field has a value");
        let field = match name {
            "Value" => &mut self.value,
            "Beyond" => &mut self.beyond,
            "Counted as" => &mut self.counted_as,
            other => panic!("no field of a limit: {other}"),
        };
        *field = sentence(value);
    }
}

/// Without the full stop.
fn sentence(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

/// Keys that the comments do not document, and keys that were not found in the file.
pub(super) fn faults(sections: &[Section]) -> Vec<String> {
    let mut faults = Vec::new();
    let defaults: Table = read("src/config/defaults.toml").parse().expect("TOML");
    for section in sections {
        let table = section.name.split('.').fold(&defaults, |table, name| {
            table[name].as_table().expect("a table of the defaults")
        });
        let found = section.keys.iter().filter(|key| key.default.is_some());
        let stated = table.keys().filter(|name| {
            let path = format!("{}.{name}", section.name);
            !sections.iter().any(|other| other.name == path)
        });
        if found.count() != stated.count() {
            faults.push(format!("[{}]: not every key was found", section.name));
        }
        let inherits = section.name.starts_with("topics.") && section.name != "topics.events";
        for key in section.keys.iter().filter(|_| !inherits) {
            let has_text = !key.about.is_empty() || !key.range.is_empty();
            if !has_text || key.limits.iter().any(|limit| limit.beyond.is_empty()) {
                faults.push(format!("{}.{} is not documented", section.name, key.name));
            }
        }
    }
    faults
}
