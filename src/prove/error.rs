//! The reasons why a run proves nothing.

use std::io;

use iem_sink::SinkError;

use super::acknowledged::AcknowledgedError;
use super::session::SessionError;

/// The reason why a run could not begin, or has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The operating system denies a thread or a runtime.
    #[error("cannot begin: {0}")]
    Begin(#[from] io::Error),
    /// There is no token.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The sink cannot be read.
    #[error("the sink cannot be read: {0}")]
    Sink(#[from] SinkError),
    /// The file of acknowledged records cannot be written or read.
    #[error(transparent)]
    Acknowledged(#[from] AcknowledgedError),
    /// The file names records that its run cannot have sent.
    #[error("the file of acknowledged records names records beyond those of its run")]
    Beyond,
    /// The configuration names another topic than the file.
    #[error("the run's records are in {of_file}, and the configuration names {configured}")]
    OtherTopic {
        /// The topic that the file names.
        of_file: String,
        /// The topic that the configuration names.
        configured: String,
    },
    /// An earlier reading has taken the records away.
    #[error(
        "the run's records were read before: a subscription gives them out once, so what is \
         missing now is not known"
    )]
    AlreadyRead,
}
