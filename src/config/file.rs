//! A configuration file: its values, and the line of each key.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::error::{Error, Origin};

/// The keys whose values are paths, relative to the file that states them.
const PATHS: [&str; 17] = [
    "admin.tls.certificate",
    "admin.tls.key",
    "audit.path",
    "server.tls.certificate",
    "server.tls.key",
    "server.tls.client_ca",
    "server.tls.client_crl",
    "directory.path",
    "directory.ca_file",
    "directory.snapshot",
    "tokens.keys",
    "tokens.key_file",
    "sink.file.path",
    "journal.path",
    "sink.pubsub.credentials",
    "oidc.ca_file",
    "traces.ca_file",
];

pub(super) struct File {
    /// Its values, with paths relative to the working directory.
    pub(super) table: Table,
    path: PathBuf,
    /// The line of each key, by its path.
    lines: BTreeMap<String, usize>,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = read(path)?;
        let error = |error: toml::de::Error| {
            let line = error
                .span()
                .map(|span| line_at(text.as_bytes(), span.start));
            Error {
                origin: Origin::File {
                    path: path.to_owned(),
                    line,
                },
                key: None,
                message: error.message().to_owned(),
            }
        };
        let document = DeTable::parse(&text).map_err(error)?;
        let mut table: Table = text.parse().map_err(error)?;
        resolve_paths(&mut table, path.parent().unwrap_or(Path::new("")));
        let mut lines = BTreeMap::new();
        collect_lines(document.get_ref(), "", &text, &mut lines);
        Ok(Self {
            table,
            path: path.to_owned(),
            lines,
        })
    }

    /// Returns the place where it states `key`.
    pub(super) fn origin(&self, key: &str) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line: self.lines.get(key).copied(),
        }
    }
}

/// Reads the text of the file at `path`.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let error = |line, message| Error {
        origin: Origin::File {
            path: path.to_owned(),
            line,
        },
        key: None,
        message,
    };
    let bytes = fs::read(path).map_err(|cause| error(None, format!("cannot be read: {cause}")))?;
    String::from_utf8(bytes).map_err(|cause| {
        let line = line_at(cause.as_bytes(), cause.utf8_error().valid_up_to());
        error(Some(line), "is not UTF-8".to_owned())
    })
}

/// Returns the path of `key` in the table at `prefix`.
pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

fn resolve_paths(table: &mut Table, folder: &Path) {
    for path in PATHS {
        let mut keys = path.split('.');
        let Some(first) = keys.next().and_then(|key| table.get_mut(key)) else {
            continue;
        };
        if let Some(Value::String(path)) = keys.try_fold(first, |value, key| value.get_mut(key))
            && !path.is_empty()
        {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    }
}

fn collect_lines(table: &DeTable, prefix: &str, text: &str, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        lines.insert(path.clone(), line_at(text.as_bytes(), key.span().start));
        if let DeValue::Table(table) = value.get_ref() {
            collect_lines(table, &path, text, lines);
        }
    }
}

/// Returns the number, from 1, of the line that holds the byte at `offset`.
fn line_at(text: &[u8], offset: usize) -> usize {
    1 + text
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}
