//! TLS: `[server.tls]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::client_name::ClientName;

/// `[server.tls]`: HTTPS, if a certificate is named.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Tls {
    /// The certificate chain, PEM; empty: plain HTTP.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The roots of client certificates, PEM; empty: no client certificate is requested.
    pub client_ca: PathBuf,
    /// The lists of revoked client certificates, PEM; empty: none is revoked.
    pub client_crl: PathBuf,
    /// The choice whether clients need a certificate.
    pub client_certificates: ClientCertificates,
    /// The emails of the users that client certificates are mapped to.
    pub users: BTreeMap<ClientName, String>,
}

/// The choice whether clients need a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// A client may have one.
    Optional,
    /// A client without one is rejected in the handshake.
    Required,
}

impl Tls {
    /// Returns whether HTTPS is served.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// Returns whether clients are asked for a certificate.
    pub fn requests_certificates(&self) -> bool {
        !self.client_ca.as_os_str().is_empty()
    }

    /// Returns whether clients' certificates may be revoked.
    pub fn has_revocations(&self) -> bool {
        !self.client_crl.as_os_str().is_empty()
    }
}
