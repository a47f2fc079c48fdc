//! The certificate as it holds now: read from its files, swapped whole, and never worse than the
//! last good one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use super::client::user_of;
use super::{Material, Settings, TlsError, Validity};

/// What new connections are accepted with. Those that stand keep what they were accepted with.
#[derive(Debug)]
pub struct LiveTls {
    settings: Settings,
    current: ArcSwap<Offers>,
    /// Held while the files are read, so that what is read first is put in place first.
    seen: Mutex<Seen>,
    status: Mutex<Status>,
}

/// The same, with and without HTTP/2.
#[derive(Debug)]
struct Offers {
    http2: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
}

/// What became of the last reading of the files.
#[derive(Clone, Debug)]
pub struct Status {
    /// From when to when the certificate that holds is valid.
    pub validity: Validity,
    /// Why the files as they are now do not count; `None` if they do.
    pub error: Option<TlsError>,
}

/// States of the files, by digest; none where one could not be read.
#[derive(Debug)]
struct Seen {
    /// The one that was looked into last.
    checked: Option<blake3::Hash>,
    /// The one that was met last.
    met: Option<blake3::Hash>,
}

impl LiveTls {
    /// Reads the files for the first time. Blocks.
    ///
    /// # Errors
    /// What is wrong with them: there is no last good one yet.
    pub fn open(settings: Settings) -> Result<Self, TlsError> {
        let material = Material::read(&settings)?;
        let (config, validity) = material.check(&settings)?;
        warn_of(validity);
        let digest = Some(material.digest());
        Ok(Self {
            settings,
            current: ArcSwap::from_pointee(config.into()),
            seen: Mutex::new(Seen {
                checked: digest,
                met: digest,
            }),
            status: Mutex::new(Status {
                validity,
                error: None,
            }),
        })
    }

    /// What a new connection is accepted with, with HTTP/2 on offer where that is configured and
    /// `http2`.
    pub fn config(&self, http2: bool) -> Arc<ServerConfig> {
        let current = self.current.load();
        Arc::clone(if http2 {
            &current.http2
        } else {
            &current.http1
        })
    }

    /// The email of the user that a client's verified certificate stands for.
    pub fn user_of(&self, certificate: &[u8]) -> Option<Arc<str>> {
        user_of(certificate, &self.settings.clients.as_ref()?.users)
    }

    /// How the last reading went, for metrics.
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// Reads the files again, and puts them in place if they are others and hold. What does not
    /// hold is logged, once; the last good one stays. Blocks.
    pub fn reload(&self) {
        let mut seen = lock(&self.seen);
        let material = Material::read(&self.settings);
        seen.met = material.as_ref().ok().map(Material::digest);
        self.take(&mut seen, material);
    }

    /// As [`reload`](Self::reload), but files that are not as they were met last are left for the
    /// next look: they are changed one after another, and the one does not go with the other in
    /// between. Blocks.
    pub(super) fn look(&self) {
        let mut seen = lock(&self.seen);
        let material = Material::read(&self.settings);
        let met = material.as_ref().ok().map(Material::digest);
        if std::mem::replace(&mut seen.met, met) == met {
            self.take(&mut seen, material);
        }
    }

    fn take(&self, seen: &mut Seen, material: Result<Material, TlsError>) {
        if seen.met.is_some() && seen.met == seen.checked {
            return;
        }
        seen.checked = seen.met;
        let checked = material.and_then(|material| material.check(&self.settings));
        let mut status = lock(&self.status);
        match checked {
            Ok((config, validity)) => {
                self.current.store(Arc::new(config.into()));
                *status = Status {
                    validity,
                    error: None,
                };
                let path = self.settings.certificate.display();
                tracing::info!(%path, "certificate reloaded, {validity}");
                warn_of(validity);
            }
            Err(error) if status.error.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::error!(%error, "certificate not reloaded; the last good one stays");
                status.error = Some(error);
            }
        }
    }
}

impl From<ServerConfig> for Offers {
    fn from(config: ServerConfig) -> Self {
        let mut http1 = config.clone();
        http1.alpn_protocols.retain(|protocol| protocol != b"h2");
        Self {
            http2: Arc::new(config),
            http1: Arc::new(http1),
        }
    }
}

fn warn_of(validity: Validity) {
    if let Some(weakness) = validity.weakness(SystemTime::now()) {
        tracing::warn!("the certificate {weakness}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
