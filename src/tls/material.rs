//! What the files hold: read, parsed and checked against each other. Blocks; nothing here is shown
//! or logged.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Error, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::{ClientSettings, Settings, TlsError};

/// How long before its end a certificate is to be renewed.
const RENEWAL: Duration = Duration::from_hours(14 * 24);
/// More than any chain or bundle of roots has.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The files' bytes.
pub struct Material {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Vec<u8>,
}

/// From when to when the gateway's certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: SystemTime,
    /// Not after.
    pub until: SystemTime,
}

impl Validity {
    /// What speaks against the certificate at `now`, if anything does.
    pub fn weakness(&self, now: SystemTime) -> Option<String> {
        if now >= self.until {
            return Some(format!(
                "expired on {}: clients refuse it",
                date(self.until)
            ));
        }
        if now < self.from {
            return Some(format!(
                "is not valid before {}: clients refuse it",
                date(self.from)
            ));
        }
        (now + RENEWAL >= self.until).then(|| format!("expires soon, on {}", date(self.until)))
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "valid until {}", date(self.until))
    }
}

/// A time as people and programs read it.
fn date(time: SystemTime) -> impl fmt::Display {
    humantime::format_rfc3339_seconds(time)
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn read(settings: &Settings) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&settings.certificate)?,
            key: Zeroizing::new(read(&settings.key)?),
            client_ca: settings
                .clients
                .as_ref()
                .map_or(Ok(Vec::new()), |clients| read(&clients.ca))?,
        })
    }

    /// Tells one state of the files from another.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for file in [&self.certificate, &*self.key, &self.client_ca] {
            hasher.update(blake3::hash(file).as_bytes());
        }
        hasher.finalize()
    }

    /// What a connection is accepted with, and how long that is good.
    ///
    /// # Errors
    /// The first file that does not hold what it should, or the key if it is not the certificate's.
    pub fn check(&self, settings: &Settings) -> Result<(ServerConfig, Validity), TlsError> {
        let chain = certificates(&settings.certificate, &self.certificate)?;
        let validity = validity(&settings.certificate, &chain[0])?;
        let key = private_key(&settings.key, &self.key)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(&settings.certificate, error.to_string()))?;
        let builder = match &settings.clients {
            Some(clients) => {
                builder.with_client_cert_verifier(verifier(clients, &self.client_ca, provider)?)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| refused(settings, &error))?;
        if settings.http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config
            .alpn_protocols
            .extend([b"http/1.1".to_vec(), b"http/1.0".to_vec()]);
        if settings.clients.is_some() {
            // A session taken up again shows a certificate that nobody has verified since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok((config, validity))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("it is larger than 4 MiB"));
        }
        Ok(bytes)
    };
    read().map_err(|error| fault(path, format!("cannot be read: {error}")))
}

/// All certificates in `pem`, one at least.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| not_pem(path, &error))?;
    if chain.is_empty() {
        return Err(fault(
            path,
            format!("holds no certificate in PEM{}", what_instead(pem)),
        ));
    }
    Ok(chain)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    // Both forms, PKCS #8 and the older one with its own headers.
    if contains(pem, b"ENCRYPTED") {
        return Err(fault(
            path,
            "the key is encrypted: store it without a passphrase, readable by its owner alone",
        ));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => fault(
            path,
            format!("holds no private key in PEM{}", what_instead(pem)),
        ),
        error => not_pem(path, &error),
    })
}

fn validity(path: &Path, leaf: &CertificateDer<'_>) -> Result<Validity, TlsError> {
    let (_, leaf) =
        X509Certificate::from_der(leaf).map_err(|_| fault(path, "holds no X.509 certificate"))?;
    let time =
        |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or_default());
    let validity = leaf.validity();
    Ok(Validity {
        from: time(validity.not_before.timestamp()),
        until: time(validity.not_after.timestamp()),
    })
}

fn verifier(
    clients: &ClientSettings,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&clients.ca, pem)? {
        roots
            .add(certificate)
            .map_err(|error| fault(&clients.ca, format!("is no root: {error}")))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if clients.required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder
        .build()
        .map_err(|error| fault(&clients.ca, error.to_string()))
}

/// What is wrong with a certificate and a key that each are one.
fn refused(settings: &Settings, error: &Error) -> TlsError {
    match error {
        Error::InconsistentKeys(_) => fault(
            &settings.key,
            format!(
                "is not the key of the certificate in {}",
                settings.certificate.display()
            ),
        ),
        Error::InvalidCertificate(_) => fault(&settings.certificate, error.to_string()),
        _ => fault(
            &settings.key,
            format!("is no key that can be used: {error}"),
        ),
    }
}

fn not_pem(path: &Path, error: &pem::Error) -> TlsError {
    // Its own words may quote the file.
    let message = match error {
        pem::Error::MissingSectionEnd { .. } => "is cut off: a PEM section has no end",
        pem::Error::Base64Decode(_) => "is not PEM: a section is not base64",
        _ => "is not PEM",
    };
    fault(path, message)
}

/// A hint for a file of the wrong kind.
fn what_instead(pem: &[u8]) -> &'static str {
    if contains(pem, b"PRIVATE KEY-----") {
        return ", but a private key";
    }
    if contains(pem, b"-----BEGIN CERTIFICATE-----") {
        ", but a certificate"
    } else {
        ""
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn fault(path: &Path, message: impl Into<String>) -> TlsError {
    TlsError {
        path: path.to_owned(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    struct Pair {
        certificate: String,
        key: String,
    }

    fn pair() -> Pair {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Pair {
            certificate,
            key: key.serialize_pem(),
        }
    }

    /// What is said of these two files, with the folder taken out.
    fn said(certificate: &str, key: &str, client_ca: Option<&str>) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("certificate.pem"), certificate).expect("write");
        fs::write(path("key.pem"), key).expect("write");
        let clients = client_ca.map(|text| {
            fs::write(path("ca.pem"), text).expect("write");
            ClientSettings {
                ca: path("ca.pem"),
                required: true,
                users: std::collections::BTreeMap::new(),
            }
        });
        let settings = Settings {
            certificate: path("certificate.pem"),
            key: path("key.pem"),
            clients,
            http2: true,
        };
        let checked = Material::read(&settings).and_then(|material| material.check(&settings));
        let folder = format!("{}/", folder.path().display());
        checked
            .map(|_| ())
            .map_err(|error| error.to_string().replace(&folder, ""))
    }

    #[test]
    fn a_pair_holds() {
        let pair = pair();
        assert_eq!(said(&pair.certificate, &pair.key, None), Ok(()));
        assert_eq!(
            said(&pair.certificate, &pair.key, Some(&pair.certificate)),
            Ok(())
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_file_and_nothing_of_a_key() {
        let (pair, other) = (pair(), pair());
        let check = |certificate: &str, key: &str, expected: &str| {
            assert_eq!(said(certificate, key, None), Err(expected.to_owned()));
        };
        let cut = |text: &str| text[..text.len() / 2].to_owned();
        let (certificate, key) = (&*pair.certificate, &*pair.key);
        check(
            certificate,
            &other.key,
            "key.pem: is not the key of the certificate in certificate.pem",
        );
        check("", key, "certificate.pem: holds no certificate in PEM");
        check(
            key,
            key,
            "certificate.pem: holds no certificate in PEM, but a private key",
        );
        check(
            certificate,
            certificate,
            "key.pem: holds no private key in PEM, but a certificate",
        );
        check(
            &cut(certificate),
            key,
            "certificate.pem: is cut off: a PEM section has no end",
        );
        check(
            certificate,
            &cut(key),
            "key.pem: is cut off: a PEM section has no end",
        );
        check(certificate, "", "key.pem: holds no private key in PEM");
        let encrypted = "key.pem: the key is encrypted: store it without a passphrase, readable by its owner alone";
        check(
            certificate,
            &key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            encrypted,
        );
        check(
            certificate,
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabcd\n",
            encrypted,
        );
        let wrong = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check(wrong, key, "certificate.pem: holds no X.509 certificate");
        let refused = said(certificate, key, Some("nothing"));
        assert_eq!(
            refused,
            Err("ca.pem: holds no certificate in PEM".to_owned())
        );
    }

    #[test]
    fn a_certificate_at_its_end_is_weak() {
        let day = |number: u64| UNIX_EPOCH + Duration::from_hours(24 * number);
        let validity = Validity {
            from: day(10),
            until: day(100),
        };
        let check = |now: u64, expected: Option<&str>| {
            assert_eq!(
                validity.weakness(day(now)).as_deref(),
                expected,
                "day {now}"
            );
        };
        check(
            9,
            Some("is not valid before 1970-01-11T00:00:00Z: clients refuse it"),
        );
        check(10, None);
        check(85, None);
        check(86, Some("expires soon, on 1970-04-11T00:00:00Z"));
        check(
            100,
            Some("expired on 1970-04-11T00:00:00Z: clients refuse it"),
        );
        assert_eq!(validity.to_string(), "valid until 1970-04-11T00:00:00Z");
    }

    #[test]
    fn any_change_of_a_file_is_another_state() {
        let of = |certificate: &[u8], key: &[u8]| {
            let material = Material {
                certificate: certificate.to_vec(),
                key: Zeroizing::new(key.to_vec()),
                client_ca: Vec::new(),
            };
            material.digest()
        };
        assert_eq!(of(b"a", b"b"), of(b"a", b"b"));
        assert_ne!(of(b"a", b"b"), of(b"ab", b""));
        assert_ne!(of(b"a", b"b"), of(b"b", b"a"));
    }
}
