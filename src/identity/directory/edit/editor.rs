//! The changes that can be made to the directory, wherever it is kept.

use std::collections::HashSet;

use super::EditError;
use super::refusal::Refusal;
use crate::identity::password::PasswordHash;

/// A user to add.
#[derive(Debug)]
pub struct NewUser {
    /// The login name.
    pub email: String,
    /// The name for people.
    pub name: String,
    /// The hash of the user's password, if the user has one.
    pub password: Option<PasswordHash>,
    /// Associated with every customer.
    pub superadmin: bool,
    /// Works in the console and may not call the APIs.
    pub organization: bool,
    /// The customers to associate with.
    pub customers: Vec<String>,
}

/// The entries that were removed with a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its integrations.
    pub integrations: usize,
    /// Users who were associated with it.
    pub associations: usize,
}

/// The result of a change.
pub type Done<T = ()> = Result<T, EditError>;

/// Changes the directory. All changes of one editor are made together, or none is.
///
/// # Errors
/// Each refuses what does not fit the entries that are there.
pub trait Editor {
    /// Adds an active customer.
    fn add_customer(&mut self, id: &str, name: &str) -> Done;

    /// Activates or deactivates a customer.
    fn set_customer_active(&mut self, id: &str, active: bool) -> Done;

    /// Gives a customer a quota of its own; `None` leaves a rate as all customers have it. Bytes are
    /// a size with its unit.
    fn set_quota(&mut self, id: &str, records: Option<u32>, bytes: Option<&str>) -> Done;

    /// Removes a customer, its integrations and every user's association with it, so that no user
    /// is associated with another customer that gets the same id later.
    fn remove_customer(&mut self, id: &str) -> Done<Removed>;

    /// Checks that such a user could be added; changes nothing.
    fn check_new_user(&mut self, email: &str, customers: &[String]) -> Done;

    /// Adds an enabled user.
    fn add_user(&mut self, user: NewUser) -> Done;

    /// Checks that the user is there; changes nothing.
    fn check_user(&mut self, email: &str) -> Done;

    /// Sets another password.
    fn set_password(&mut self, email: &str, password: &PasswordHash) -> Done;

    /// Enables or disables a user.
    fn set_user_enabled(&mut self, email: &str, enabled: bool) -> Done;

    /// Associates a user with a customer; returns whether that is new.
    fn grant(&mut self, email: &str, id: &str) -> Done<bool>;

    /// Ends a user's association with a customer; returns whether there was one.
    fn revoke(&mut self, email: &str, id: &str) -> Done<bool>;

    /// Removes a user.
    fn remove_user(&mut self, email: &str) -> Done;

    /// Adds an integration; without `states` it has the default ones.
    fn add_integration(&mut self, customer: &str, id: &str, states: &[(i64, String)]) -> Done;

    /// Removes an integration.
    fn remove_integration(&mut self, customer: &str, id: &str) -> Done;
}

/// Refuses states of which two are of one number.
pub(in crate::identity::directory) fn check_states(states: &[(i64, String)]) -> Done {
    let mut seen = HashSet::new();
    let mut numbers = states.iter().map(|(number, _)| *number);
    match numbers.find(|number| !seen.insert(*number)) {
        Some(number) => Err(Refusal::state_twice(number).into()),
        None => Ok(()),
    }
}
