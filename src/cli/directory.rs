//! `customer …`, `user …` and `integration …`: the directory's commands.
//!
//! They work on the directory file alone; a running gateway follows the file. A password is asked
//! for twice on the terminal or read as one line from standard input, never taken as an argument,
//! where others could see it.

mod customer;
mod integration;
mod password;
mod table;
mod user;

use std::io::{self, Write};
use std::path::Path;

pub use customer::CustomerCommand;
pub use integration::IntegrationCommand;
pub use user::UserCommand;

use crate::identity::directory::edit::{Document, EditError, Missing, Refusal, edit};
use crate::identity::directory::{Directory, DirectoryError};
use crate::identity::password::HashError;

/// Why a command did not do what it was told to.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The directory file itself is at fault.
    #[error(transparent)]
    Directory(DirectoryError),
    /// What was asked for does not fit what is there, or could not be written.
    #[error(transparent)]
    Edit(EditError),
    /// No password came, or not one that can be used.
    #[error("{0}")]
    Password(String),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The answer could not be written out.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Whether it is the directory file that somebody has to repair (exit code 78) rather than the
    /// command (1).
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

impl From<EditError> for CommandError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Faulty(error) => Self::Directory(error),
            error @ (EditError::Refused(_) | EditError::Io { .. }) => Self::Edit(error),
        }
    }
}

/// Where a command works and what it answers in.
struct Context<'a> {
    path: &'a Path,
    json: bool,
    out: &'a mut dyn Write,
}

impl Context<'_> {
    fn read(&self) -> Result<Directory, CommandError> {
        Directory::read(self.path).map_err(CommandError::Directory)
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<T, Refusal>,
    ) -> Result<T, CommandError> {
        Ok(edit(self.path, Missing::Refuse, change)?)
    }

    fn add<T>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<T, Refusal>,
    ) -> Result<T, CommandError> {
        Ok(edit(self.path, Missing::Create, change)?)
    }

    /// Says what was done.
    fn say(&mut self, message: &str) -> Result<(), CommandError> {
        if self.json {
            writeln!(self.out, "{}", serde_json::json!({ "message": message }))?;
        } else {
            writeln!(self.out, "{message}")?;
        }
        Ok(())
    }

    /// Shows `rows` as a table for people, or `values` as JSON for programs.
    fn show<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: Vec<[String; N]>,
        values: impl FnOnce() -> serde_json::Value,
    ) -> Result<(), CommandError> {
        if self.json {
            writeln!(self.out, "{:#}", values())?;
        } else {
            table::write(self.out, header, rows)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
