//! The time for which a certificate is valid.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::TlsError;

/// The time before its end at which a certificate should be renewed.
const RENEWAL: Duration = Duration::from_hours(14 * 24);

/// The validity of the gateway's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: SystemTime,
    /// Not after.
    pub until: SystemTime,
}

impl Validity {
    /// Reads the validity of `certificate`; `path` is for the error alone.
    ///
    /// # Errors
    /// It is no X.509 certificate.
    pub(super) fn of(path: &Path, certificate: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let (_, certificate) = X509Certificate::from_der(certificate)
            .map_err(|_| TlsError::new(path, "holds no X.509 certificate"))?;
        let validity = certificate.validity();
        Ok(Self {
            from: time(validity.not_before.timestamp()),
            until: time(validity.not_after.timestamp()),
        })
    }

    /// Returns why clients refuse the certificate at `now` or will soon; `None` if neither.
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

/// Formats a time for people and programs.
pub(super) fn date(time: SystemTime) -> impl fmt::Display {
    humantime::format_rfc3339_seconds(time)
}

pub(super) fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_near_its_end_is_weak() {
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
}
