//! An authenticated user.

use std::sync::Arc;

use super::directory::{Directory, PasswordVersion, User};

/// An authenticated user. The directory may change at any time: hold it for one request.
#[derive(Clone, Debug)]
pub struct Principal(pub(super) Arc<User>);

impl Principal {
    /// Returns the user, as the directory had it at the time of authentication.
    pub fn user(&self) -> &Arc<User> {
        &self.0
    }

    /// Returns the same principal in another snapshot, if the user is still there, enabled and with
    /// the same password.
    pub fn again(&self, directory: &Directory) -> Option<Self> {
        Self::find(directory, &self.0.email, self.0.password_version)
    }

    /// Returns the user, if there, enabled and with the same password.
    pub(super) fn find(
        directory: &Directory,
        email: &str,
        password_version: PasswordVersion,
    ) -> Option<Self> {
        let user = directory.user(email)?;
        (user.enabled && user.password_version == password_version).then(|| Self(Arc::clone(user)))
    }
}
