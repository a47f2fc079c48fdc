//! How requests travel: TLS and HTTP/2.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::units;
use crate::tls::{self, ClientName};

/// `[server.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Tls {
    /// The certificate chain; empty: plain HTTP.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of client certificates; empty: none is asked for.
    pub client_ca: PathBuf,
    /// Whether a client has to have one.
    pub client_certificates: ClientCertificates,
    /// The emails of the users that client certificates stand for.
    pub users: BTreeMap<ClientName, String>,
}

/// Whether a client has to have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// It may have one.
    Optional,
    /// Without one there is no connection.
    Required,
}

/// `[server.http2]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Http2 {
    /// Whether it is served at all.
    pub enabled: bool,
    /// Connections at once.
    pub max_connections: usize,
    /// A connection's requests at once.
    pub max_streams: usize,
    /// All connections' requests at once.
    pub max_requests: usize,
    /// Bytes of a request's body that may be on their way.
    #[serde(deserialize_with = "units::size")]
    pub stream_window: usize,
    /// Bytes of all bodies of a connection that may be on their way.
    #[serde(deserialize_with = "units::size")]
    pub connection_window: usize,
    /// Requests that a client has reset before they were begun.
    pub max_pending_resets: usize,
    /// Requests that were reset for a client's faults.
    pub max_error_resets: usize,
}

impl Tls {
    /// Whether it is HTTPS that is served.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// What the listener needs of it, if it is on; with or without HTTP/2.
    pub fn settings(&self, http2: bool) -> Option<tls::Settings> {
        let clients = (!self.client_ca.as_os_str().is_empty()).then(|| tls::ClientSettings {
            ca: self.client_ca.clone(),
            required: self.client_certificates == ClientCertificates::Required,
            users: self
                .users
                .iter()
                .map(|(name, email)| (name.clone(), email.as_str().into()))
                .collect(),
        });
        self.is_on().then(|| tls::Settings {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            clients,
            http2,
        })
    }
}
