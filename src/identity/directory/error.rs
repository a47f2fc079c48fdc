//! A fault of the directory file.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// A fault of the directory file, and its place. Holds no password and no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, if the fault is in one line.
    pub line: Option<usize>,
    /// The fault.
    pub message: String,
}

impl DirectoryError {
    /// Returns a fault of the file as a whole.
    pub(in crate::identity) fn of_file(path: &Path, fault: &impl Display) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            message: fault.to_string(),
        }
    }
}

impl Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for DirectoryError {}
