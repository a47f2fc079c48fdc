//! TLS 1.2 and 1.3: the certificate that holds, followed while its files change, and the users that
//! client certificates stand for. Nothing here listens or speaks HTTP, and no key is ever logged or
//! printed.

mod client;
mod live;
mod material;
mod watcher;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use client::{ClientName, UnknownName};
pub use live::{LiveTls, Status};
pub use material::{Material, Validity};
pub use watcher::Watcher;

/// What the configuration says of TLS.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Client certificates; none is asked for where this is absent.
    pub clients: Option<ClientSettings>,
    /// Whether HTTP/2 is offered to clients that can speak it (ALPN, RFC 7301).
    pub http2: bool,
}

/// What the configuration says of client certificates.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The roots that they must lead to, PEM.
    pub ca: PathBuf,
    /// Whether a client without one is turned away.
    pub required: bool,
    /// The emails of the users that they stand for.
    pub users: BTreeMap<ClientName, Arc<str>>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong. Holds nothing of the file's content.
    pub message: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}

impl std::error::Error for TlsError {}
