//! Loads the configuration from its layers, and checks it.

use std::ffi::OsString;
use std::path::Path;
use std::sync::LazyLock;
use std::thread;

use super::error::Errors;
use super::file::File;
use super::layers::{Layers, Setting};
use super::{Config, rules};

/// A configuration, and the origin of each value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every value by its key, in the order of the keys.
    pub settings: Vec<Setting>,
}

/// Reads `file`, if one is given, and puts it and the `IEM_GATEWAY__…` and `IEM_GATEWAY_FILE__…`
/// variables of `environment` over the defaults.
///
/// # Errors
/// A file that cannot be read or parsed, a value of the wrong type and an unknown key are each
/// reported alone; broken limits are reported together.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Errors> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut layers = Layers::defaults(cores);
    if let Some(path) = file {
        layers.add_file(File::read(path)?);
    }
    layers.add_environment(environment)?;
    layers.complete();
    let mut config: Config = layers.deserialize()?;
    config.without_file = file.is_none();
    let broken = rules::broken(&config);
    if broken.is_empty() {
        return Ok(Loaded {
            config,
            settings: layers.settings(),
        });
    }
    Err(Errors(
        broken
            .into_iter()
            .map(|(key, message)| layers.error(key, message))
            .collect(),
    ))
}

/// Returns the settings of a configuration in which nothing is stated.
pub fn defaults() -> &'static [Setting] {
    static DEFAULTS: LazyLock<Vec<Setting>> =
        LazyLock::new(|| load(None, []).map_or_else(|_| Vec::new(), |it| it.settings));
    &DEFAULTS
}

impl Default for Config {
    fn default() -> Self {
        load(None, []).expect("the embedded defaults hold").config
    }
}
