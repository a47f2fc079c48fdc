//! The certificate in use, which follows its files.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use super::client::{thumbprint, user_of};
use super::error::TlsError;
use super::material::{Checked, Material};
use super::revocation::RevocationLists;
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
    /// The time by which the first list of revoked certificates is to be replaced.
    pub revocations_end: Option<SystemTime>,
    /// Why the files as they are now are not in use; `None` if they are.
    pub error: Option<TlsError>,
}

/// The certificate of one connection's client, verified in its handshake.
#[derive(Debug)]
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    /// The email of the user that it is mapped to.
    pub user: Option<Arc<str>>,
    /// Its SHA-256 digest.
    pub thumbprint: [u8; 32],
    /// The configuration that it was verified with last.
    verified_with: RefCell<Arc<ServerConfig>>,
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
        warn_if_weak(&followed.load());
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

    /// Returns the certificate of a client whose handshake with this configuration has verified the
    /// chain; `None` for an empty chain.
    pub fn client(
        &self,
        chain: &[CertificateDer<'static>],
        config: Arc<ServerConfig>,
    ) -> Option<ClientCertificate> {
        let users = &self.0.source().config.users;
        let certificate = chain.first()?;
        Some(ClientCertificate {
            user: user_of(certificate, users).map(Arc::from),
            thumbprint: thumbprint(certificate),
            chain: chain.to_vec(),
            verified_with: RefCell::new(config),
        })
    }

    /// Whether a client's certificate is still accepted. It is verified again only after the files
    /// have changed.
    pub fn accepts(&self, client: &ClientCertificate) -> bool {
        let current = self.0.load();
        let mut verified_with = client.verified_with.borrow_mut();
        let is_current = [&current.http1, &current.http2]
            .into_iter()
            .any(|config| Arc::ptr_eq(config, &verified_with));
        if is_current {
            return true;
        }
        let (Some(verifier), Some((certificate, rest))) =
            (&current.verifier, client.chain.split_first())
        else {
            return false;
        };
        let now = UnixTime::now();
        let is_accepted = verifier.verify_client_cert(certificate, rest, now).is_ok();
        if is_accepted {
            *verified_with = Arc::clone(&current.http1);
        }
        is_accepted
    }

    /// Returns the result of the last reading, for the metrics.
    pub fn status(&self) -> Status {
        let certificate = self.0.load();
        let revocations = certificate.revocations.as_ref();
        Status {
            validity: certificate.validity,
            revocations_end: revocations.and_then(RevocationLists::next_update),
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
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    revocations: Option<RevocationLists>,
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
        if self.config.has_revocations() {
            paths.push(&self.config.client_crl);
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
        let Checked {
            config,
            validity,
            revocations,
            verifier,
        } = contents.check(&self.config, self.http2)?;
        let mut http1 = config.clone();
        http1.alpn_protocols.retain(|protocol| protocol != b"h2");
        Ok(Certificate {
            http2: Arc::new(config),
            http1: Arc::new(http1),
            validity,
            verifier,
            revocations,
        })
    }

    fn log_reload(&self, _before: &Certificate, certificate: &Certificate) {
        let path = self.config.certificate.display();
        let validity = certificate.validity;
        tracing::info!(%path, "certificate reloaded, {validity}");
        audit::reloaded(Self::NAME, &[validity.to_string()]);
        warn_if_weak(certificate);
    }
}

fn warn_if_weak(certificate: &Certificate) {
    let now = SystemTime::now();
    if let Some(weakness) = certificate.validity.weakness(now) {
        tracing::warn!("the certificate {weakness}");
    }
    let revocations = certificate.revocations.as_ref();
    if let Some(weakness) = revocations.and_then(|lists| lists.weakness(now)) {
        tracing::warn!("the list of revoked certificates {weakness}");
    }
}
