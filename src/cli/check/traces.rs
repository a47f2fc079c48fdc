//! Checks the collector of traces. No request needs it, so a collector that is away is no fault.

use iem_sink::{Finding, Level};

use crate::config::Traces;
use crate::telemetry::traces::{CollectorError, answers};

pub(super) fn check(config: &Traces) -> Option<Finding> {
    config.is_on().then(|| {
        let (level, text) = match answers(config) {
            Ok(Ok(())) => (Level::Good, "takes spans".to_owned()),
            Ok(Err(error)) => (Level::Weak, format!("takes no spans now: {error}")),
            Err(error @ CollectorError::System(_)) => (Level::Weak, error.to_string()),
            Err(error) => (Level::Bad, error.to_string()),
        };
        Finding {
            what: format!("collector of traces {}", config.endpoint),
            level,
            text,
        }
    })
}
