//! Merges defaults, file and environment into one table, with the origin of each value.
//!
//! A key is named by its path, `topics.events.deadline`, as in the errors.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::error::{Error, Origin};
use super::file::{self, File, join};
use super::{identity, properties, telemetry};
use crate::record::Kind;

/// The embedded defaults.
pub(super) const DEFAULTS: &str = include_str!("defaults.toml");
const VARIABLE: &str = "IEM_GATEWAY__";
const SECRET_FILE_VARIABLE: &str = "IEM_GATEWAY_FILE__";

/// One value of the configuration.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The path of its key.
    pub key: String,
    /// The value as TOML; `None` if it may be a secret.
    pub value: Option<Value>,
    /// The place where it was written.
    pub origin: Origin,
    /// The value, secret or not.
    stated: Stated,
}

impl Setting {
    /// Returns whether its key has the same value among these settings.
    pub fn holds_in(&self, settings: &[Self]) -> bool {
        settings
            .iter()
            .any(|other| other.key == self.key && other.stated == self.stated)
    }
}

/// A value that may be a secret: it can be compared, and is never shown.
#[derive(Clone, PartialEq)]
struct Stated(Value);

impl fmt::Debug for Stated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(not shown)")
    }
}

pub(super) struct Layers {
    table: Table,
    /// The origin of each key. That of a table is the last layer that states a value in it.
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// Returns the embedded defaults, on a machine with this number of cores.
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

    /// Puts `file` over the layers before.
    pub(super) fn add_file(&mut self, mut file: File) {
        let table = std::mem::take(&mut file.table);
        self.merge(table, &|key| file.origin(key));
    }

    /// Puts the variables of `environment` that are ours over the layers before; ignores the
    /// others.
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
        let nested = keys.iter().rev().fold(leaf, |value, key| {
            Value::Table(Table::from_iter([(key.clone(), value)]))
        });
        if let Value::Table(table) = nested {
            self.merge(table, &|_| origin.clone());
        }
        Ok(())
    }

    /// Sets the defaults that follow from other keys.
    pub(super) fn complete(&mut self) {
        let Some(sink) = lookup(&self.table, &["sink", "type"]).cloned() else {
            return;
        };
        for kind in Kind::ALL {
            let key = ["topics", kind.topic(), "sink"];
            self.set_default(&key, &sink, self.origin("sink.type"));
        }
    }

    /// Sets a key that no layer states, if its table is a table.
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

    /// Builds the error of a key. The message may quote the value, so it is left out for a secret.
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
        leaves
            .into_iter()
            .map(|(key, value)| self.setting(key, value))
            .collect()
    }

    fn setting(&self, key: String, value: &Value) -> Setting {
        let origin = self.origin(&key);
        // Only the client library knows which of its properties are secrets.
        let secret = matches!(origin, Origin::SecretFile { .. })
            || key.starts_with(properties::KEY)
            || key == telemetry::AUTHORIZATION
            || key == identity::PASSWORD
            || key == identity::URL && value.as_str().is_none_or(identity::may_hold_password);
        Setting {
            key,
            value: (!secret).then(|| value.clone()),
            origin,
            stated: Stated(value.clone()),
        }
    }

    /// Returns the origin of the key, or of the nearest table around it.
    fn origin(&self, key: &str) -> Origin {
        std::iter::successors(Some(key), |key| parent(key))
            .find_map(|key| self.origins.get(key).cloned())
            .unwrap_or(Origin::Default)
    }

    fn merge(&mut self, over: Table, origin_of: &dyn Fn(&str) -> Origin) {
        merge(&mut self.table, over, "", &mut |key| {
            self.origins.insert(key.to_owned(), origin_of(key));
        });
    }
}

/// Returns the path of the table or array that `key` is in.
fn parent(key: &str) -> Option<&str> {
    key.rfind(['.', '[']).map(|end| &key[..end])
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

/// Returns the value of a variable's `text` for a key whose value is `current`: text if that is
/// text, else parsed as TOML if possible.
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
