//! One immutable snapshot of the directory.

use std::collections::HashMap;
use std::sync::Arc;

use super::customer::Customer;
use super::integration::Integration;
use super::user::User;
use crate::identity::password::Cost;

/// One snapshot of the directory. Every look-up is a hash-map access.
#[derive(Debug, Default)]
pub struct Directory {
    customers: Vec<Arc<Customer>>,
    users: Vec<Arc<User>>,
    customers_by_id: HashMap<Arc<str>, Arc<Customer>>,
    users_by_email: HashMap<Arc<str>, Arc<User>>,
    cost: Cost,
}

impl Directory {
    /// Builds a snapshot of customers and users whose ids and emails are distinct.
    pub(super) fn new(customers: Vec<Arc<Customer>>, users: Vec<Arc<User>>) -> Self {
        Self {
            customers_by_id: customers
                .iter()
                .map(|customer| (Arc::clone(&customer.id), Arc::clone(customer)))
                .collect(),
            users_by_email: users
                .iter()
                .map(|user| (Arc::clone(&user.email), Arc::clone(user)))
                .collect(),
            cost: usual_cost(&users),
            customers,
            users,
        }
    }

    /// Returns the user with this email.
    pub fn user(&self, email: &str) -> Option<&Arc<User>> {
        self.users_by_email.get(email)
    }

    /// Returns the customer with this id, active or not.
    pub fn customer(&self, id: &str) -> Option<&Arc<Customer>> {
        self.customers_by_id.get(id)
    }

    /// Returns the customer's integration with this id.
    pub fn integration(&self, customer: &str, id: &str) -> Option<&Arc<Integration>> {
        self.customer(customer)?.integrations.get(id)
    }

    /// Returns all customers, in the file's order.
    pub fn customers(&self) -> &[Arc<Customer>] {
        &self.customers
    }

    /// Returns all users, in the file's order.
    pub fn users(&self) -> &[Arc<User>] {
        &self.users
    }

    /// Returns the cost of most users' password hashes, so that checking an unknown user's password
    /// can be made as slow.
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

fn usual_cost(users: &[Arc<User>]) -> Cost {
    let mut counts: HashMap<Cost, usize> = HashMap::new();
    for user in users {
        *counts.entry(user.password.cost()).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(cost, count)| (*count, cost.memory_kib))
        .map_or_else(Cost::default, |(cost, _)| cost)
}
