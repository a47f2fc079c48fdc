//! The bounds of identity, from the configuration.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::error::StartError;
use crate::config::{self, Config};
use crate::identity::directory::LiveDirectory;
use crate::identity::password::MEMORY_KIB_MAX;
use crate::identity::quota::{Quotas, Rates};
use crate::identity::token::{Lifetimes, SigningKey, Tokens};
use crate::identity::{FailuresPerMinute, Identity, LoginSettings, Settings};

// Neither room knows the other, and the ceiling on memory must hold for any hash.
const _: () = assert!(config::PASSWORD_HASH_BYTES == (MEMORY_KIB_MAX as usize) << 10);

/// Opens the key that signs tokens, and puts the identity on `directory`.
pub(super) fn open(
    config: &Config,
    directory: &Arc<LiveDirectory>,
) -> Result<Identity, StartError> {
    let lifetimes = Lifetimes {
        access: config.tokens.access_lifetime,
        refresh: config.tokens.refresh_lifetime,
    };
    let tokens = Tokens::new(&SigningKey::open(&config.tokens.key_file)?, lifetimes);
    let logins = LoginSettings {
        failures: FailuresPerMinute {
            user_and_peer: at_least_one(config.login.failures_per_user),
            peer: at_least_one(config.login.failures_per_peer),
        },
        hashing: config.server.password_permits(),
        remembered: config.tokens.cache_entries as u64,
        ..LoginSettings::default()
    };
    let settings = Settings {
        tokens: config.tokens.cache_entries as u64,
        logins,
    };
    Ok(Identity::new(Arc::clone(directory), tokens, settings))
}

/// Returns the customers' quotas. A rate of 0 is no bound.
pub(super) fn quotas(quota: &config::Quota) -> Quotas {
    Quotas::new(Rates {
        records: NonZeroU32::new(narrow(quota.records)),
        bytes: NonZeroU32::new(narrow(quota.bytes)),
    })
}

/// Narrows a count. The configuration's limits keep it from being 0.
fn at_least_one(count: usize) -> NonZeroU32 {
    NonZeroU32::new(narrow(count)).unwrap_or(NonZeroU32::MIN)
}

/// Narrows a count. The configuration's limits keep it within 32 bits.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
