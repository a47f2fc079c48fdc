//! The admin listener: `[admin]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::tls::{ClientCertificates, Tls};
use super::units;

/// `[admin]`: the listener for probes, metrics and pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Admin {
    /// Its address; port 0 takes a free one.
    #[serde(deserialize_with = "units::address")]
    pub listen: SocketAddr,
    /// Allows plain HTTP on an address other than loopback.
    pub plaintext: bool,
    /// Says when a log-in is asked for.
    pub login: AdminLogin,
    /// HTTPS, if a certificate is named.
    pub tls: AdminTls,
}

/// The choice when the admin listener asks for a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminLogin {
    /// On any address but loopback.
    Remote,
    /// On loopback, too.
    Always,
    /// Nowhere.
    Never,
}

/// `[admin.tls]`: the certificate of the admin listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct AdminTls {
    /// The certificate chain, PEM; empty: plain HTTP.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl Admin {
    /// Returns whether pages that show more than probes do, or change something, ask for a log-in.
    pub fn pages_need_login(&self) -> bool {
        match self.login {
            AdminLogin::Remote => !self.is_on_loopback(),
            AdminLogin::Always => true,
            AdminLogin::Never => false,
        }
    }

    /// Returns whether the metrics ask for a log-in. `plaintext` alone leaves them open, as before
    /// there were log-ins here.
    pub fn metrics_need_login(&self) -> bool {
        let were_open = self.login == AdminLogin::Remote && self.plaintext && !self.tls.is_on();
        self.pages_need_login() && !were_open
    }

    /// Returns whether only this machine reaches it.
    pub fn is_on_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }
}

impl AdminTls {
    /// Returns whether HTTPS is served.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// Returns it in the form that the server's has. No client is asked for a certificate.
    pub fn settings(&self) -> Tls {
        Tls {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client_ca: PathBuf::new(),
            client_crl: PathBuf::new(),
            client_certificates: ClientCertificates::Optional,
            users: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_asked_for_by_address_and_choice() {
        let check = |listen: &str, login, plaintext, tls, expected: (bool, bool)| {
            let admin = Admin {
                listen: listen.parse().expect("an address"),
                plaintext,
                login,
                tls: AdminTls {
                    certificate: if tls { "c" } else { "" }.into(),
                    key: PathBuf::new(),
                },
            };
            let found = (admin.pages_need_login(), admin.metrics_need_login());
            assert_eq!(found, expected, "{listen} {login:?} {plaintext} {tls}");
        };
        let (loopback, other) = ("127.0.0.1:1", "192.0.2.1:1");
        check(loopback, AdminLogin::Remote, false, false, (false, false));
        check("[::1]:1", AdminLogin::Remote, false, true, (false, false));
        check(loopback, AdminLogin::Always, true, false, (true, true));
        check(loopback, AdminLogin::Never, false, false, (false, false));
        check(other, AdminLogin::Remote, false, true, (true, true));
        check("0.0.0.0:1", AdminLogin::Remote, true, false, (true, false));
        check(other, AdminLogin::Remote, true, true, (true, true));
        check(other, AdminLogin::Always, true, false, (true, true));
        check(other, AdminLogin::Never, true, false, (false, false));
    }
}
