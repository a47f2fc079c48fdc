//! The directory: users, customers, associations and integrations, as one immutable snapshot.
//!
//! A snapshot is read from the directory file, swapped whole while the gateway runs
//! ([`LiveDirectory`], [`Watcher`]) and changed only by editing the file ([`mod@edit`]). Every
//! look-up is a hash-map access.

pub mod edit;
mod file;
pub mod first;
mod live;
mod watcher;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use live::{LiveDirectory, Status};
pub use watcher::Watcher;

use super::password::{Cost, PasswordHash};
use super::quota::OwnRates;

/// One snapshot of the directory.
#[derive(Debug, Default)]
pub struct Directory {
    customers: Vec<Arc<Customer>>,
    users: Vec<Arc<User>>,
    customers_by_id: HashMap<Arc<str>, Arc<Customer>>,
    users_by_email: HashMap<Arc<str>, Arc<User>>,
    cost: Cost,
}

/// A customer whose records the gateway takes.
#[derive(Debug)]
pub struct Customer {
    /// As records name it; an integer in a record is compared as text.
    pub id: Arc<str>,
    /// For people.
    pub name: String,
    /// Records of an inactive customer are refused.
    pub active: bool,
    /// What it may send a second, where it differs from what all may.
    pub rates: OwnRates,
    integrations: HashMap<String, Arc<Integration>>,
}

/// One of a customer's ITSM integrations.
#[derive(Debug)]
pub struct Integration {
    /// Unique among its customer's.
    pub id: String,
    /// In order of the numbers.
    pub states: Vec<(i64, String)>,
}

/// Somebody, or some program, that has a password.
#[derive(Debug)]
pub struct User {
    /// What the user logs in with; compared exactly.
    pub email: Arc<str>,
    /// For people.
    pub name: String,
    /// Associated with every customer.
    pub superadmin: bool,
    /// Works in the console and may not call the APIs.
    pub organization: bool,
    /// A user who is not cannot log in, and their tokens do not count.
    pub enabled: bool,
    /// Changes whenever the password does.
    pub stamp: Stamp,
    password: PasswordHash,
    /// Sorted.
    customers: Box<[Arc<str>]>,
}

/// A digest of a user's password hash. As each hash has its own salt, a password that is set anew,
/// even to the same one, has another stamp: tokens that carry the old one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stamp(u128);

impl Directory {
    /// The user with this email.
    pub fn user(&self, email: &str) -> Option<&Arc<User>> {
        self.users_by_email.get(email)
    }

    /// The customer with this id, active or not.
    pub fn customer(&self, id: &str) -> Option<&Arc<Customer>> {
        self.customers_by_id.get(id)
    }

    /// The customer's integration with this id.
    pub fn integration(&self, customer: &str, id: &str) -> Option<&Arc<Integration>> {
        self.customer(customer)?.integrations.get(id)
    }

    /// All customers, in the file's order.
    pub fn customers(&self) -> &[Arc<Customer>] {
        &self.customers
    }

    /// All users, in the file's order.
    pub fn users(&self) -> &[Arc<User>] {
        &self.users
    }

    /// What most users' password hashes cost, so that an unknown user can be made to cost the same.
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

impl Customer {
    /// The customer's integrations, by id.
    pub fn integrations(&self) -> Vec<&Arc<Integration>> {
        let mut integrations: Vec<_> = self.integrations.values().collect();
        integrations.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        integrations
    }
}

impl Integration {
    /// The name of the actionable's state for the ITSM tool's `number`, if there is one.
    pub fn state(&self, number: i64) -> Option<&str> {
        let index = self
            .states
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        Some(&self.states[index].1)
    }
}

impl User {
    /// Whether the user is associated with this customer by name. A superadmin is associated with
    /// all without it.
    pub fn names_customer(&self, id: &str) -> bool {
        self.customers
            .binary_search_by(|customer| (**customer).cmp(id))
            .is_ok()
    }

    /// The customers the user is associated with by name, sorted.
    pub fn customers(&self) -> &[Arc<str>] {
        &self.customers
    }

    /// The hash that a password is checked against.
    pub fn password(&self) -> &PasswordHash {
        &self.password
    }
}

impl Stamp {
    fn of(password: &PasswordHash) -> Self {
        let digest = blake3::hash(password.as_str().as_bytes());
        let [half, _] = digest.as_bytes().as_chunks::<16>().0 else {
            unreachable!("a digest has 32 bytes")
        };
        Self(u128::from_be_bytes(*half))
    }
}

impl From<Stamp> for String {
    fn from(stamp: Stamp) -> Self {
        format!("{:032x}", stamp.0)
    }
}

impl TryFrom<String> for Stamp {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// What is wrong with the directory file, and where. Holds no password and no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for DirectoryError {}
