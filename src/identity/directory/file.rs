//! Reads the directory file: TOML text to a [`Directory`], or its fault and the line.
//!
//! Only the modules below know how the file is written. Unknown keys are faults.

mod check;
mod parts;
mod schema;
mod write;

use std::path::Path;

use super::error::DirectoryError;
use super::rules;
use super::snapshot::Directory;
use crate::identity::private_file;
use check::Fault;
use schema::Entries;

impl Directory {
    /// Reads the directory file. Blocks.
    pub fn read(path: &Path) -> Result<Self, DirectoryError> {
        let contents =
            private_file::read(path).map_err(|error| DirectoryError::of_file(path, &error))?;
        Self::parse(text(&contents, path)?, path)
    }

    /// Refuses the directory of the file at `path` if somebody who has that file could guess a
    /// password too fast. Only a gateway that would serve it asks: a command has to be able to set
    /// that password anew.
    pub(super) fn check_strength(self, path: &Path) -> Result<Self, DirectoryError> {
        let mut weak: Vec<_> = self
            .iter_users()
            .filter_map(|user| Some((&user.email, rules::check_strength(user).err()?)))
            .collect();
        weak.sort_unstable();
        let Some((_, first)) = weak.first() else {
            return Ok(self);
        };
        let others = weak.len() - 1;
        let fault = format!("{first}. Other users with such a hash: {others}");
        Err(DirectoryError::of_file(path, &fault))
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
            .map_err(|Fault { span, message }| {
                let line = span.map(|span| 1 + text[..span.start].matches('\n').count());
                DirectoryError::in_line(path, line, message)
            })
    }
}

/// Returns the text of a directory file's `contents`; `path` is for the error alone.
pub(super) fn text<'c>(contents: &'c [u8], path: &Path) -> Result<&'c str, DirectoryError> {
    std::str::from_utf8(contents).map_err(|error| {
        let before = &contents[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        DirectoryError::in_line(path, Some(line), "not UTF-8 text".to_owned())
    })
}

#[cfg(test)]
mod tests;
