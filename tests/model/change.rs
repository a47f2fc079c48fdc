//! A change of the directory file, made as the command line makes it.

use std::path::Path;

use iem_gateway::identity::directory::edit::{Document, Missing, NewUser, Refusal, edit};
use iem_gateway::identity::password::{Cost, Password, PasswordHash};

use super::contract::{is_organization, is_superadmin};
use super::words::{Change, User};
use iem_test_support::email;

/// Makes the change, and adds customers of the names `markers` with it. Says whether it fits what
/// is there.
pub(crate) fn make(path: &Path, change: &Change, password: usize, markers: &[String]) -> bool {
    let made = edit(path, Missing::Refuse, |document| {
        apply(document, change, password)?;
        markers
            .iter()
            .try_for_each(|marker| document.add_customer(marker, marker))
    });
    made.is_ok()
}

/// Whichever of a user's passwords this is.
pub(crate) fn password_text(user: User, number: usize) -> String {
    if number == 0 {
        format!("{user}-password")
    } else {
        format!("{user}-password-{number}")
    }
}

fn apply(document: &mut Document, change: &Change, password: usize) -> Result<(), Refusal> {
    match change {
        Change::Enable(user) => document.set_user_enabled(email(user), true),
        Change::Disable(user) => document.set_user_enabled(email(user), false),
        Change::Passwd(user) => document.set_password(email(user), &hash(user, password)),
        Change::RemoveUser(user) => document.remove_user(email(user)),
        Change::AddUser(user, customers) => document.add_user(NewUser {
            email: email(user).to_owned(),
            name: "Added".to_owned(),
            password: hash(user, password),
            superadmin: is_superadmin(user),
            organization: is_organization(user),
            customers: customers
                .iter()
                .map(|&customer| customer.to_owned())
                .collect(),
        }),
        Change::Grant(user, customer) => document.grant(email(user), customer).map(|_| ()),
        Change::Revoke(user, customer) => document.revoke(email(user), customer).map(|_| ()),
        Change::AddCustomer(customer) => document.add_customer(customer, "Added"),
        Change::RemoveCustomer(customer) => document.remove_customer(customer).map(|_| ()),
        Change::Activate(customer) => document.set_customer_active(customer, true),
        Change::Deactivate(customer) => document.set_customer_active(customer, false),
        Change::AddIntegration(customer, integration, states) => {
            let states: Vec<_> = states
                .iter()
                .map(|(number, name)| (*number, (*name).to_owned()))
                .collect();
            document.add_integration(customer, integration, &states)
        }
        Change::RemoveIntegration(customer, integration) => {
            document.remove_integration(customer, integration)
        }
    }
}

/// At the lowest cost that there is.
fn hash(user: User, number: usize) -> PasswordHash {
    let password = Password::new(password_text(user, number));
    PasswordHash::new(
        &password,
        Cost {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        },
    )
    .expect("a hash")
}
