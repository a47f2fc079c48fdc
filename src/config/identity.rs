//! Users and their limits: `[directory]`, `[tokens]`, `[login]` and `[quota]`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::telemetry::Secret;
use super::units;

/// The longest lifetime of a refresh token that can be configured.
pub const REFRESH_LIFETIME_MAX: Duration = Duration::from_hours(90 * 24);

/// `[directory]`: users, customers, associations and integrations.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Directory {
    /// Where it is kept.
    #[serde(rename = "type")]
    pub kind: DirectoryKind,
    /// The directory file.
    pub path: PathBuf,
    /// The database.
    pub url: String,
    /// The password of the database's user; empty: none.
    pub password: Secret,
    /// Allows a database on another address than loopback without TLS.
    pub plaintext: bool,
    /// A file of the certificates that the database's may be signed by, PEM; empty: those that the
    /// system trusts.
    pub ca_file: PathBuf,
    /// The copy of the database's directory, for the time in which the database is away.
    pub snapshot: PathBuf,
    /// The time after which a directory that may be out of date is no longer used; 0: never.
    #[serde(deserialize_with = "units::duration")]
    pub max_staleness: Duration,
}

/// The name of the key with the password of the database.
pub(super) const PASSWORD: &str = "directory.password";
/// The name of the key with its URL.
pub(super) const URL: &str = "directory.url";

/// Returns whether a URL of a database may hold a password, where there should be none.
pub fn may_hold_password(url: &str) -> bool {
    let (server, query) = url.split_once('?').unwrap_or((url, ""));
    let server = server
        .split_once("://")
        .map_or(server, |(_, server)| server);
    let user = server.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.contains("password")
}

/// The kind of place in which the directory is kept. A build may leave the database out; using it is then an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectoryKind {
    /// In a file.
    File,
    /// In a database that several gateways share.
    Postgres,
}

/// `[tokens]`: access and refresh tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Tokens {
    /// The folder of the keys that sign tokens; empty for the one of `key_file` alone.
    pub keys: PathBuf,
    /// A single key; without a folder it is created if it is missing.
    pub key_file: PathBuf,
    /// The age at which a key of the folder signs.
    #[serde(deserialize_with = "units::duration")]
    pub key_delay: Duration,
    /// The lifetime of an access token.
    #[serde(deserialize_with = "units::duration")]
    pub access_lifetime: Duration,
    /// The lifetime of a refresh token.
    #[serde(deserialize_with = "units::duration")]
    pub refresh_lifetime: Duration,
    /// The longest time from a log-in to the end of its last token.
    #[serde(deserialize_with = "units::duration")]
    pub session_lifetime: Duration,
    /// Verified tokens to remember, about 400 bytes each, and as many verified Basic credentials.
    pub cache_entries: usize,
}

/// `[login]`: limits on failed logins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Login {
    /// Failures a minute for a pair of user and peer address.
    #[serde(deserialize_with = "units::failures")]
    pub failures_per_user: NonZeroU32,
    /// Failures a minute for a peer address.
    #[serde(deserialize_with = "units::failures")]
    pub failures_per_peer: NonZeroU32,
}

/// `[quota]`: the amounts that a customer may send a second, and at once, unless the directory
/// gives it a quota of its own. `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Quota {
    /// Records a second.
    #[serde(deserialize_with = "units::rate")]
    pub records: Option<NonZeroU32>,
    /// Bytes of records a second.
    #[serde(deserialize_with = "units::byte_rate")]
    pub bytes: Option<NonZeroU32>,
}

impl Quota {
    /// Returns whether there is no limit at all.
    pub fn is_unlimited(&self) -> bool {
        self.records.is_none() && self.bytes.is_none()
    }
}
