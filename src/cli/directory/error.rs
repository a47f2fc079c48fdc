//! The error of a directory command.

use std::io;

use crate::identity::directory::DirectoryError;
use crate::identity::directory::edit::{EditError, Refusal};
use crate::identity::password::HashError;

/// The reason why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The directory is not valid, or its database is away.
    #[error(transparent)]
    Directory(DirectoryError),
    /// The change does not fit the directory, or could not be written.
    #[error(transparent)]
    Edit(EditError),
    /// There is no password, or it cannot be used.
    #[error("{0}")]
    Password(String),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The output could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Returns whether the directory has to be repaired (exit code 78) rather than the command
    /// (1).
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Directory(error) if !error.is_passing)
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Edit(refusal.into())
    }
}

impl From<EditError> for CommandError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Faulty(error) | EditError::Database(error) => Self::Directory(error),
            error @ (EditError::Refused(_) | EditError::Lock(_) | EditError::Io { .. }) => {
                Self::Edit(error)
            }
        }
    }
}
