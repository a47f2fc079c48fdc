//! The bytes of the certificate, its key and the roots: read, parsed and checked against each
//! other. Blocks; logs nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{Error, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::error::TlsError;
use super::pem::{certificates, private_key};
use super::revocation::RevocationLists;
use super::validity::Validity;
use crate::config::{ClientCertificates, Tls};

/// More than any chain or bundle of roots has.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The bytes of the files.
pub struct Material {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Vec<u8>,
    client_crl: Vec<u8>,
}

/// The result of a check that found no fault.
pub struct Checked {
    /// The configuration that connections are accepted with.
    pub config: ServerConfig,
    /// The validity of the certificate.
    pub validity: Validity,
    /// The lists of revoked client certificates, if a file of them is named.
    pub revocations: Option<RevocationLists>,
    /// The verifier of client certificates, if they are asked for.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub fn read(config: &Tls) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&config.certificate)?,
            key: Zeroizing::new(read(&config.key)?),
            client_ca: if config.requests_certificates() {
                read(&config.client_ca)?
            } else {
                Vec::new()
            },
            client_crl: if config.has_revocations() {
                read(&config.client_crl)?
            } else {
                Vec::new()
            },
        })
    }

    /// Returns a digest that differs when any file differs.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for file in [
            &self.certificate,
            &*self.key,
            &self.client_ca,
            &self.client_crl,
        ] {
            hasher.update(blake3::hash(file).as_bytes());
        }
        hasher.finalize()
    }

    /// Checks the files, alone and together. The configuration offers HTTP/2 if `http2`.
    ///
    /// # Errors
    /// The first file that is not valid, or the key if it is not the certificate's.
    pub fn check(&self, config: &Tls, http2: bool) -> Result<Checked, TlsError> {
        let chain = certificates(&config.certificate, &self.certificate)?;
        let validity = Validity::of(&config.certificate, &chain[0])?;
        let key = private_key(&config.key, &self.key)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(&config.certificate, error.to_string()))?;
        let revocations = if config.has_revocations() {
            Some(RevocationLists::parse(
                &config.client_crl,
                &self.client_crl,
            )?)
        } else {
            None
        };
        let verifier = if config.requests_certificates() {
            let roots = &self.client_ca;
            Some(verifier(config, roots, revocations.as_ref(), provider)?)
        } else {
            None
        };
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder
            .with_single_cert(chain, key)
            .map_err(|error| mismatch(config, &error))?;
        if http2 {
            server.alpn_protocols.push(b"h2".to_vec());
        }
        server
            .alpn_protocols
            .extend([b"http/1.1".to_vec(), b"http/1.0".to_vec()]);
        if config.requests_certificates() {
            // A resumed session would carry a certificate that was not verified again.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(Checked {
            config: server,
            validity,
            revocations,
            verifier,
        })
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    read_bounded(path).map_err(|error| TlsError::new(path, format!("cannot be read: {error}")))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    Ok(bytes)
}

/// Returns the verifier of client certificates. With lists of revoked ones, each certificate of a
/// chain must be in the scope of one, and a list stays in force when it should have been replaced.
fn verifier(
    config: &Tls,
    pem: &[u8],
    revocations: Option<&RevocationLists>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let path = &config.client_ca;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::new(path, format!("is no root: {error}")))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(revocations.map_or(Vec::new(), |revocations| revocations.lists.clone()));
    let builder = match config.client_certificates {
        ClientCertificates::Required => builder,
        ClientCertificates::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| match error {
        VerifierBuilderError::InvalidCrl(fault) => TlsError::new(
            &config.client_crl,
            format!("holds a list that cannot be used: {fault:?}"),
        ),
        error => TlsError::new(path, error.to_string()),
    })
}

/// Returns the fault of a certificate and a key that are valid, but do not fit each other.
fn mismatch(config: &Tls, error: &Error) -> TlsError {
    match error {
        Error::InconsistentKeys(_) => TlsError::new(
            &config.key,
            format!(
                "is not the key of the certificate in {}",
                config.certificate.display()
            ),
        ),
        Error::InvalidCertificate(_) => TlsError::new(&config.certificate, error.to_string()),
        _ => TlsError::new(&config.key, format!("is no key that can be used: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;

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

    /// Checks the files, and returns the error without their folder.
    fn check(certificate: &str, key: &str, client_ca: Option<&str>) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("certificate.pem"), certificate).expect("write");
        fs::write(path("key.pem"), key).expect("write");
        if let Some(text) = client_ca {
            fs::write(path("ca.pem"), text).expect("write");
        }
        let config = Tls {
            certificate: path("certificate.pem"),
            key: path("key.pem"),
            client_ca: client_ca.map(|_| path("ca.pem")).unwrap_or_default(),
            client_crl: PathBuf::new(),
            client_certificates: ClientCertificates::Required,
            users: BTreeMap::new(),
        };
        let checked = Material::read(&config).and_then(|material| material.check(&config, true));
        let folder = format!("{}/", folder.path().display());
        checked
            .map(|_| ())
            .map_err(|error| error.to_string().replace(&folder, ""))
    }

    #[test]
    fn a_certificate_with_its_key_holds() {
        let pair = pair();
        assert_eq!(check(&pair.certificate, &pair.key, None), Ok(()));
        assert_eq!(
            check(&pair.certificate, &pair.key, Some(&pair.certificate)),
            Ok(())
        );
    }

    #[track_caller]
    fn refused(certificate: &str, key: &str, expected: &str) {
        assert_eq!(check(certificate, key, None), Err(expected.to_owned()));
    }

    fn half(text: &str) -> &str {
        &text[..text.len() / 2]
    }

    #[test]
    fn a_certificate_that_does_not_hold_is_named_with_its_file() {
        let Pair { certificate, key } = pair();
        refused("", &key, "certificate.pem: holds no certificate in PEM");
        refused(
            &key,
            &key,
            "certificate.pem: holds no certificate in PEM, but a private key",
        );
        refused(
            half(&certificate),
            &key,
            "certificate.pem: is cut off: a PEM section has no end",
        );
        refused(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &key,
            "certificate.pem: holds no X.509 certificate",
        );
        assert_eq!(
            check(&certificate, &key, Some("nothing")),
            Err("ca.pem: holds no certificate in PEM".to_owned())
        );
    }

    #[test]
    fn a_key_that_does_not_hold_is_named_with_its_file_and_nothing_of_the_key() {
        let Pair { certificate, key } = pair();
        refused(
            &certificate,
            &pair().key,
            "key.pem: is not the key of the certificate in certificate.pem",
        );
        refused(
            &certificate,
            &certificate,
            "key.pem: holds no private key in PEM, but a certificate",
        );
        refused(
            &certificate,
            half(&key),
            "key.pem: is cut off: a PEM section has no end",
        );
        refused(&certificate, "", "key.pem: holds no private key in PEM");
        let encrypted = "key.pem: the key is encrypted: \
                         store it without a passphrase, readable by its owner alone";
        refused(
            &certificate,
            &key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            encrypted,
        );
        refused(
            &certificate,
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabcd\n",
            encrypted,
        );
    }

    #[test]
    fn any_change_of_a_file_changes_the_digest() {
        let of = |certificate: &[u8], key: &[u8]| {
            let material = Material {
                certificate: certificate.to_vec(),
                key: Zeroizing::new(key.to_vec()),
                client_ca: Vec::new(),
                client_crl: Vec::new(),
            };
            material.digest()
        };
        assert_eq!(of(b"a", b"b"), of(b"a", b"b"));
        assert_ne!(of(b"a", b"b"), of(b"ab", b""));
        assert_ne!(of(b"a", b"b"), of(b"b", b"a"));
    }
}
