//! A user and the customers that the user is associated with.

use std::sync::Arc;

use super::password_version::PasswordVersion;
use crate::identity::password::PasswordHash;

/// A person or a program that may call the APIs or work in the console.
#[derive(Debug)]
pub struct User {
    /// The login name; compared exactly.
    pub email: Arc<str>,
    /// The name for people.
    pub name: String,
    /// Associated with every customer.
    pub superadmin: bool,
    /// Works in the console and may not call the APIs.
    pub organization: bool,
    /// A disabled user cannot log in, and the user's tokens are not accepted.
    pub enabled: bool,
    /// Changes whenever the password does.
    pub password_version: PasswordVersion,
    pub(super) password: Option<PasswordHash>,
    /// Sorted.
    pub(super) customers: Box<[Arc<str>]>,
}

impl User {
    /// Returns whether the user is associated with this customer by name. A superadmin is
    /// associated with all without it.
    pub fn names_customer(&self, id: &str) -> bool {
        self.customers
            .binary_search_by(|customer| (**customer).cmp(id))
            .is_ok()
    }

    /// Returns the customers that the user is associated with by name, sorted.
    pub fn customers(&self) -> &[Arc<str>] {
        &self.customers
    }

    /// Returns the hash that a password is checked against; `None` for a user who has no password,
    /// and calls with an external token or a client certificate.
    pub fn password(&self) -> Option<&PasswordHash> {
        self.password.as_ref()
    }
}
