//! A fault of the directory.

use std::fmt::{self, Display};
use std::path::Path;

/// A fault of the directory, and its place. Holds no password and no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryError {
    /// The file or the database.
    pub place: String,
    /// The line of the file, from 1, if the fault is in one line.
    pub line: Option<usize>,
    /// The fault.
    pub message: String,
    /// Whether another attempt may succeed without anybody changing anything.
    pub is_passing: bool,
}

impl DirectoryError {
    /// Returns a fault of the file as a whole.
    pub(in crate::identity) fn of_file(path: &Path, fault: &impl Display) -> Self {
        Self::in_line(path, None, fault.to_string())
    }

    /// Returns a fault of what is no file.
    pub(in crate::identity) fn of_place(place: &str, message: &str) -> Self {
        Self {
            place: place.to_owned(),
            line: None,
            message: message.to_owned(),
            is_passing: false,
        }
    }

    /// Returns an error of the database, which may pass.
    #[cfg(feature = "postgres")]
    pub(in crate::identity) fn of_database(place: &str, error: &iem_postgres::Error) -> Self {
        Self {
            is_passing: error.is_away(),
            ..Self::of_place(place, &error.to_string())
        }
    }

    /// Returns a fault in a line of the file.
    pub(in crate::identity) fn in_line(path: &Path, line: Option<usize>, message: String) -> Self {
        Self {
            place: path.display().to_string(),
            line,
            message,
            is_passing: false,
        }
    }
}

impl Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.place)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for DirectoryError {}
