//! The certificate in use, which follows its files.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;

use super::client::user_of;
use super::error::TlsError;
use super::material::Material;
use super::validity::Validity;
use crate::config::Tls;
use crate::follow::{Followed, Follower, Source};
use crate::telemetry::audit;

/// The configuration that new connections are accepted with. Files that are not valid never replace
/// it, and open connections keep the configuration that they were accepted with.
#[derive(Debug)]
pub struct LiveTls(Arc<Followed<CertificateFiles>>);

/// The validity of the certificate in use, and the result of the last reading of the files.
#[derive(Clone, Debug)]
pub struct Status {
    /// The validity of the certificate in use.
    pub validity: Validity,
    /// Why the files as they are now are not in use; `None` if they are.
    pub error: Option<TlsError>,
}

impl LiveTls {
    /// Reads the files that `config` names for the first time; HTTP/2 is offered if `http2`.
    /// Blocks.
    ///
    /// # Errors
    /// The files cannot be read or are not valid: there is no earlier certificate to keep.
    pub fn open(config: &Tls, http2: bool) -> Result<Self, TlsError> {
        let files = CertificateFiles {
            config: config.clone(),
            http2,
        };
        let followed = Followed::open(files)?;
        warn_if_weak(followed.load().validity);
        Ok(Self(Arc::new(followed)))
    }

    /// Returns the configuration for a new connection; it offers HTTP/2 if that is configured and
    /// `http2`.
    pub fn config(&self, http2: bool) -> Arc<ServerConfig> {
        let certificate = self.0.load();
        Arc::clone(if http2 {
            &certificate.http2
        } else {
            &certificate.http1
        })
    }

    /// Returns the email of the user that a client's verified certificate is mapped to.
    pub fn user_of(&self, certificate: &[u8]) -> Option<Arc<str>> {
        user_of(certificate, &self.0.source().config.users).map(Arc::from)
    }

    /// Returns the result of the last reading, for the metrics.
    pub fn status(&self) -> Status {
        Status {
            validity: self.0.load().validity,
            error: self.0.error(),
        }
    }

    /// Starts the thread that keeps the certificate up to date until the `Follower` is dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn follow(&self) -> io::Result<Follower> {
        Follower::start(Arc::clone(&self.0))
    }

    /// Reads the files again, and uses them if they changed and are valid. Blocks.
    ///
    /// # Errors
    /// The files are not valid. This is logged once and returned each time; the certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.0.reload()
    }
}

/// The certificate in use: configurations with and without HTTP/2.
#[derive(Debug)]
struct Certificate {
    http2: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
    validity: Validity,
}

#[derive(Debug)]
struct CertificateFiles {
    config: Tls,
    http2: bool,
}

impl Source for CertificateFiles {
    type Contents = Material;
    type Value = Certificate;
    type Error = TlsError;

    const NAME: &'static str = "certificate";
    /// The files are replaced one after another, and do not fit each other in between.
    const STILL: Duration = Duration::from_millis(400);

    fn paths(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = vec![&self.config.certificate, &self.config.key];
        if self.config.requests_certificates() {
            paths.push(&self.config.client_ca);
        }
        paths
    }

    fn read(&self) -> Result<Material, TlsError> {
        Material::read(&self.config)
    }

    fn digest(contents: &Material) -> blake3::Hash {
        contents.digest()
    }

    fn parse(&self, contents: &Material) -> Result<Certificate, TlsError> {
        let (config, validity) = contents.check(&self.config, self.http2)?;
        let mut http1 = config.clone();
        http1.alpn_protocols.retain(|protocol| protocol != b"h2");
        Ok(Certificate {
            http2: Arc::new(config),
            http1: Arc::new(http1),
            validity,
        })
    }

    fn log_reload(&self, _before: &Certificate, certificate: &Certificate) {
        let path = self.config.certificate.display();
        let validity = certificate.validity;
        tracing::info!(%path, "certificate reloaded, {validity}");
        audit::reloaded(Self::NAME, &[validity.to_string()]);
        warn_if_weak(validity);
    }
}

fn warn_if_weak(validity: Validity) {
    if let Some(weakness) = validity.weakness(SystemTime::now()) {
        tracing::warn!("the certificate {weakness}");
    }
}
