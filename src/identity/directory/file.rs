//! Reads the directory file: TOML text to a [`Directory`], or its fault and the line.
//!
//! Only the modules below know how the file is written. Unknown keys are faults.

mod check;
mod parts;
mod schema;

use std::path::Path;

use super::error::DirectoryError;
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
        let mut weak = self
            .users()
            .iter()
            .filter(|user| !user.password().cost().is_strong());
        let Some(first) = weak.next() else {
            return Ok(self);
        };
        let fault = format!(
            "password of user {:?}: its hash can be guessed against too fast ({}; OWASP's minimum \
             is m=19456,t=2,p=1, or m=47104 with t=1, m=12288 with t=3, m=9216 with t=4, m=7168 \
             with t=5); set it anew with `user passwd`. Other users with such a hash: {}",
            first.email,
            first.password().cost(),
            weak.count()
        );
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
            .map_err(|Fault { span, message }| DirectoryError {
                path: path.to_owned(),
                line: span.map(|span| 1 + text[..span.start].matches('\n').count()),
                message,
            })
    }
}

/// Returns the text of a directory file's `contents`; `path` is for the error alone.
pub(super) fn text<'c>(contents: &'c [u8], path: &Path) -> Result<&'c str, DirectoryError> {
    std::str::from_utf8(contents).map_err(|error| DirectoryError {
        path: path.to_owned(),
        line: Some(
            contents[..error.valid_up_to()]
                .split(|byte| *byte == b'\n')
                .count(),
        ),
        message: "not UTF-8 text".to_owned(),
    })
}

#[cfg(test)]
mod tests;
