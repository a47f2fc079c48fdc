//! A fault of the configuration, and the place where it was written.

use std::fmt;
use std::path::PathBuf;

/// The place where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the embedded defaults.
    Default,
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1; `None` if the fault is the whole file's.
        line: Option<usize>,
    },
    /// In an environment variable.
    Variable(String),
    /// In a file that an environment variable names. Such a value may be a secret: it is never
    /// shown.
    SecretFile {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
    },
}

/// One fault in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The place of the fault.
    pub origin: Origin,
    /// The key as a path, `topics.events.deadline`; `None` if the fault is not in one key.
    pub key: Option<String>,
    /// The fault. Holds no value that came from an [`Origin::SecretFile`].
    pub message: String,
}

/// All faults that were found, at least one. Printed one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Error>);

impl Error {
    /// Rewrites an error of serde, which is in the words of Rust's types, in those of the
    /// configuration.
    pub(super) fn explain(message: &str) -> String {
        let mut quoted = message.split('`').skip(1).step_by(2);
        let given = quoted.next().unwrap_or_default();
        if message.starts_with("unknown field") {
            let likeness = |known: &str| strsim::jaro_winkler(given, known);
            let nearest = quoted.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
            return format!(
                "unknown key; the nearest known one is `{}`",
                nearest.unwrap_or_default()
            );
        }
        if message.starts_with("unknown variant") {
            return format!(
                "`{given}` is none of: {}",
                quoted.collect::<Vec<_>>().join(", ")
            );
        }
        message.replace("expected usize", "expected a whole number")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File {
                path,
                line: Some(line),
            } => write!(formatter, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
            Self::SecretFile { variable, path } => {
                write!(formatter, "{variable}={}", path.display())
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            write!(formatter, "{key}: ")?;
        }
        formatter.write_str(&self.message)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            error.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
impl std::error::Error for Errors {}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}
