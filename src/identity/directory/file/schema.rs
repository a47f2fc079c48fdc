//! The directory file's tables as they are written, before they are checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// The whole file, or a part of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    #[serde(default)]
    pub(super) customer: Vec<CustomerEntry>,
    #[serde(default)]
    pub(super) user: Vec<UserEntry>,
    #[serde(default)]
    pub(super) integration: Vec<IntegrationEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerEntry {
    pub(super) id: Spanned<String>,
    pub(super) name: String,
    #[serde(default = "yes")]
    pub(super) active: bool,
    #[serde(default)]
    pub(super) quota: QuotaEntry,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaEntry {
    pub(super) records: Option<u32>,
    pub(super) bytes: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) email: Spanned<String>,
    pub(super) name: String,
    pub(super) password: Option<Spanned<HashText>>,
    #[serde(default)]
    pub(super) superadmin: bool,
    #[serde(default)]
    pub(super) organization: bool,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) customers: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntegrationEntry {
    pub(super) customer: Spanned<String>,
    pub(super) id: Spanned<String>,
    pub(super) states: Option<BTreeMap<String, String>>,
}

/// A string whose error never shows the value that was written instead of one.
pub(super) struct HashText(pub(super) String);

impl<'de> Deserialize<'de> for HashText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("`password` must be a string: an argon2id hash"))
    }
}

fn yes() -> bool {
    true
}
