//! The directory in a database that several gateways share.
//!
//! [`follow`] keeps the snapshot in use up to date, and [`Database`] is for whoever reads or changes
//! the directory once. A request never waits for the database.

mod access;
mod editor;
mod entries;
mod follow;
mod in_use;
mod limits;
mod sessions;
mod snapshot_file;
mod threads;

use std::fmt::{self, Display};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use iem_postgres::{Edit, Error};
use tokio::runtime::Runtime;

use super::edit::{EditError, Editor, Refusal};
use super::error::DirectoryError;
use super::member::Member;
use super::password_version::PasswordVersion;
use super::snapshot::Directory;
use crate::config;
use crate::identity::sessions::{Ended, milliseconds};
use crate::telemetry::audit;
use access::{Access, host, runtime};
use editor::DatabaseEditor;
use entries::{Building, Strength};

pub(super) use follow::FollowedDatabase;
pub(super) use in_use::InUse;
pub(super) use threads::DatabaseFollower;

/// The database, for whoever reads or changes the directory once.
#[derive(Debug)]
pub struct Database(Box<Access>);

impl Database {
    pub(super) fn of(config: &config::Directory) -> Result<Self, DirectoryError> {
        Access::of(config).map(Box::new).map(Self)
    }

    /// Returns how it is reached, for whoever follows it.
    pub(super) fn into_access(self) -> Access {
        *self.0
    }

    /// Brings the schema to the version that this gateway needs, and returns the steps that were
    /// missing. Blocks.
    ///
    /// # Errors
    /// The database is away, refuses, or has the schema of a newer gateway.
    pub fn migrate(&self) -> Result<Vec<i32>, DirectoryError> {
        self.0.block_on(async {
            let mut connection = self.0.open_any().await?;
            iem_postgres::migrate(&mut connection).await
        })
    }

    /// Returns the revision of the directory, and the gateways that use it. Blocks.
    ///
    /// # Errors
    /// The database is away, refuses, or has no directory.
    pub fn members(&self) -> Result<(i64, Vec<Member>), DirectoryError> {
        self.0.run(async |connection| {
            let revisions = connection.revisions().await?;
            let gateways = connection.gateways().await?;
            let members = gateways.into_iter().map(|row| Member {
                id: row.id,
                seen_s: row.seen_s,
                revision: row.revision,
                version: row.version,
            });
            Ok((revisions.directory.number, members.collect()))
        })
    }

    /// Returns the numbers of customers and of users. Blocks.
    ///
    /// # Errors
    /// The database is away, refuses, or has no directory.
    pub fn sizes(&self) -> Result<(usize, usize), DirectoryError> {
        self.0.run(async |connection| connection.sizes().await)
    }

    /// Puts `directory` in the place of all there is; unless `replace`, only if there is nothing.
    /// Blocks.
    ///
    /// # Errors
    /// See [`EditError`]; nothing has changed.
    pub fn import(&self, directory: &Directory, replace: bool) -> Result<(), EditError> {
        let contents = entries::contents(directory);
        entries::check_import(&contents).map_err(Refusal)?;
        self.transact(|runtime, edit| {
            let failed = |error| self.failed(&error);
            if !replace && !runtime.block_on(edit.is_empty()).map_err(failed)? {
                let refusal = format!(
                    "the directory in {self} is not empty; --replace puts the file in its place"
                );
                return Err(Refusal(refusal).into());
            }
            runtime.block_on(edit.replace(&contents)).map_err(failed)?;
            let changes = vec!["everything imported from a file".to_owned()];
            Ok(((), edit, changes))
        })
    }

    pub(super) fn read(&self) -> Result<Directory, DirectoryError> {
        let read = self.0.run(async |connection| {
            let (_, building) = Building::read(connection, Strength::Any).await?;
            Ok(building)
        })?;
        match read.faults.first() {
            None => Ok(read.directory),
            Some(fault) => Err(DirectoryError::of_place(&self.to_string(), &fault)),
        }
    }

    pub(super) fn edit<T>(
        &self,
        change: impl FnOnce(&mut dyn Editor) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.transact(|runtime, edit| {
            let mut editor = DatabaseEditor::new(runtime, edit, self.to_string());
            let done = change(&mut editor)?;
            let (edit, changes) = editor.into_parts();
            Ok((done, edit, changes))
        })
    }

    /// Runs `work` in a transaction, which it returns with its result and what was changed.
    fn transact<T>(
        &self,
        work: impl for<'e> FnOnce(&'e Runtime, Edit<'e>) -> Result<Work<'e, T>, EditError>,
    ) -> Result<T, EditError> {
        let failed = |error| self.failed(&error);
        let place = self.to_string();
        let runtime = runtime().map_err(|error| {
            EditError::Database(DirectoryError::of_place(&place, &error.to_string()))
        })?;
        let mut connection = runtime.block_on(self.0.open()).map_err(failed)?;
        let edit = runtime
            .block_on(connection.edit(&actor()))
            .map_err(failed)?;
        let (done, edit, changes) = work(&runtime, edit)?;
        runtime.block_on(edit.commit()).map_err(failed)?;
        if !changes.is_empty() {
            audit::directory_changed(Path::new(&place), &changes);
        }
        Ok(done)
    }

    fn failed(&self, error: &Error) -> EditError {
        EditError::Database(DirectoryError::of_database(&self.to_string(), error))
    }

    pub(super) fn end_sessions(
        &self,
        email: &str,
        password: PasswordVersion,
        now: SystemTime,
    ) -> Result<(), DirectoryError> {
        let email: Arc<str> = email.into();
        self.0.run(async |connection| {
            let version = String::from(password);
            let known = connection.ended_until(&email, &version).await?;
            // By the later clock, and after all ends that are there.
            let now_ms = milliseconds(now).max(connection.now_ms().await?);
            let until_ms = known.map_or(now_ms, |known| now_ms.max(known.saturating_add(1)));
            let mut ended = Ended::default();
            ended.end_until(&email, password, until_ms);
            connection.write_sessions(&mut sessions::rows(&ended)).await
        })?;
        audit::sessions_ended(&email, "all, by a command");
        Ok(())
    }
}

/// The result of work in a transaction, the transaction, and what was changed in it.
type Work<'e, T> = (T, Edit<'e>, Vec<String>);

impl Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the name of who makes a change, as it is noted in the database: the user of the operating
/// system, and its machine.
fn actor() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
    format!("{user}@{}", host())
}
