//! The keys of the configuration as the comments of `defaults.toml` document them. The tables in
//! `docs/`, the JSON Schema and the file that `config init` writes are made of them.

use serde_json::{Map, Value};

use super::layers::DEFAULTS;

/// A table of the configuration.
pub struct Section {
    /// Its path, `server.tls`.
    pub name: &'static str,
    /// Its description.
    pub about: String,
    /// Its keys, in the order of the defaults.
    pub keys: Vec<Key>,
    /// The description, line by line.
    pub(super) comment: Vec<&'static str>,
    /// Its additions to the JSON Schema.
    pub(super) schema: Map<String, Value>,
}

/// A key with its default.
#[derive(Clone)]
pub struct Key {
    /// Its name within the table.
    pub name: &'static str,
    /// The default as TOML; for a key without one, an example.
    pub value: &'static str,
    /// Whether the value is the default.
    pub has_default: bool,
    /// Its description.
    pub about: String,
    /// The values that are accepted.
    pub range: &'static str,
    /// The limits that it sets.
    pub limits: Vec<Limit>,
    /// The description and the range, line by line.
    pub(super) comment: Vec<&'static str>,
    /// Its additions to the JSON Schema.
    pub(super) schema: Map<String, Value>,
}

/// A limit that a key sets, and its effect on a client.
#[derive(Clone, Default)]
pub struct Limit {
    /// The subject of the limit.
    pub what: &'static str,
    /// The text that stands in place of the key's default; may be empty.
    pub value: &'static str,
    /// The answer beyond the limit.
    pub beyond: &'static str,
    /// The label under which it is counted; may be empty.
    pub counted_as: &'static str,
}

/// Returns every table, in the order of the defaults. The tables of topics have the keys of the
/// first one, each with its own default.
pub fn sections() -> Vec<Section> {
    let mut sections = stated_sections();
    let is_topic = |section: &Section| section.name.starts_with("topics.");
    let keys = sections.iter().find(|section| is_topic(section));
    let keys = keys.map_or(Vec::new(), |first| first.keys.clone());
    for section in sections.iter_mut().filter(|it| is_topic(it)).skip(1) {
        let own = std::mem::take(&mut section.keys);
        section.keys = keys.iter().map(|key| key.inherited(&own)).collect();
        section.comment.push("Its keys are those of topics.events.");
    }
    sections
}

fn stated_sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut comments: Vec<&'static str> = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            sections.push(Section::new(name.trim_end_matches(']'), &comments));
        } else if let Some((name, value)) = key(line) {
            let section = sections.last_mut().expect("a key is in a table");
            let has_default = !line.starts_with('#');
            section
                .keys
                .push(Key::new(name, value, has_default, &comments));
        } else if let Some(comment) = line.strip_prefix("# ") {
            comments.push(comment);
            continue;
        }
        comments.clear();
    }
    sections
}

/// Returns the key of a line and its value. A key without a default stands in a comment.
fn key(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (name, value) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
    let is_key = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_key.then_some((name, value))
}

impl Section {
    fn new(name: &'static str, comments: &[&'static str]) -> Self {
        let Comments {
            prose,
            schema,
            limits,
            ..
        } = Comments::read(comments);
        assert!(limits.is_empty(), "a limit is a key's");
        Self {
            name,
            about: prose.join(" "),
            keys: Vec::new(),
            comment: prose,
            schema,
        }
    }
}

impl Key {
    fn new(
        name: &'static str,
        value: &'static str,
        has_default: bool,
        comments: &[&'static str],
    ) -> Self {
        let Comments {
            prose,
            range,
            schema,
            limits,
        } = Comments::read(comments);
        let is_said = |comment: &&str| prose.contains(comment) || comment.starts_with(RANGE);
        Self {
            name,
            value,
            has_default,
            about: prose.join(" "),
            range,
            limits,
            comment: comments.iter().copied().filter(is_said).collect(),
            schema,
        }
    }

    /// Returns the value.
    pub(super) fn toml(&self) -> toml::Value {
        self.value.parse().expect("a value of TOML")
    }

    /// Returns the key as a further topic has it, with the default that `own` states.
    fn inherited(&self, own: &[Self]) -> Self {
        let own = own.iter().find(|key| key.name == self.name);
        Self {
            value: own.map_or(self.value, |own| own.value),
            has_default: own.is_some(),
            limits: Vec::new(),
            comment: Vec::new(),
            ..self.clone()
        }
    }
}

const RANGE: &str = "Range: ";

/// The comments of a table or a key, by their meaning.
struct Comments {
    prose: Vec<&'static str>,
    range: &'static str,
    schema: Map<String, Value>,
    limits: Vec<Limit>,
}

impl Comments {
    fn read(lines: &[&'static str]) -> Self {
        let mut comments = Self {
            prose: Vec::new(),
            range: "",
            schema: Map::new(),
            limits: Vec::new(),
        };
        for line in lines {
            if let Some(range) = line.strip_prefix(RANGE) {
                comments.range = sentence(range);
            } else if let Some(schema) = line.strip_prefix("Schema: ") {
                let members: Map<_, _> = serde_json::from_str(schema).expect("an object of JSON");
                comments.schema.extend(members);
            } else if let Some(what) = line.strip_prefix("Limit: ") {
                comments.limits.push(Limit {
                    what: sentence(what),
                    ..Limit::default()
                });
            } else if let Some(field) = line.strip_prefix("  ") {
                let limit = comments.limits.last_mut();
                limit.expect("a field belongs to a limit").set(field);
            } else {
                comments.prose.push(line);
            }
        }
        comments
    }
}

impl Limit {
    fn set(&mut self, field: &'static str) {
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

/// Returns the text without the full stop at its end.
fn sentence(text: &'static str) -> &'static str {
    text.strip_suffix('.').unwrap_or(text)
}
