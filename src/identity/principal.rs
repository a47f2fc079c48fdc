//! An authenticated user.

use std::sync::Arc;

use super::directory::{Directory, PasswordVersion, User};

/// An authenticated user. The directory may change at any time: hold it for one request.
#[derive(Clone, Debug)]
pub struct Principal {
    user: Arc<User>,
    has_logged_in: bool,
}

impl Principal {
    /// Creates a principal that has logged in before.
    pub(super) fn new(user: Arc<User>) -> Self {
        Self {
            user,
            has_logged_in: false,
        }
    }

    /// As [`new`](Self::new), by an external token that is new here: there is no other log-in.
    pub(super) fn logging_in(user: Arc<User>) -> Self {
        Self {
            user,
            has_logged_in: true,
        }
    }

    /// Returns the user, as the directory had it at the time of authentication.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Returns whether the request counts as the user's log-in, which belongs into the audit log.
    pub fn has_logged_in(&self) -> bool {
        self.has_logged_in
    }

    /// Returns the same principal in another snapshot, if the user is still there, enabled and with
    /// the same password.
    pub fn again(&self, directory: &Directory) -> Option<Self> {
        Self::find(directory, &self.user.email, self.user.password_version)
    }

    /// Returns the user, if there, enabled and with the same password.
    pub(super) fn find(
        directory: &Directory,
        email: &str,
        password_version: PasswordVersion,
    ) -> Option<Self> {
        let user = directory.user(email)?;
        let is_same = user.enabled && user.password_version == password_version;
        is_same.then(|| Self::new(Arc::clone(user)))
    }
}
