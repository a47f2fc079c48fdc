//! The roots that a client of ours trusts when it connects to a gateway.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use super::error::TlsError;
use super::material::read;
use super::pem::certificates;

/// The name of the system's roots in an error.
const SYSTEM: &str = "the system's root certificates";

/// Returns the configuration of a client that speaks HTTP/1.1 and trusts the certificates in `ca`,
/// or those that the system trusts.
///
/// # Errors
/// The file cannot be read or holds none, or the system has none.
pub fn client_config(ca: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut config = database_client_config(ca)?;
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

/// As [`client_config`], for a client of a database, whose protocol begins before TLS does.
///
/// # Errors
/// As [`client_config`].
pub fn database_client_config(ca: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let roots = match ca {
        Some(path) => roots_of_file(path)?,
        None => roots_of_system()?,
    };
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(ca.unwrap_or(Path::new(SYSTEM)), error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Returns the text of a file of root certificates, for a client that reads them itself.
///
/// # Errors
/// The file cannot be read, holds none, or one that is no root.
pub fn roots_pem(path: &Path) -> Result<Vec<u8>, TlsError> {
    roots_of_file(path)?;
    read(path)
}

fn roots_of_file(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, &read(path)?)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::new(path, format!("is no root: {error}")))?;
    }
    Ok(roots)
}

/// Skips certificates that cannot be used: a system has some.
fn roots_of_system() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let message = "none were found: name a file of certificates";
        return Err(TlsError::new(Path::new(SYSTEM), message));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "nothing").expect("a file");
        let error = client_config(Some(&path)).expect_err("no certificate");
        assert!(
            error
                .to_string()
                .ends_with("ca.pem: holds no certificate in PEM")
        );
        let missing = client_config(Some(&folder.path().join("none"))).expect_err("no file");
        assert!(missing.to_string().contains("cannot be read"), "{missing}");
    }
}
