//! The errors of starting and of running the gateway, for operators.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use iem_journal::OpenError;
use iem_sink::{SinkError, SinkErrorKind};

use crate::identity::directory::DirectoryError;
use crate::identity::token::KeyError;
use crate::record::Kind;
use crate::telemetry::traces::CollectorError;
use crate::tls::TlsError;

/// The reason why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory is missing or invalid, or its database is away.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The key that signs tokens is missing or invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate, its key or the roots of client certificates are missing or invalid.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificates that the issuer's may be signed by are missing or invalid.
    #[error("oidc.ca_file: {0}")]
    Oidc(#[source] TlsError),
    /// The collector of traces cannot be used as it is configured.
    #[error(transparent)]
    Traces(#[from] CollectorError),
    /// A sink does not take records.
    #[error("{sink}: {error}")]
    Sink {
        /// The name of the sink or of its topic.
        sink: String,
        /// The sink's error.
        error: SinkError,
    },
    /// A journal cannot be used.
    #[error("{key}: {error}")]
    Journal {
        /// The configuration's key.
        key: String,
        /// The reason.
        error: OpenError,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {error}")]
    Listen {
        /// The configuration's key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        error: io::Error,
    },
    /// The operating system denies a thread, a runtime or an address.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// Two metrics have one name: a fault of the program.
    #[error("cannot start: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl StartError {
    /// Returns the error of a topic's sink.
    pub(super) fn of_topic(kind: Kind, error: SinkError) -> Self {
        Self::Sink {
            sink: format!("topics.{}", kind.topic()),
            error,
        }
    }

    /// Whether the configuration, or a file that it names, has to change before another start can
    /// succeed.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Directory(error) => !error.is_passing,
            Self::Key(_) | Self::Tls(_) | Self::Oidc(_) => true,
            Self::Traces(error) => !matches!(error, CollectorError::System(_)),
            Self::Sink { error, .. } => error.kind == SinkErrorKind::Permanent,
            Self::Journal { error, .. } => !matches!(error, OpenError::Disk(_)),
            Self::Listen { .. } | Self::System(_) | Self::Metrics(_) => false,
        }
    }
}

/// The reason why the gateway did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The listener failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
    /// Requests or records were still under way when the time for draining was over. No 200 was
    /// given for them.
    #[error("not all was finished within {0:?}; what was not finished has not been acknowledged")]
    NotDrained(Duration),
    /// The cursor of a topic's journal was not written.
    #[error(
        "topics.{0}: the cursor of the journal could not be written: records that the sink has are sent again"
    )]
    CursorNotWritten(&'static str),
    /// A sink did not close.
    #[error("{sink}: {error}")]
    Sink {
        /// The name of the sink.
        sink: &'static str,
        /// The sink's error.
        error: SinkError,
    },
}
