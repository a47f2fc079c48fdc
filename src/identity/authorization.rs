//! Decides what a user may do: pure functions of a directory snapshot.

use std::sync::Arc;

use super::directory::{Customer, Directory, User};

/// The reason why a request is denied. The contract fixes the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The user may not call the APIs, or is no superadmin where only those may.
    #[error("access denied")]
    Access,
    /// The customer is inactive, or there is none.
    #[error("the customer is inactive or unknown")]
    InactiveCustomer,
    /// The user is not associated with the customer.
    #[error("the user is not associated with the customer")]
    NotAssociated,
}

/// Checks whether the user may call the APIs at all.
pub fn may_call(user: &User) -> Result<(), Denied> {
    if user.organization {
        Err(Denied::Access)
    } else {
        Ok(())
    }
}

/// Checks whether the user may use the admin listener.
pub fn may_administer(user: &User) -> Result<(), Denied> {
    if user.superadmin {
        Ok(())
    } else {
        Err(Denied::Access)
    }
}

/// Returns the customer with this id, if `user` may act for it. An inactive customer is reported
/// before a missing association.
pub fn customer<'a>(
    directory: &'a Directory,
    user: &User,
    id: &str,
) -> Result<&'a Arc<Customer>, Denied> {
    let customer = directory.customer(id).filter(|customer| customer.active);
    let customer = customer.ok_or(Denied::InactiveCustomer)?;
    if user.superadmin || user.names_customer(id) {
        Ok(customer)
    } else {
        Err(Denied::NotAssociated)
    }
}

/// Returns the customers that the user is associated with, inactive ones too: all of them for a
/// superadmin.
pub fn associations<'a>(directory: &'a Directory, user: &User) -> Vec<&'a Arc<Customer>> {
    if user.superadmin {
        return directory.customers().iter().collect();
    }
    user.customers()
        .iter()
        .filter_map(|id| directory.customer(id))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::example;

    #[test]
    fn only_organization_users_may_not_call() {
        let check = |email: &str, expected: Result<(), Denied>| {
            assert_eq!(may_call(&example::user(email)), expected, "{email}");
        };
        check("nifi@example.com", Ok(()));
        check("root@example.com", Ok(()));
        check("console@example.com", Err(Denied::Access));
    }

    #[test]
    fn only_superadmins_may_administer() {
        let check = |email: &str, expected: Result<(), Denied>| {
            assert_eq!(may_administer(&example::user(email)), expected, "{email}");
        };
        check("root@example.com", Ok(()));
        check("nifi@example.com", Err(Denied::Access));
        check("console@example.com", Err(Denied::Access));
    }

    #[test]
    fn customers_are_checked_before_associations() {
        let directory = example::directory();
        let check = |email: &str, id: &str, expected: Result<&str, Denied>| {
            let user = directory.user(email).unwrap();
            assert_eq!(
                customer(&directory, user, id).map(|customer| &*customer.id),
                expected,
                "{email} {id}"
            );
        };
        check("nifi@example.com", "acme", Ok("acme"));
        check("nifi@example.com", "idle", Err(Denied::InactiveCustomer));
        check("nifi@example.com", "nobody", Err(Denied::InactiveCustomer));
        check("nifi@example.com", "", Err(Denied::InactiveCustomer));
        check("nifi@example.com", "ACME", Err(Denied::InactiveCustomer));
        check("console@example.com", "idle", Err(Denied::InactiveCustomer));
        check("root@example.com", "acme", Ok("acme"));
        check("root@example.com", "idle", Err(Denied::InactiveCustomer));
        check("root@example.com", "nobody", Err(Denied::InactiveCustomer));
    }

    #[test]
    fn a_user_of_another_customer_is_not_associated() {
        let text = format!(
            "{}\n[[customer]]\nid = \"other\"\nname = \"Other\"\n",
            *example::TEXT
        );
        let directory = Directory::parse(&text, "directory.toml".as_ref()).unwrap();
        let check = |email: &str, expected: Result<(), Denied>| {
            let user = directory.user(email).unwrap();
            assert_eq!(
                customer(&directory, user, "other").map(|_| ()),
                expected,
                "{email}"
            );
        };
        check("nifi@example.com", Err(Denied::NotAssociated));
        check("root@example.com", Ok(()));
    }

    #[test]
    fn associations_show_inactive_customers_too() {
        let directory = example::directory();
        let check = |email: &str, expected: &[&str]| {
            let list = associations(&directory, directory.user(email).unwrap());
            assert_eq!(
                list.iter()
                    .map(|customer| &*customer.id)
                    .collect::<Vec<_>>(),
                expected,
                "{email}"
            );
        };
        check("nifi@example.com", &["acme"]);
        check("console@example.com", &["acme", "idle"]);
        check("root@example.com", &["acme", "idle"]);
    }
}
