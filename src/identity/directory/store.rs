//! The place of the directory, for whoever reads or changes it once: a file or a database.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[cfg(feature = "postgres")]
use super::database::Database;
use super::edit::{EditError, Editor, Missing, Refusal, edit};
use super::error::DirectoryError;
use super::member::Member;
use super::password_version::PasswordVersion;
use super::snapshot::Directory;
use crate::config;
use crate::config::DirectoryKind;
use crate::identity::sessions;

/// The place of the directory.
#[derive(Debug)]
pub enum Store {
    /// In this file.
    File(PathBuf),
    /// In a database that several gateways share.
    #[cfg(feature = "postgres")]
    Database(Database),
}

impl Store {
    /// Returns where a configuration says that it is kept. Reaches no database.
    ///
    /// # Errors
    /// The database's URL or its certificates cannot be used, or this build has no database.
    pub fn of(config: &config::Directory) -> Result<Self, DirectoryError> {
        match config.kind {
            DirectoryKind::File => Ok(Self::File(config.path.clone())),
            #[cfg(feature = "postgres")]
            DirectoryKind::Postgres => Database::of(config).map(Self::Database),
            #[cfg(not(feature = "postgres"))]
            DirectoryKind::Postgres => Err(DirectoryError::of_file(
                Path::new("in PostgreSQL"),
                &"this build has no PostgreSQL: its feature `postgres` is off",
            )),
        }
    }

    /// Reads the directory. Blocks.
    ///
    /// # Errors
    /// It cannot be read or is not valid.
    pub fn read(&self) -> Result<Directory, DirectoryError> {
        match self {
            Self::File(path) => Directory::read(path),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.read(),
        }
    }

    /// Makes `change`, and returns its result. Blocks.
    ///
    /// # Errors
    /// See [`EditError`]; nothing has changed.
    pub fn edit<T>(
        &self,
        missing: Missing,
        change: impl FnOnce(&mut dyn Editor) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        match self {
            Self::File(path) => edit(path, missing, |document| change(document)),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.edit(change),
        }
    }

    /// Ends all sessions of a user with this password that have begun until now. Blocks. Running
    /// gateways follow within a second.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end_sessions(
        &self,
        email: &str,
        password: PasswordVersion,
        now: SystemTime,
    ) -> Result<(), DirectoryError> {
        match self {
            Self::File(path) => sessions::record(path, email, password, now),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.end_sessions(email, password, now),
        }
    }

    /// Brings the database's schema to the version that this gateway needs, and returns the steps
    /// that were missing. Blocks.
    ///
    /// # Errors
    /// See [`EditError`]; nothing has changed.
    pub fn migrate(&self) -> Result<Vec<i32>, EditError> {
        match self {
            Self::File(path) => Err(needs_database(path).into()),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.migrate().map_err(EditError::Database),
        }
    }

    /// Puts `directory` in the place of all there is in the database; unless `replace`, only if there
    /// is nothing. Blocks.
    ///
    /// # Errors
    /// See [`EditError`]; nothing has changed.
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables))]
    pub fn import(&self, directory: &Directory, replace: bool) -> Result<(), EditError> {
        match self {
            Self::File(path) => Err(needs_database(path).into()),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.import(directory, replace),
        }
    }

    /// Returns the revision of the directory, and the gateways that share it: none of a file. Blocks.
    ///
    /// # Errors
    /// The database is away, refuses, or has no directory.
    pub fn members(&self) -> Result<(i64, Vec<Member>), DirectoryError> {
        match self {
            Self::File(_) => Ok((0, Vec::new())),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.members(),
        }
    }

    /// Returns the numbers of customers and of users. Blocks.
    ///
    /// # Errors
    /// As [`read`](Self::read), but entries of a database are not looked at.
    pub fn sizes(&self) -> Result<(usize, usize), DirectoryError> {
        match self {
            Self::File(_) => {
                let directory = self.read()?;
                Ok((directory.customer_count(), directory.user_count()))
            }
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.sizes(),
        }
    }

    /// Returns the file, if it is kept in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Self::Database(_) => None,
        }
    }
}

fn needs_database(path: &Path) -> Refusal {
    Refusal(format!(
        "the directory is a file, {}: this is for a database, directory.type = \"postgres\"",
        path.display()
    ))
}

impl Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Database(database) => write!(f, "{database}"),
        }
    }
}
