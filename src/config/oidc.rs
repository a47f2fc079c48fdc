//! Tokens of an external issuer: `[oidc]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::units;

/// `[oidc]`: the issuer of external tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Oidc {
    /// The issuer as its tokens name it; empty: there is none.
    #[serde(deserialize_with = "units::page_url")]
    pub issuer: String,
    /// The audience that tokens must name.
    pub audience: String,
    /// The claim that names the user.
    pub claim: String,
    /// The URL of the issuer's keys; empty: the one that the issuer's metadata names.
    #[serde(deserialize_with = "units::page_url")]
    pub keys_url: String,
    /// A file of the certificates that the issuer's may be signed by, PEM; empty: those that the
    /// system trusts.
    pub ca_file: PathBuf,
    /// The time from one fetch of the keys to the next.
    #[serde(deserialize_with = "units::duration")]
    pub refresh: Duration,
    /// The time for which keys are used while they cannot be fetched; zero: for ever.
    #[serde(deserialize_with = "units::duration")]
    pub max_staleness: Duration,
    /// Whether tokens may name superadmins.
    pub superadmins: bool,
}

impl Oidc {
    /// Returns whether external tokens are accepted.
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }
}
