//! Checks the external issuer. The gateway starts without it, so an issuer that is away is no fault.

use iem_sink::{Finding, Level};

use crate::config::Config;
use crate::identity::oidc::Issuer;

pub(super) fn check(config: &Config) -> Option<Finding> {
    let (level, text) = match Issuer::open(config) {
        Ok(None) => return None,
        Err(error) => (Level::Bad, format!("oidc.ca_file: {error}")),
        Ok(Some(issuer)) => match issuer.check() {
            Err(error) => (Level::Weak, format!("gives no keys now: {error}")),
            Ok(keys) => (Level::Good, format!("keys {}", keys.join(", "))),
        },
    };
    Some(Finding {
        what: format!("issuer {}", config.oidc.issuer),
        level,
        text,
    })
}
