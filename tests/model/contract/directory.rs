//! The model's directory: its users, customers and integrations, and the changes of an operator.

use std::collections::{BTreeMap, BTreeSet};

use super::{Began, Contract, is_organization, is_superadmin};
use crate::words::{Change, Customer, Integration, Password, User};

/// The states of an integration that is added without any.
const DEFAULT_STATES: [(i64, &str); 2] = [(6, "resolved"), (7, "closed")];

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) enabled: bool,
    pub(super) customers: BTreeSet<Customer>,
    /// Which of the user's passwords holds.
    pub(super) password: usize,
}

impl Contract {
    /// The tests' directory.
    pub(crate) fn new() -> Self {
        let account = |enabled, customers: &[Customer]| Account {
            enabled,
            customers: customers.iter().copied().collect(),
            password: 0,
        };
        Self {
            users: BTreeMap::from([
                ("alice", account(true, &["acme"])),
                ("bob", account(true, &["globex"])),
                ("carol", account(true, &["acme", "1001", "closed"])),
                ("root", account(true, &[])),
                ("org", account(true, &["acme"])),
                ("off", account(false, &["acme"])),
            ]),
            customers: BTreeMap::from([
                ("acme", true),
                ("globex", true),
                ("1001", true),
                ("closed", false),
            ]),
            integrations: BTreeMap::from([
                (("acme", "servicenow-1"), BTreeMap::from(DEFAULT_STATES)),
                (("acme", "jira 2"), BTreeMap::from([(10, "resolved")])),
                (("globex", "globex-only"), BTreeMap::from([(6, "resolved")])),
            ]),
            passwords: BTreeMap::new(),
            // A user who is disabled at the start has no session.
            ends: BTreeMap::from([("off", 1)]),
        }
    }

    /// Makes a change, unless it does not fit what is there.
    pub(crate) fn change(&mut self, change: &Change) -> Result<(), ()> {
        match change {
            Change::Enable(user) => self.user(user)?.enabled = true,
            Change::Disable(user) => {
                self.user(user)?.enabled = false;
                *self.ends.entry(user).or_default() += 1;
            }
            Change::Passwd(user) => {
                self.user(user)?;
                let password = self.next_password(user);
                self.user(user)?.password = password;
            }
            Change::RemoveUser(user) => drop(self.users.remove(user).ok_or(())?),
            Change::AddUser(user, customers) => self.add_user(user, customers)?,
            Change::Grant(user, customer) => {
                self.customers.get(customer).ok_or(())?;
                self.user(user)?.customers.insert(customer);
            }
            Change::Revoke(user, customer) => {
                self.user(user)?.customers.remove(customer);
            }
            Change::AddCustomer(customer) => {
                if self.customers.contains_key(customer) {
                    return Err(());
                }
                self.customers.insert(customer, true);
            }
            Change::RemoveCustomer(customer) => {
                self.customers.remove(customer).ok_or(())?;
                self.integrations.retain(|(owner, _), _| owner != customer);
                self.users.values_mut().for_each(|user| {
                    user.customers.remove(customer);
                });
            }
            Change::Activate(customer) => *self.customers.get_mut(customer).ok_or(())? = true,
            Change::Deactivate(customer) => *self.customers.get_mut(customer).ok_or(())? = false,
            Change::AddIntegration(customer, integration, states) => {
                self.add_integration(customer, integration, states)?;
            }
            Change::RemoveIntegration(customer, integration) => {
                drop(
                    self.integrations
                        .remove(&(*customer, *integration))
                        .ok_or(())?,
                );
            }
        }
        Ok(())
    }

    fn add_user(&mut self, user: User, customers: &[Customer]) -> Result<(), ()> {
        for customer in customers {
            self.customers.get(customer).ok_or(())?;
        }
        if self.users.contains_key(user) {
            return Err(());
        }
        let account = Account {
            enabled: true,
            customers: customers.iter().copied().collect(),
            password: self.next_password(user),
        };
        self.users.insert(user, account);
        Ok(())
    }

    fn add_integration(
        &mut self,
        customer: Customer,
        integration: Integration,
        states: &[(i64, &'static str)],
    ) -> Result<(), ()> {
        self.customers.get(customer).ok_or(())?;
        if self.integrations.contains_key(&(customer, integration)) {
            return Err(());
        }
        let states = if states.is_empty() {
            &DEFAULT_STATES
        } else {
            states
        };
        let states = states.iter().copied().collect();
        self.integrations.insert((customer, integration), states);
        Ok(())
    }

    fn user(&mut self, user: User) -> Result<&mut Account, ()> {
        self.users.get_mut(user).ok_or(())
    }

    fn next_password(&mut self, user: User) -> usize {
        let count = self.passwords.entry(user).or_default();
        *count += 1;
        *count
    }

    /// How a session of the user would begin now; `None` for a user that may not log in.
    pub(crate) fn may_log_in(&self, user: User) -> Option<Began> {
        let account = self.users.get(user).filter(|account| account.enabled)?;
        (!is_organization(user)).then_some(self.began(user, account.password))
    }

    /// How a session of the user that was answered last began.
    pub(crate) fn last_began(&self, user: User) -> Began {
        self.began(user, self.last_password(user))
    }

    fn began(&self, user: User, password: usize) -> Began {
        Began {
            password,
            ends: self.ends.get(user).copied().unwrap_or_default(),
        }
    }

    /// Which of its passwords a user was given last; the one that holds, while there is the user.
    pub(crate) fn last_password(&self, user: User) -> usize {
        self.passwords.get(user).copied().unwrap_or_default()
    }

    /// How many customers there are.
    pub(crate) fn customers(&self) -> usize {
        self.customers.len()
    }

    /// The customers that a token answer lists, and whether each is active.
    pub(crate) fn associations(&self, user: User) -> Vec<(Customer, bool)> {
        let own = self.users.get(user).map(|account| &account.customers);
        let all = self
            .customers
            .iter()
            .map(|(customer, active)| (*customer, *active));
        all.filter(|(customer, _)| {
            is_superadmin(user) || own.is_some_and(|own| own.contains(customer))
        })
        .collect()
    }

    /// Whether a session of the user that began then goes on.
    pub(super) fn holds(&self, user: User, began: Began) -> bool {
        self.users
            .get(user)
            .is_some_and(|account| account.enabled && self.began(user, account.password) == began)
    }

    pub(super) fn is_right(&self, user: User, password: Password) -> bool {
        self.users.get(user).is_some_and(|account| {
            let given = match password {
                Password::Right => true,
                Password::First => account.password == 0,
                Password::Wrong => false,
            };
            account.enabled && given
        })
    }
}
