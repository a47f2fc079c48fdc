//! The error of a journal command.

use std::io;
use std::path::PathBuf;

use iem_journal::OpenError;
use iem_sink::{SinkError, SinkErrorKind};

use crate::config;
use crate::{RunError, StartError};

/// The reason why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No folder was named, and the configuration that names one is at fault.
    #[error("the configuration is at fault: mend it (`iem-gateway check`), or name a --folder")]
    NoFolder,
    /// There is no journal in the folder.
    #[error("{}: no journal is there", .0.display())]
    NoJournal(PathBuf),
    /// The folder has several, and one is wanted.
    #[cfg(feature = "file")]
    #[error("{} has journals of several topics; name one: {topics}", .folder.display())]
    Several {
        /// The folder.
        folder: PathBuf,
        /// The names of the topics.
        topics: String,
    },
    /// The folder cannot be read.
    #[error("cannot read the folder {}: {cause}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// A journal cannot be looked at, or its disk fails.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A running gateway has the journal.
    #[error("the journal is open in {0}; a gateway forwards by itself: stop it first")]
    Running(String),
    /// There is nothing to send again.
    #[cfg(feature = "file")]
    #[error("{}: no file of records is there", .0.display())]
    NoRecords(PathBuf),
    /// The configuration does not have the sink.
    #[error(transparent)]
    Configuration(#[from] config::Errors),
    /// A journal or a sink was not opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A journal or a sink was not closed in order.
    #[error(transparent)]
    End(#[from] RunError),
    /// A file of records cannot be read.
    #[cfg(feature = "file")]
    #[error("{0}")]
    Records(SinkError),
    /// A sink does not take records.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The operating system refuses something.
    #[error("cannot start: {0}")]
    System(io::Error),
    /// The output could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl JournalError {
    /// Whether the configuration, or something that it names, has to change first.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Configuration(_) => true,
            Self::Start(error) => error.is_configuration(),
            Self::Sink(error) => error.kind == SinkErrorKind::Permanent,
            _ => false,
        }
    }
}
