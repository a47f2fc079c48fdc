//! `dev-certificate`: makes a self-signed certificate and its key, to try HTTPS with.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use rcgen::{CertificateParams, DnType, KeyPair};

use super::new_file::write_new;

/// A year.
const VALID_FOR: Duration = Duration::from_hours(365 * 24);
/// A day, for clients whose clock is behind.
const VALID_BEFORE: Duration = Duration::from_hours(24);

/// The arguments of `dev-certificate`.
#[derive(Debug, Args)]
pub(super) struct DevCertificate {
    /// Folder for certificate.pem and key.pem; made where it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// DNS name or IP address that clients will use; may be given several times
    #[arg(
        long = "name",
        value_name = "NAME",
        value_parser = name,
        default_values = ["localhost", "127.0.0.1", "::1"],
    )]
    names: Vec<String>,
}

/// The reason why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("{0} is there already, and is not overwritten")]
    Exists(PathBuf),
    #[error("{path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot write the answer: {0}")]
    Answer(io::Error),
}

impl DevCertificate {
    /// Writes both files, or neither, and prints how to use them.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CertificateError> {
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| self.out.join(name));
        if let Some(path) = [&certificate, &key].into_iter().find(|path| path.exists()) {
            return Err(CertificateError::Exists(path.clone()));
        }
        let pair = Pair::new(&self.names, SystemTime::now())?;
        let mut folder = DirBuilder::new();
        let made = folder.recursive(true).mode(0o750).create(&self.out);
        made.map_err(|error| CertificateError::Write {
            path: self.out.clone(),
            error,
        })?;
        write(&key, &pair.key, 0o600)?;
        write(&certificate, &pair.certificate, 0o644)?;
        self.introduce(&certificate, &key, out)
            .map_err(CertificateError::Answer)
    }

    fn introduce(&self, certificate: &Path, key: &Path, out: &mut impl Write) -> io::Result<()> {
        let absolute = |path| std::path::absolute(path).map(|path| toml_text(&path));
        let host = self
            .names
            .iter()
            .map(|name| host(name))
            .next()
            .unwrap_or_default();
        writeln!(
            out,
            "Made {} and {}, good for a year, for trying only.\nIn the configuration:\n",
            certificate.display(),
            key.display()
        )?;
        writeln!(
            out,
            "[server.tls]\ncertificate = {}\nkey = {}\n",
            absolute(certificate)?,
            absolute(key)?
        )?;
        writeln!(
            out,
            "Then:\n\ncurl --cacert '{}' https://{host}:8080/publish/healthcheck/",
            certificate.display()
        )
    }
}

struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new(names: &[String], now: SystemTime) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "iem-gateway, for trying only");
        params.not_before = (now - VALID_BEFORE).into();
        params.not_after = (now + VALID_FOR).into();
        Ok(Self {
            certificate: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    write_new(path, text, mode).map_err(|error| CertificateError::Write {
        path: path.to_owned(),
        error,
    })
}

/// Parses a DNS name, which may be a wildcard, or an IP address.
fn name(text: &str) -> Result<String, &'static str> {
    let is_name = (1..=253).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._*".contains(c));
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("neither a DNS name nor an IP address")
}

/// Formats a name as the host of a URL.
fn host(name: &str) -> String {
    if name.contains(':') {
        format!("[{name}]")
    } else {
        name.to_owned()
    }
}

/// Formats a path as a TOML string.
fn toml_text(path: &Path) -> String {
    toml::Value::String(path.to_string_lossy().into_owned()).to_string()
}
