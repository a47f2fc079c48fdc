//! The surroundings of a directory command: where the directory is kept, and its output.

use std::io::Write;
use std::time::SystemTime;

use super::error::CommandError;
use super::table;
use crate::identity::directory::edit::{EditError, Editor, Missing, Refusal};
use crate::identity::directory::{Directory, PasswordVersion, Store};

/// The directory of a command, and the form of its output.
pub(super) struct Context<'a> {
    pub(super) store: &'a Store,
    pub(super) json: bool,
    pub(super) out: &'a mut dyn Write,
}

impl Context<'_> {
    /// Reads the directory.
    pub(super) fn read(&self) -> Result<Directory, CommandError> {
        self.store.read().map_err(CommandError::Directory)
    }

    /// Changes the directory. Its file must be there.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut dyn Editor) -> Result<T, EditError>,
    ) -> Result<T, CommandError> {
        Ok(self.store.edit(Missing::Refuse, change)?)
    }

    /// Changes the directory. Its file is created if it is missing.
    pub(super) fn add<T>(
        &self,
        change: impl FnOnce(&mut dyn Editor) -> Result<T, EditError>,
    ) -> Result<T, CommandError> {
        Ok(self.store.edit(Missing::Create, change)?)
    }

    /// Ends all sessions of a user that have begun with this password until now.
    pub(super) fn end_sessions(
        &self,
        email: &str,
        password: PasswordVersion,
    ) -> Result<(), CommandError> {
        self.store
            .end_sessions(email, password, SystemTime::now())
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
