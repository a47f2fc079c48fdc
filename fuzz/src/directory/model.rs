//! A directory as plain lists, and what each change makes of them.

use iem_gateway::identity::directory::edit::{Document, EditError, Editor, NewUser};
use iem_gateway::identity::directory::{CustomerQuota, Directory};
use iem_gateway::identity::password::PasswordHash;

/// A change, as a line has it: a letter and words.
#[derive(Debug)]
pub enum Change {
    AddCustomer(String, String),
    SetActive(String, bool),
    SetQuota(String, Option<u32>, Option<String>),
    RemoveCustomer(String),
    AddUser(String, String, Vec<String>),
    SetPassword(String),
    SetEnabled(String, bool),
    Grant(String, String),
    Revoke(String, String),
    RemoveUser(String),
    AddIntegration(String, String, Vec<(i64, String)>),
    RemoveIntegration(String, String),
}

impl Change {
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').map(str::to_owned);
        let letter = words.next()?;
        let first = words.next()?;
        let mut word = || words.next();
        Some(match &*letter {
            "c" => Self::AddCustomer(first, word()?),
            "a" => Self::SetActive(first, true),
            "d" => Self::SetActive(first, false),
            "q" => Self::SetQuota(first, word()?.parse().ok(), word()),
            "x" => Self::RemoveCustomer(first),
            "u" => Self::AddUser(first, word()?, words.collect()),
            "p" => Self::SetPassword(first),
            "e" => Self::SetEnabled(first, true),
            "f" => Self::SetEnabled(first, false),
            "g" => Self::Grant(first, word()?),
            "v" => Self::Revoke(first, word()?),
            "r" => Self::RemoveUser(first),
            "i" => Self::AddIntegration(
                first,
                word()?,
                words.filter_map(|word| state(&word)).collect(),
            ),
            "j" => Self::RemoveIntegration(first, word()?),
            _ => return None,
        })
    }

    pub fn make(&self, document: &mut Document, hash: &PasswordHash) -> Result<(), EditError> {
        match self {
            Self::AddCustomer(id, name) => document.add_customer(id, name),
            Self::SetActive(id, active) => document.set_customer_active(id, *active),
            Self::SetQuota(id, records, bytes) => {
                document.set_quota(id, *records, bytes.as_deref())
            }
            Self::RemoveCustomer(id) => document.remove_customer(id).map(|_| ()),
            Self::AddUser(email, name, customers) => document.add_user(NewUser {
                email: email.clone(),
                name: name.clone(),
                password: Some(hash.clone()),
                superadmin: false,
                organization: true,
                customers: customers.clone(),
            }),
            Self::SetPassword(email) => document.set_password(email, hash),
            Self::SetEnabled(email, enabled) => document.set_user_enabled(email, *enabled),
            Self::Grant(email, id) => document.grant(email, id).map(|_| ()),
            Self::Revoke(email, id) => document.revoke(email, id).map(|_| ()),
            Self::RemoveUser(email) => document.remove_user(email),
            Self::AddIntegration(customer, id, states) => {
                document.add_integration(customer, id, states)
            }
            Self::RemoveIntegration(customer, id) => document.remove_integration(customer, id),
        }
    }

    /// Comments may go with what goes.
    pub fn removes(&self) -> bool {
        matches!(
            self,
            Self::RemoveCustomer(_)
                | Self::RemoveUser(_)
                | Self::RemoveIntegration(..)
                | Self::Revoke(..)
                | Self::SetQuota(..)
        )
    }

    /// Something new may not be as it has to be.
    pub fn may_be_refused(&self) -> bool {
        matches!(
            self,
            Self::AddCustomer(..)
                | Self::AddUser(..)
                | Self::AddIntegration(..)
                | Self::SetQuota(..)
        )
    }
}

fn state(word: &str) -> Option<(i64, String)> {
    let (number, name) = word.split_once('=')?;
    Some((number.parse().ok()?, name.to_owned()))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Customer {
    id: String,
    name: String,
    active: bool,
    records: Option<u32>,
    bytes: Option<u32>,
    integrations: Vec<(String, Vec<(i64, String)>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    email: String,
    name: String,
    superadmin: bool,
    organization: bool,
    enabled: bool,
    password: Option<String>,
    customers: Vec<String>,
}

/// A directory, as plain lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    customers: Vec<Customer>,
    users: Vec<User>,
}

impl Model {
    pub fn of(directory: &Directory) -> Self {
        let customers = directory.customers().iter().map(|customer| Customer {
            id: customer.id.to_string(),
            name: customer.name.clone(),
            active: customer.active,
            records: customer.quota.records,
            bytes: customer.quota.bytes,
            integrations: customer
                .integrations()
                .into_iter()
                .map(|integration| (integration.id.clone(), integration.states.clone()))
                .collect(),
        });
        let users = directory.users().into_iter().map(|user| User {
            email: user.email.to_string(),
            name: user.name.clone(),
            superadmin: user.superadmin,
            organization: user.organization,
            enabled: user.enabled,
            password: user.password().map(|hash| hash.as_str().to_owned()),
            customers: user.customers().iter().map(|id| id.to_string()).collect(),
        });
        Self {
            customers: customers.collect(),
            users: users.collect(),
        }
    }

    /// Returns the model after `change`; `None` where it cannot be made.
    pub fn with(&self, change: &Change, hash: &PasswordHash) -> Option<Self> {
        let mut model = self.clone();
        match change {
            Change::AddCustomer(id, name) => model.add_customer(id, name)?,
            Change::SetActive(id, active) => model.customer(id)?.active = *active,
            Change::SetQuota(id, records, bytes) => {
                let customer = model.customer(id)?;
                customer.records = *records;
                customer.bytes = bytes
                    .as_deref()
                    .map(CustomerQuota::parse_bytes)
                    .transpose()
                    .ok()?;
            }
            Change::RemoveCustomer(id) => {
                model.customer(id)?;
                model.customers.retain(|customer| customer.id != *id);
                model
                    .users
                    .iter_mut()
                    .for_each(|user| user.customers.retain(|other| other != id));
            }
            Change::AddUser(email, name, customers) => {
                model.add_user(email, name, customers, hash)?
            }
            Change::SetPassword(email) => {
                model.user(email)?.password = Some(hash.as_str().to_owned())
            }
            Change::SetEnabled(email, enabled) => model.user(email)?.enabled = *enabled,
            Change::Grant(email, id) => {
                model.customer(id)?;
                model.user(email)?.customers.push(id.clone());
                in_order(&mut model.user(email)?.customers);
            }
            Change::Revoke(email, id) => model.user(email)?.customers.retain(|other| other != id),
            Change::RemoveUser(email) => {
                model.user(email)?;
                model.users.retain(|user| user.email != *email);
            }
            Change::AddIntegration(customer, id, states) => {
                let mut states = states.clone();
                if states.is_empty() {
                    states = vec![(6, "resolved".to_owned()), (7, "closed".to_owned())];
                }
                states.sort();
                let integrations = &mut model.customer(customer)?.integrations;
                integrations
                    .iter()
                    .all(|(other, _)| other != id)
                    .then_some(())?;
                integrations.push((id.clone(), states));
                integrations.sort();
            }
            Change::RemoveIntegration(customer, id) => {
                let integrations = &mut model.customer(customer)?.integrations;
                integrations
                    .iter()
                    .any(|(other, _)| other == id)
                    .then_some(())?;
                integrations.retain(|(other, _)| other != id);
            }
        }
        // Lists are by key.
        model.customers.sort_by(|a, b| a.id.cmp(&b.id));
        model.users.sort_by(|a, b| a.email.cmp(&b.email));
        Some(model)
    }

    fn add_customer(&mut self, id: &str, name: &str) -> Option<()> {
        self.customer(id).is_none().then_some(())?;
        let (id, name) = (id.to_owned(), name.to_owned());
        let customer = Customer {
            id,
            name,
            active: true,
            records: None,
            bytes: None,
            integrations: vec![],
        };
        self.customers.push(customer);
        Some(())
    }

    fn add_user(
        &mut self,
        email: &str,
        name: &str,
        ids: &[String],
        hash: &PasswordHash,
    ) -> Option<()> {
        self.user(email).is_none().then_some(())?;
        ids.iter()
            .all(|id| self.customer(id).is_some())
            .then_some(())?;
        let mut customers = ids.to_vec();
        in_order(&mut customers);
        self.users.push(User {
            email: email.to_owned(),
            name: name.to_owned(),
            superadmin: false,
            organization: true,
            enabled: true,
            password: Some(hash.as_str().to_owned()),
            customers,
        });
        Some(())
    }

    fn customer(&mut self, id: &str) -> Option<&mut Customer> {
        self.customers.iter_mut().find(|customer| customer.id == id)
    }

    fn user(&mut self, email: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.email == email)
    }
}

fn in_order(ids: &mut Vec<String>) {
    ids.sort();
    ids.dedup();
}
