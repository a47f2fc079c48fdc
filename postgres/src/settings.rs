//! The address of the database, and the way to reach it.

use std::fmt::{self, Display};
use std::time::Duration;

use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// The longest wait for a connection to one host, without its log-in.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// The longest wait for the log-in.
const LOG_IN_MAX: Duration = Duration::from_secs(2);

/// The name under which a gateway or a command shows in `pg_stat_activity`.
const APPLICATION: &str = "iem-gateway";

/// The address of the database, and the way to reach it.
#[derive(Clone)]
pub struct Settings {
    pub(crate) config: Config,
    pub(crate) tls: Option<ClientConfig>,
    shown: String,
}

impl Settings {
    /// Reads the URL `postgres://USER@HOST[:PORT]/DATABASE`.
    ///
    /// # Errors
    /// What is wrong with it. The text shows nothing of a password.
    pub fn parse(url: &str, password: &str) -> Result<Self, String> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err("must begin with postgres://".to_owned());
        }
        let mut config: Config = url
            .parse()
            .map_err(|_| "is no URL of the form postgres://USER@HOST:PORT/DATABASE".to_owned())?;
        if config.get_password().is_some() {
            return Err("must hold no password: that has a key of its own".to_owned());
        }
        if config.get_options().is_some() {
            // PgBouncer refuses them.
            return Err("must hold no `options`".to_owned());
        }
        let (Some(user), Some(database)) = (config.get_user(), config.get_dbname()) else {
            return Err("must name a user and a database".to_owned());
        };
        if config.get_hosts().is_empty() {
            return Err("must name a host".to_owned());
        }
        if !config.get_hostaddrs().is_empty() {
            // It would go where the host's name does not say.
            return Err("must hold no `hostaddr`".to_owned());
        }
        let ports = config.get_ports();
        let with_port = |(index, host): (usize, &Host)| {
            // One port is that of all hosts.
            let port = ports.get(index).or(ports.last());
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            format!("{}{port}", shown(host))
        };
        let hosts: Vec<_> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(with_port)
            .collect();
        let shown = format!("postgres://{user}@{}/{database}", hosts.join(","));
        if !password.is_empty() {
            config.password(password);
        }
        config
            .application_name(APPLICATION)
            .connect_timeout(CONNECT_MAX)
            .keepalives_idle(Duration::from_secs(30));
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            // Of several hosts, the one that takes changes.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self {
            config,
            tls: None,
            shown,
        })
    }

    /// Returns whether all its hosts are on this machine: loopback addresses, or Unix sockets.
    pub fn is_on_loopback(&self) -> bool {
        self.config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => {
                let address = name.parse::<std::net::IpAddr>();
                name.eq_ignore_ascii_case("localhost")
                    || address.is_ok_and(|address| address.is_loopback())
            }
            Host::Unix(_) => true,
        })
    }

    /// Returns the longest wait for a connection to any of the hosts.
    pub(crate) fn connect_max(&self) -> Duration {
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(u32::MAX);
        CONNECT_MAX.saturating_mul(hosts) + LOG_IN_MAX
    }

    /// Returns whether the URL says that the connection is encrypted.
    pub fn is_to_be_encrypted(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// Returns whether the URL says that the connection is not encrypted.
    pub fn is_plaintext(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Disable
    }

    /// Reaches it over TLS alone, verified as `tls` says.
    #[must_use]
    pub fn over_tls(mut self, tls: ClientConfig) -> Self {
        self.config.ssl_mode(SslMode::Require);
        self.tls = Some(tls);
        self
    }

    /// Reaches it without TLS.
    #[must_use]
    pub fn without_tls(mut self) -> Self {
        self.config.ssl_mode(SslMode::Disable);
        self.tls = None;
        self
    }
}

/// Shows the URL, without a password.
impl Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// As [`Display`].
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn shown(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let settings =
            Settings::parse("postgres://iem@db.example:6432/iem", "hunter2").expect("a URL");
        assert_eq!(settings.to_string(), "postgres://iem@db.example:6432/iem");
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert!(!settings.is_on_loopback() && !settings.is_plaintext());
    }

    #[test]
    fn a_url_that_cannot_be_used_says_why() {
        for (url, fault) in [
            ("", "must begin with postgres://"),
            ("mysql://a@b/c", "must begin with postgres://"),
            ("postgres://a@b:port/c", "is no URL"),
            ("postgres://b/c", "must name a user and a database"),
            ("postgres://a@b", "must name a user and a database"),
            ("postgres://a:hunter2@b/c", "must hold no password"),
            ("postgres://a@b/c?options=-c", "must hold no `options`"),
            (
                "postgres://a@localhost/c?hostaddr=10.0.0.1",
                "must hold no `hostaddr`",
            ),
        ] {
            let error = Settings::parse(url, "").expect_err(url);
            assert!(error.contains(fault), "{url}: {error}");
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn a_database_is_on_loopback_by_its_hosts() {
        let is_on_loopback = |url| Settings::parse(url, "").expect(url).is_on_loopback();
        for url in [
            "postgres://a@127.0.0.1/b",
            "postgres://a@localhost:6432/b",
            "postgres://a@[::1]/b",
            "postgres://a@%2Frun%2Fpostgresql/b",
        ] {
            assert!(is_on_loopback(url), "{url}");
        }
        for url in ["postgres://a@db/b", "postgres://a@localhost,db/b"] {
            assert!(!is_on_loopback(url), "{url}");
        }
    }
}
