//! Lists of revoked client certificates (CRLs; RFC 5280, section 5).

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::error::TlsError;
use super::pem::{not_pem, what_instead};
use super::validity::{date, time};

/// The lists of one file.
#[derive(Clone, Debug)]
pub struct RevocationLists {
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    /// The time by which the first of them is replaced; `None` if none says one.
    next_update: Option<SystemTime>,
}

impl RevocationLists {
    /// Parses all lists in `pem`, one at least; `path` is for the error alone.
    ///
    /// # Errors
    /// It is no PEM, or a list cannot be read.
    pub(super) fn parse(path: &Path, pem: &[u8]) -> Result<Self, TlsError> {
        let lists = CertificateRevocationListDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| not_pem(path, &error))?;
        if lists.is_empty() {
            let message = "holds no list of revoked certificates in PEM";
            return Err(TlsError::new(
                path,
                format!("{message}{}", what_instead(pem)),
            ));
        }
        let mut updates = Vec::new();
        for list in &lists {
            let (_, list) = CertificateRevocationList::from_der(list)
                .map_err(|_| TlsError::new(path, "holds no X.509 list of revoked certificates"))?;
            updates.extend(list.next_update().map(|next| time(next.timestamp())));
        }
        Ok(Self {
            next_update: updates.into_iter().min(),
            lists,
        })
    }

    /// Returns the time by which the first of them is to be replaced; `None` if none says one.
    pub fn next_update(&self) -> Option<SystemTime> {
        self.next_update
    }

    /// Returns why the lists may lack revocations at `now`; `None` if they do not.
    pub fn weakness(&self, now: SystemTime) -> Option<String> {
        let next_update = self.next_update.filter(|next_update| *next_update <= now)?;
        Some(format!(
            "was to be replaced by {}: it still counts, but later revocations are missing",
            date(next_update)
        ))
    }
}

impl fmt::Display for RevocationLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in force", self.lists.len())?;
        match self.next_update {
            Some(next_update) => write!(f, ", to be replaced by {}", date(next_update)),
            None => Ok(()),
        }
    }
}
