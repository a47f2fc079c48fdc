//! One immutable snapshot of the directory.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::customer::Customer;
use super::integration::Integration;
use super::table::{Keyed, Table};
use super::user::User;
use crate::identity::password::{Cost, PasswordHash};

/// One snapshot of the directory. Every look-up is a hash-map access. A copy shares all entries with
/// its original.
#[derive(Debug, Default)]
pub struct Directory {
    customers: Table<Customer>,
    /// In the order of their ids, once somebody has asked for it.
    customers_by_id: OnceLock<Box<[Arc<Customer>]>>,
    users: Table<User>,
    costs: Costs,
}

impl Clone for Directory {
    fn clone(&self) -> Self {
        Self {
            customers: self.customers.clone(),
            // A copy is made to be changed.
            customers_by_id: OnceLock::new(),
            users: self.users.clone(),
            costs: self.costs.clone(),
        }
    }
}

impl Keyed for Customer {
    fn key(&self) -> &str {
        &self.id
    }
}

impl Keyed for User {
    fn key(&self) -> &str {
        &self.email
    }
}

impl Directory {
    /// Returns an empty snapshot that is meant for so many entries.
    pub(super) fn with_capacity(customers: usize, users: usize) -> Self {
        Self {
            customers: Table::with_capacity(customers),
            customers_by_id: OnceLock::new(),
            users: Table::with_capacity(users),
            costs: Costs::default(),
        }
    }

    /// Returns the user with this email.
    pub fn user(&self, email: &str) -> Option<&Arc<User>> {
        self.users.get(email)
    }

    /// Returns the customer with this id, active or not.
    pub fn customer(&self, id: &str) -> Option<&Arc<Customer>> {
        self.customers.get(id)
    }

    /// Returns the customer's integration with this id.
    pub fn integration(&self, customer: &str, id: &str) -> Option<&Arc<Integration>> {
        self.customer(customer)?.integrations.get(id)
    }

    /// Returns all customers, in no order.
    pub fn iter_customers(&self) -> impl Iterator<Item = &Arc<Customer>> {
        self.customers.iter()
    }

    /// Returns all customers in the order of their ids. Of a snapshot they are sorted once.
    pub fn customers(&self) -> &[Arc<Customer>] {
        self.customers_by_id
            .get_or_init(|| self.customers.sorted().into_iter().cloned().collect())
    }

    /// Returns the number of customers.
    pub fn customer_count(&self) -> usize {
        self.customers.len()
    }

    /// Returns all users, in no order.
    pub fn iter_users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.iter()
    }

    /// Returns all users in the order of their emails.
    pub fn users(&self) -> Vec<&Arc<User>> {
        self.users.sorted()
    }

    /// Returns the number of users.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// Returns the cost of most users' password hashes, so that checking an unknown user's password
    /// can be made as slow.
    pub fn cost(&self) -> Cost {
        self.costs.usual()
    }

    /// Adds a customer, or replaces the one with its id, and returns that.
    pub(super) fn set_customer(&mut self, customer: Arc<Customer>) -> Option<Arc<Customer>> {
        self.customers_by_id.take();
        self.customers.insert(customer)
    }

    /// Adds a user, or replaces the one with this email, and returns that.
    pub(super) fn set_user(&mut self, user: Arc<User>) -> Option<Arc<User>> {
        self.costs.add(&user);
        let replaced = self.users.insert(user);
        if let Some(replaced) = &replaced {
            self.costs.remove(replaced);
        }
        replaced
    }

    /// Removes a customer.
    pub(super) fn remove_customer(&mut self, id: &str) {
        self.customers_by_id.take();
        self.customers.remove(id);
    }

    /// Removes a user.
    pub(super) fn remove_user(&mut self, email: &str) {
        if let Some(removed) = self.users.remove(email) {
            self.costs.remove(&removed);
        }
    }
}

/// The costs of users' password hashes, and the number of users of each.
#[derive(Clone, Debug, Default)]
struct Costs(HashMap<Cost, usize>);

impl Costs {
    fn add(&mut self, user: &User) {
        if let Some(password) = user.password() {
            *self.0.entry(password.cost()).or_default() += 1;
        }
    }

    fn remove(&mut self, user: &User) {
        let cost = user.password().map(PasswordHash::cost);
        if let Some((cost, count)) = cost.and_then(|cost| Some((cost, self.0.get_mut(&cost)?))) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&cost);
            }
        }
    }

    fn usual(&self) -> Cost {
        self.0
            .iter()
            .max_by_key(|(cost, count)| (**count, cost.memory_kib))
            .map_or_else(Cost::default, |(cost, _)| *cost)
    }
}
