//! Rules for values that are each of the right type. The limits are those that `defaults.toml`
//! states.

mod bounds;
mod faults;
mod server;
mod topics;

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::error::{Errors, Origin};
use super::telemetry::AUTHORIZATION;
use super::units::{FAILURES_MAX, is_safe_url};
use super::{
    Alertmanager, Config, Directory, DirectoryKind, FileSink, Logging, Login, Oidc,
    REFRESH_LIFETIME_MAX, SinkKind, Tokens, Traces,
};
use bounds::{DAY, KIB, MINUTE, SECOND, TIB};
use faults::Faults;

impl Config {
    /// Returns the configuration with all topics at this sink.
    ///
    /// # Errors
    /// The sink has no address.
    pub fn at_sink(&self, sink: SinkKind) -> Result<Self, Errors> {
        let mut config = self.clone();
        for topic in &mut config.topics {
            topic.sink = sink;
        }
        let mut faults = Faults::default();
        topics::sinks(&config, &mut faults);
        faults.or(config, &Origin::Default)
    }

    /// Returns the configuration with the addresses of listeners that are open already, as `origin`
    /// names them. `None` leaves the address as it is.
    ///
    /// # Errors
    /// An address breaks the rules of the configuration.
    pub fn listening_on(
        &self,
        service: Option<SocketAddr>,
        admin: Option<SocketAddr>,
        origin: &Origin,
    ) -> Result<Self, Errors> {
        let mut config = self.clone();
        config.server.listen = service.unwrap_or(config.server.listen);
        config.admin.listen = admin.unwrap_or(config.admin.listen);
        let mut faults = Faults::default();
        server::listeners(&config, &mut faults);
        faults.or(config, origin)
    }
}

/// Returns every rule that `config` breaks, as key and message.
pub(super) fn broken(config: &Config) -> Vec<(String, String)> {
    let mut faults = Faults::default();
    server::check(config, &mut faults);
    directory(&config.directory, &mut faults);
    tokens(&config.tokens, &mut faults);
    oidc(&config.oidc, &mut faults);
    login(&config.login, &mut faults);
    let idempotency = &config.idempotency;
    faults.duration("idempotency.window", idempotency.window, MINUTE..=DAY);
    faults.count("idempotency.keys", idempotency.keys, 1_000..=100_000_000);
    alertmanager(&config.alertmanager, &mut faults);
    logging(&config.logging, &mut faults);
    faults.count(
        "metrics.customer_series",
        config.metrics.customer_series,
        0..=100_000,
    );
    traces(&config.traces, &mut faults);
    paths(config, &mut faults);
    file_sink(&config.sink.file, &mut faults);
    topics::check(config, &mut faults);
    faults.0
}

fn directory(directory: &Directory, faults: &mut Faults) {
    faults.require(
        directory.kind == DirectoryKind::File || !directory.url.is_empty(),
        "directory.url",
        "must be set with directory.type = \"postgres\"",
    );
    faults.duration(
        "directory.max_staleness",
        directory.max_staleness,
        Duration::ZERO..=30 * DAY,
    );
}

fn tokens(tokens: &Tokens, faults: &mut Faults) {
    faults.duration(
        "tokens.access_lifetime",
        tokens.access_lifetime,
        SECOND..=DAY,
    );
    faults.duration(
        "tokens.refresh_lifetime",
        tokens.refresh_lifetime,
        tokens.access_lifetime..=REFRESH_LIFETIME_MAX,
    );
    faults.duration("tokens.key_delay", tokens.key_delay, Duration::ZERO..=DAY);
    faults.duration(
        "tokens.session_lifetime",
        tokens.session_lifetime,
        tokens.access_lifetime..=365 * DAY,
    );
    faults.count("tokens.cache_entries", tokens.cache_entries, 1..=1_000_000);
}

fn oidc(oidc: &Oidc, faults: &mut Faults) {
    for (key, url) in [
        ("oidc.issuer", &oidc.issuer),
        ("oidc.keys_url", &oidc.keys_url),
    ] {
        faults.require(
            url.is_empty() || is_safe_url(url),
            key,
            format!("{url} is not on loopback: use https, so that nobody can put other keys in"),
        );
    }
    faults.require(
        !oidc.issuer.contains('?'),
        "oidc.issuer",
        "must have no query (OpenID Connect Discovery 1.0, section 3)",
    );
    faults.require(
        !oidc.is_on() || !oidc.audience.is_empty(),
        "oidc.audience",
        "must not be empty where there is an issuer: its tokens for others would be accepted",
    );
    let claim = oidc.claim.len();
    faults.require(
        (1..=128).contains(&claim),
        "oidc.claim",
        format!("must be 1 to 128 bytes, is {claim}"),
    );
    let is_encrypted = [&oidc.issuer, &oidc.keys_url]
        .iter()
        .any(|url| url.starts_with("https://"));
    faults.require(
        !oidc.is_on() || oidc.ca_file.as_os_str().is_empty() || is_encrypted,
        "oidc.ca_file",
        "needs an oidc.issuer or an oidc.keys_url with https",
    );
    faults.duration("oidc.refresh", oidc.refresh, SECOND..=DAY);
    faults.duration(
        "oidc.max_staleness",
        oidc.max_staleness,
        Duration::ZERO..=30 * DAY,
    );
}

fn login(login: &Login, faults: &mut Faults) {
    faults.require(
        login.failures_per_peer >= login.failures_per_user,
        "login.failures_per_peer",
        format!(
            "must be {} to {FAILURES_MAX}, is {}",
            login.failures_per_user, login.failures_per_peer
        ),
    );
}

fn traces(traces: &Traces, faults: &mut Faults) {
    let endpoint = &traces.endpoint;
    faults.require(
        !traces.is_on() || traces.is_encrypted() || traces.plaintext || traces.is_on_loopback(),
        "traces.endpoint",
        format!(
            "{endpoint} is not on loopback: use https, or set traces.plaintext = true if spans and \
             traces.authorization may go there without TLS"
        ),
    );
    let authorization = &traces.authorization.0;
    let is_printable = authorization
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte));
    faults.require(
        is_printable && authorization.trim_ascii() == authorization,
        AUTHORIZATION,
        "must be printable ASCII, without spaces around it",
    );
    faults.require(
        !traces.is_on() || traces.ca_file.as_os_str().is_empty() || traces.is_encrypted(),
        "traces.ca_file",
        "needs a traces.endpoint with https",
    );
    faults.count(
        "traces.max_per_second",
        traces.max_per_second as usize,
        1..=10_000,
    );
}

fn file_sink(file: &FileSink, faults: &mut Faults) {
    faults.size("sink.file.rotate_size", file.rotate_size, 4 * KIB..=TIB);
    faults.duration("sink.file.rotate_age", file.rotate_age, SECOND..=30 * DAY);
}

fn alertmanager(alertmanager: &Alertmanager, faults: &mut Faults) {
    for (key, names) in alertmanager.names() {
        faults.require(
            names.len() <= 16 && names.iter().all(|name| (1..=128).contains(&name.len())),
            key,
            "must be at most 16 names of 1 to 128 bytes",
        );
    }
    let severity = alertmanager.default_severity.len();
    faults.require(
        (1..=128).contains(&severity),
        "alertmanager.default_severity",
        format!("must be 1 to 128 bytes, is {severity}"),
    );
}

/// `Targets` accepts any word as a module's name, and would take a misspelt level for a module.
fn logging(logging: &Logging, faults: &mut Faults) {
    faults.require(
        logging.level.split(',').all(names_level) && Targets::from_str(&logging.level).is_ok(),
        "logging.level",
        "must be off, error, warn, info, debug or trace, \
         or several with modules: \"info,some::module=debug\"",
    );
}

fn names_level(directive: &str) -> bool {
    let level = directive
        .split_once('=')
        .map_or(directive, |(_, level)| level);
    !level.is_empty() && LevelFilter::from_str(level).is_ok()
}

fn paths(config: &Config, faults: &mut Faults) {
    let paths = [
        ("directory.path", &config.directory.path),
        ("directory.snapshot", &config.directory.snapshot),
        ("tokens.key_file", &config.tokens.key_file),
        ("sink.file.path", &config.sink.file.path),
        ("journal.path", &config.journal.path),
    ];
    for (key, path) in paths {
        faults.require(!path.as_os_str().is_empty(), key, "must not be empty");
    }
}

#[cfg(test)]
mod tests;
