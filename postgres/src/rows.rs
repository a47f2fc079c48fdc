//! The rows of the directory as they are, unchecked.

/// A customer with its quota and its integrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The id that records name it by.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Whether its records are taken.
    pub active: bool,
    /// Records a second; `None` as for all customers, 0 for no bound.
    pub records: Option<u32>,
    /// Bytes of records a second; `None` as for all customers, 0 for no bound.
    pub bytes: Option<u32>,
    /// Its integrations.
    pub integrations: Vec<Integration>,
}

/// An integration of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// Unique among its customer's.
    pub id: String,
    /// The names of the ITSM tool's states by their numbers; `None` for the default ones.
    pub states: Option<Vec<(String, String)>>,
}

/// A user with the customers that the user is associated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The email that the user logs in with.
    pub email: String,
    /// The name for people.
    pub name: String,
    /// The hash of the password, if the user has one.
    pub password: Option<String>,
    /// Associated with every customer.
    pub superadmin: bool,
    /// Works in the console alone.
    pub organization: bool,
    /// Whether the user may log in.
    pub enabled: bool,
    /// The ids of customers.
    pub customers: Vec<String>,
}
