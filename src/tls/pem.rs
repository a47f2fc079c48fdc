//! Certificates and keys from PEM text. An error never quotes the text.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::TlsError;

/// Parses all certificates in `pem`, one at least.
pub(super) fn certificates(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_pem(path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::new(
            path,
            format!("holds no certificate in PEM{}", what_instead(pem)),
        ));
    }
    Ok(chain)
}

/// Parses the first private key in `pem`.
pub(super) fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    // Both forms, PKCS #8 and the older one with its own headers.
    if contains(pem, b"ENCRYPTED") {
        return Err(TlsError::new(
            path,
            "the key is encrypted: store it without a passphrase, readable by its owner alone",
        ));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::new(
            path,
            format!("holds no private key in PEM{}", what_instead(pem)),
        ),
        error => not_pem(path, &error),
    })
}

pub(super) fn not_pem(path: &Path, error: &pem::Error) -> TlsError {
    // The error's own message may quote the file.
    let message = match error {
        pem::Error::MissingSectionEnd { .. } => "is cut off: a PEM section has no end",
        pem::Error::Base64Decode(_) => "is not PEM: a section is not base64",
        _ => "is not PEM",
    };
    TlsError::new(path, message)
}

/// Returns a hint for a file of the wrong kind.
pub(super) fn what_instead(pem: &[u8]) -> &'static str {
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
