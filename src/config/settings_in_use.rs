//! The values of the configuration that hold in a running gateway, for those who show them.

use std::sync::Arc;

use parking_lot::Mutex;

use super::layers::Setting;

/// The values that hold, in the order of their keys. They change when the configuration is read
/// again.
#[derive(Debug, Default)]
pub struct SettingsInUse(Mutex<Arc<[Setting]>>);

impl SettingsInUse {
    /// Takes the values that hold from now on.
    pub fn set(&self, settings: &[Setting]) {
        *self.0.lock() = settings.into();
    }

    /// Returns the values that hold; none if nobody has told them.
    pub fn get(&self) -> Arc<[Setting]> {
        Arc::clone(&self.0.lock())
    }
}
