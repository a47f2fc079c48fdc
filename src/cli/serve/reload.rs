//! Reads the configuration again while the gateway runs. The level of the log and the default quota
//! take effect; of every other change the log says that it needs a restart.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{self, Config, Errors, Loaded, Setting, SettingsInUse};
use crate::identity::quota::Quotas;
use crate::telemetry::audit;
use crate::telemetry::logging::Levels;

/// The name of the configuration in the audit log.
const NAME: &str = "configuration";

/// The keys whose changes take effect while the gateway runs.
const LIVE: [&str; 3] = ["logging.level", "quota.bytes", "quota.records"];

/// The configuration of a running gateway.
pub(super) struct Reload {
    file: Option<PathBuf>,
    /// The values that are in use.
    settings: Vec<Setting>,
    levels: Levels,
    quotas: Arc<Quotas>,
    /// The same values, for others.
    in_use: Arc<SettingsInUse>,
}

impl Reload {
    /// Takes the settings that the gateway has started with, and the file that they came from.
    pub(super) fn new(
        file: Option<PathBuf>,
        settings: Vec<Setting>,
        levels: Levels,
        quotas: Arc<Quotas>,
        in_use: Arc<SettingsInUse>,
    ) -> Self {
        in_use.set(&settings);
        Self {
            file,
            settings,
            levels,
            quotas,
            in_use,
        }
    }

    /// Reads the configuration. A faulty one leaves everything as it was. Blocks, and logs errors.
    pub(super) fn run(&mut self) {
        match config::load(self.file.as_deref(), std::env::vars_os()) {
            Ok(Loaded { config, settings }) => self.take(&config, &settings),
            Err(Errors(errors)) => {
                for error in errors {
                    tracing::error!(%error, "configuration not reloaded; the last good one stays");
                    audit::not_reloaded(NAME, &error.to_string());
                }
            }
        }
    }

    fn take(&mut self, config: &Config, settings: &[Setting]) {
        let (live, fixed): (Vec<_>, Vec<_>) = changed(&self.settings, settings)
            .into_iter()
            .partition(|key| LIVE.contains(&key.as_str()));
        if let Err(error) = self.levels.set(&config.logging.level) {
            tracing::error!(%error, "configuration not reloaded; the last good one stays");
            return;
        }
        self.quotas.set_default(config.quota);
        for key in fixed {
            tracing::warn!(key, "a change of the configuration needs a restart");
        }
        tracing::info!(changes = live.join(", "), "configuration reloaded");
        if !live.is_empty() {
            audit::reloaded(NAME, &live);
        }
        let is_live = |setting: &Setting| LIVE.contains(&setting.key.as_str());
        self.settings.retain(|setting| !is_live(setting));
        let taken = settings.iter().filter(|setting| is_live(setting));
        self.settings.extend(taken.cloned());
        self.settings
            .sort_by(|left, right| left.key.cmp(&right.key));
        self.in_use.set(&self.settings);
    }
}

/// Returns the keys whose values differ, or that only one of both has.
fn changed(old: &[Setting], new: &[Setting]) -> Vec<String> {
    let gone = old.iter().filter(|setting| !setting.holds_in(new));
    let come = new.iter().filter(|setting| !setting.holds_in(old));
    let mut keys: Vec<_> = gone
        .chain(come)
        .map(|setting| setting.key.clone())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
