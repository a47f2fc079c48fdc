//! Defaults, file and environment as one table, which remembers where each value was written.
//!
//! Keys are named by their path, `topics.events.deadline`, as in the errors.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::error::{Error, Origin};
use super::file::{self, File, join};
use super::properties;

const DEFAULTS: &str = include_str!("defaults.toml");
const VARIABLE: &str = "IEM_GATEWAY__";
const SECRET_FILE_VARIABLE: &str = "IEM_GATEWAY_FILE__";

/// One value that holds.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its path.
    pub key: String,
    /// As TOML; none where it may be a secret.
    pub value: Option<Value>,
    /// Where it was written.
    pub origin: Origin,
}

pub(super) struct Layers {
    table: Table,
    /// Of each key: of a table, the last layer that states something in it.
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// The embedded defaults, on a machine of `cores`.
    pub(super) fn defaults(cores: usize) -> Self {
        let mut layers = Self {
            table: Table::new(),
            origins: BTreeMap::new(),
        };
        layers.merge(
            DEFAULTS.parse().expect("the embedded defaults are TOML"),
            &|_| Origin::Default,
        );
        let threads = Value::Integer(cores.try_into().unwrap_or(i64::MAX));
        layers.set_default(&["server", "threads"], &threads, Origin::Default);
        layers
    }

    /// Puts `file` over what there is.
    pub(super) fn add_file(&mut self, mut file: File) {
        let table = std::mem::take(&mut file.table);
        self.merge(table, &|key| file.origin(key));
    }

    /// Puts the variables of `environment` that are ours over what there is; the others are no
    /// concern of ours.
    pub(super) fn add_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), Error> {
        let mut ours: Vec<_> = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| {
                name.starts_with(VARIABLE) || name.starts_with(SECRET_FILE_VARIABLE)
            })
            .collect();
        ours.sort_unstable();
        for (variable, value) in ours {
            self.add_variable(&variable, value)?;
        }
        Ok(())
    }

    fn add_variable(&mut self, variable: &str, value: OsString) -> Result<(), Error> {
        let (path, origin) = match variable.strip_prefix(SECRET_FILE_VARIABLE) {
            Some(path) => (
                path,
                Origin::SecretFile {
                    variable: variable.to_owned(),
                    path: (&value).into(),
                },
            ),
            None => (
                &variable[VARIABLE.len()..],
                Origin::Variable(variable.to_owned()),
            ),
        };
        let mut keys: Vec<_> = path.split("__").map(str::to_ascii_lowercase).collect();
        // A variable's name has no dots, and the names of properties have no underscores.
        if let Some((name, table)) = keys.split_last_mut()
            && table.join(".") == properties::KEY
        {
            *name = name.replace('_', ".");
        }
        let error = |message| Error {
            origin: origin.clone(),
            key: Some(keys.join(".")),
            message,
        };
        let text = match &origin {
            Origin::SecretFile { path, .. } => {
                file::read(path).map_err(|cause| error(cause.message))?
            }
            _ => value
                .into_string()
                .map_err(|_| error("is not UTF-8".to_owned()))?,
        };
        let leaf = typed(
            text.trim_end_matches(['\r', '\n']),
            lookup(&self.table, &keys),
        );
        let nest = |value, key: &String| Value::Table(Table::from_iter([(key.clone(), value)]));
        if let Value::Table(table) = keys.iter().rev().fold(leaf, nest) {
            self.merge(table, &|_| origin.clone());
        }
        Ok(())
    }

    /// Fills in what follows from other keys.
    pub(super) fn complete(&mut self) {
        let Some(sink) = lookup(&self.table, &["sink", "type"]).cloned() else {
            return;
        };
        for topic in super::TOPICS {
            self.set_default(&["topics", topic, "sink"], &sink, self.origin("sink.type"));
        }
    }

    /// Sets a key that no layer states, where its table is one.
    fn set_default(&mut self, keys: &[&str], value: &Value, origin: Origin) {
        let Some((last, tables)) = keys.split_last() else {
            return;
        };
        let table = tables.iter().try_fold(&mut self.table, |table, key| {
            table.get_mut(*key)?.as_table_mut()
        });
        if let Some(table) = table
            && !table.contains_key(*last)
        {
            table.insert((*last).to_owned(), value.clone());
            self.origins.insert(keys.join("."), origin);
        }
    }

    pub(super) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_path_to_error::deserialize(self.table.clone()).map_err(|error| {
            self.error(
                error.path().to_string(),
                Error::explain(error.inner().message()),
            )
        })
    }

    /// Adds to a fault where its key was written. The message may repeat the value, so it stays out
    /// for a secret.
    pub(super) fn error(&self, key: String, message: String) -> Error {
        let origin = self.origin(&key);
        let message = match origin {
            Origin::SecretFile { .. } if !message.starts_with("unknown key") => {
                "the file's content is not a value for this key".to_owned()
            }
            _ => message,
        };
        Error {
            origin,
            key: Some(key),
            message,
        }
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        let mut leaves = Vec::new();
        collect_leaves(&self.table, "", &mut leaves);
        let setting = |(key, value): (String, &Value)| {
            let origin = self.origin(&key);
            // Which property holds a secret is the library's to know.
            let secret =
                matches!(origin, Origin::SecretFile { .. }) || key.starts_with(properties::KEY);
            Setting {
                key,
                value: (!secret).then(|| value.clone()),
                origin,
            }
        };
        leaves.into_iter().map(setting).collect()
    }

    /// Of the key, or of the nearest table around it.
    fn origin(&self, key: &str) -> Origin {
        let around = |key: &str| key.rfind(['.', '[']);
        std::iter::successors(Some(key), |key| around(key).map(|end| &key[..end]))
            .find_map(|key| self.origins.get(key).cloned())
            .unwrap_or(Origin::Default)
    }

    fn merge(&mut self, over: Table, origin_of: &dyn Fn(&str) -> Origin) {
        merge(&mut self.table, over, "", &mut |key| {
            self.origins.insert(key.to_owned(), origin_of(key));
        });
    }
}

/// Puts `over` over `base`, table by table, and calls `placed` with each key that it states.
fn merge(base: &mut Table, over: Table, prefix: &str, placed: &mut dyn FnMut(&str)) {
    for (key, value) in over {
        let path = join(prefix, &key);
        placed(&path);
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over, &path, placed),
            (_, Value::Table(over)) => {
                let mut table = Table::new();
                merge(&mut table, over, &path, placed);
                base.insert(key, Value::Table(table));
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The value that a variable's `text` means for a key that now has the value `current`: text where
/// text is due, else TOML where it is that.
fn typed(text: &str, current: Option<&Value>) -> Value {
    match current {
        Some(Value::String(_)) => Value::String(text.to_owned()),
        _ => text
            .parse()
            .unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

fn lookup<'table>(table: &'table Table, keys: &[impl AsRef<str>]) -> Option<&'table Value> {
    let (last, tables) = keys.split_last()?;
    tables
        .iter()
        .try_fold(table, |table, key| table.get(key.as_ref())?.as_table())?
        .get(last.as_ref())
}

fn collect_leaves<'table>(
    table: &'table Table,
    prefix: &str,
    leaves: &mut Vec<(String, &'table Value)>,
) {
    for (key, value) in table {
        let path = join(prefix, key);
        match value {
            Value::Table(table) => collect_leaves(table, &path, leaves),
            value => leaves.push((path, value)),
        }
    }
}
