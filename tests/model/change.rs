//! A change of the directory, made as the command line makes it.

use std::thread;

use iem_gateway::identity::directory::Store;
use iem_gateway::identity::directory::edit::{EditError, Editor, Missing, NewUser};
use iem_gateway::identity::password::{Cost, Password, PasswordHash};

use super::contract::{is_organization, is_superadmin};
use super::words::{Change, User};
use iem_test_support::email;

/// Makes the change, and adds customers of the names `markers` with it. Says whether it fits what
/// is there.
pub(crate) fn make(store: &Store, change: &Change, password: usize, markers: &[String]) -> bool {
    let made = store.edit(Missing::Refuse, |editor| {
        apply(editor, change, password)?;
        mark(editor, markers)
    });
    made.is_ok()
}

/// As [`make`], while another writer adds the customers.
pub(crate) fn make_beside(
    store: &Store,
    change: &Change,
    password: usize,
    markers: &[String],
) -> bool {
    thread::scope(|scope| {
        let other = scope.spawn(|| store.edit(Missing::Refuse, |editor| mark(editor, markers)));
        let made = make(store, change, password, &[]);
        let marked = other.join().expect("no panic");
        marked.expect("customers of new names fit");
        made
    })
}

fn mark(editor: &mut dyn Editor, markers: &[String]) -> Result<(), EditError> {
    markers
        .iter()
        .try_for_each(|marker| editor.add_customer(marker, marker))
}

/// Whichever of a user's passwords this is.
pub(crate) fn password_text(user: User, number: usize) -> String {
    if number == 0 {
        format!("{user}-password")
    } else {
        format!("{user}-password-{number}")
    }
}

fn apply(editor: &mut dyn Editor, change: &Change, password: usize) -> Result<(), EditError> {
    match change {
        Change::Enable(user) => editor.set_user_enabled(email(user), true),
        Change::Disable(user) => editor.set_user_enabled(email(user), false),
        Change::Passwd(user) => editor.set_password(email(user), &hash(user, password)),
        Change::RemoveUser(user) => editor.remove_user(email(user)),
        Change::AddUser(user, customers) => editor.add_user(NewUser {
            email: email(user).to_owned(),
            name: "Added".to_owned(),
            password: Some(hash(user, password)),
            superadmin: is_superadmin(user),
            organization: is_organization(user),
            customers: customers
                .iter()
                .map(|&customer| customer.to_owned())
                .collect(),
        }),
        Change::Grant(user, customer) => editor.grant(email(user), customer).map(|_| ()),
        Change::Revoke(user, customer) => editor.revoke(email(user), customer).map(|_| ()),
        Change::AddCustomer(customer) => editor.add_customer(customer, "Added"),
        Change::RemoveCustomer(customer) => editor.remove_customer(customer).map(|_| ()),
        Change::Activate(customer) => editor.set_customer_active(customer, true),
        Change::Deactivate(customer) => editor.set_customer_active(customer, false),
        Change::AddIntegration(customer, integration, states) => {
            let states: Vec<_> = states
                .iter()
                .map(|(number, name)| (*number, (*name).to_owned()))
                .collect();
            editor.add_integration(customer, integration, &states)
        }
        Change::RemoveIntegration(customer, integration) => {
            editor.remove_integration(customer, integration)
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
