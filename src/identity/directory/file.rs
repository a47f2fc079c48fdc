//! Reads the directory file: TOML text to a [`Directory`], or its fault and the line.
//!
//! Only the modules below know how the file is written. Unknown keys are faults.

mod check;
mod parts;
mod schema;

use std::fs;
use std::path::Path;

use super::error::DirectoryError;
use super::snapshot::Directory;
use check::Fault;
use schema::Entries;

impl Directory {
    /// Reads the directory file. Blocks.
    pub fn read(path: &Path) -> Result<Self, DirectoryError> {
        let text =
            fs::read_to_string(path).map_err(|error| DirectoryError::unreadable(path, &error))?;
        Self::parse(&text, path)
    }

    /// Reads the directory from `text`; `path` is for the error alone.
    pub fn parse(text: &str, path: &Path) -> Result<Self, DirectoryError> {
        // Spans count from the start of a part, so a fault is found by reading the whole text.
        if let Some(Ok(directory)) = parts::read(text).map(Entries::check) {
            return Ok(directory);
        }
        toml::from_str::<Entries>(text)
            .map_err(|error| Fault {
                span: error.span(),
                message: error.message().replace('\n', ", "),
            })
            .and_then(Entries::check)
            .map_err(|Fault { span, message }| DirectoryError {
                path: path.to_owned(),
                line: span.map(|span| 1 + text[..span.start].matches('\n').count()),
                message,
            })
    }
}

#[cfg(test)]
mod tests;
