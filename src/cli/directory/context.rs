//! The surroundings of a directory command: its file and its output.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use super::error::CommandError;
use super::table;
use crate::identity::directory::edit::{Document, Missing, Refusal, edit};
use crate::identity::directory::{Directory, PasswordVersion};
use crate::identity::sessions;

/// The directory file of a command, and the form of its output.
pub(super) struct Context<'a> {
    pub(super) path: &'a Path,
    pub(super) json: bool,
    pub(super) out: &'a mut dyn Write,
}

impl Context<'_> {
    /// Reads the directory.
    pub(super) fn read(&self) -> Result<Directory, CommandError> {
        Directory::read(self.path).map_err(CommandError::Directory)
    }

    /// Changes the directory file, which must be there.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<T, Refusal>,
    ) -> Result<T, CommandError> {
        Ok(edit(self.path, Missing::Refuse, change)?)
    }

    /// Changes the directory file, which is created if it is missing.
    pub(super) fn add<T>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<T, Refusal>,
    ) -> Result<T, CommandError> {
        Ok(edit(self.path, Missing::Create, change)?)
    }

    /// Ends all sessions of a user that have begun with this password until now.
    pub(super) fn end_sessions(
        &self,
        email: &str,
        password: PasswordVersion,
    ) -> Result<(), CommandError> {
        sessions::record(self.path, email, password, SystemTime::now())
            .map_err(CommandError::Directory)
    }

    /// Returns the version of a user's password.
    pub(super) fn password_version(&self, email: &str) -> Result<PasswordVersion, CommandError> {
        self.change(|document| document.check_user(email))?;
        let directory = self.read()?;
        let user = directory.user(email).map(|user| user.password_version);
        user.ok_or_else(|| Refusal(format!("no user {email:?}")).into())
    }

    /// Prints a message.
    pub(super) fn say(&mut self, message: &str) -> Result<(), CommandError> {
        if self.json {
            writeln!(self.out, "{}", serde_json::json!({ "message": message }))?;
        } else {
            writeln!(self.out, "{message}")?;
        }
        Ok(())
    }

    /// Prints `rows` as a table for people, or `values` as JSON for programs.
    pub(super) fn show<const N: usize>(
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
