//! The directory file: TOML text to a [`Directory`], or what is wrong with it and on which line.
//!
//! Only this module knows how the file is written. Unknown keys are errors, and so is whatever
//! could never work: an association with a customer that is not there, an email that HTTP Basic
//! cannot carry.

mod parts;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::{Customer, Directory, DirectoryError, Integration, Stamp, User};
use crate::identity::password::{Cost, PasswordHash};
use crate::identity::quota::{self, OwnRates};

/// The states of an integration that lists none: `ServiceNow`'s *Resolved* and *Closed*.
pub(super) const DEFAULT_STATES: [(i64, &str); 2] = [(6, "resolved"), (7, "closed")];

/// RFC 5321, section 4.5.3.1.3: a path of 256 with its brackets. Keeps tokens short.
const EMAIL_BYTES_MAX: usize = 254;

impl Directory {
    /// Reads the directory file. Blocks.
    pub fn read(path: &Path) -> Result<Self, DirectoryError> {
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        Self::parse(&text, path)
    }

    /// Reads the directory from `text`; `path` is for the error alone.
    pub fn parse(text: &str, path: &Path) -> Result<Self, DirectoryError> {
        // The spans of parts are their own: what is wrong is told by the whole.
        if let Some(Ok(directory)) = parts::read(text).map(Written::check) {
            return Ok(directory);
        }
        let checked = toml::from_str::<Written>(text).map_err(|error| Fault {
            span: error.span(),
            message: error.message().replace('\n', ", "),
        });
        checked
            .and_then(Written::check)
            .map_err(|Fault { span, message }| DirectoryError {
                path: path.to_owned(),
                line: span.map(|span| 1 + text[..span.start].matches('\n').count()),
                message,
            })
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> DirectoryError {
    DirectoryError {
        path: path.to_owned(),
        line: None,
        message: format!("cannot be read: {error}"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    customer: Vec<WrittenCustomer>,
    #[serde(default)]
    user: Vec<WrittenUser>,
    #[serde(default)]
    integration: Vec<WrittenIntegration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCustomer {
    id: Spanned<String>,
    name: String,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    quota: WrittenQuota,
}

/// What is left out is as for all customers; 0 is without a bound.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenQuota {
    records: Option<u32>,
    bytes: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUser {
    email: Spanned<String>,
    name: String,
    password: Spanned<HashText>,
    #[serde(default)]
    superadmin: bool,
    #[serde(default)]
    organization: bool,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    customers: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenIntegration {
    customer: Spanned<String>,
    id: Spanned<String>,
    states: Option<BTreeMap<String, String>>,
}

/// A string whose error never shows what was written instead of one.
struct HashText(String);

impl<'de> Deserialize<'de> for HashText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self)
            .map_err(|_| serde::de::Error::custom("`password` must be a string: an argon2id hash"))
    }
}

fn yes() -> bool {
    true
}

struct Fault {
    span: Option<Range<usize>>,
    message: String,
}

fn fault<T>(at: &Spanned<T>, message: String) -> Fault {
    Fault {
        span: Some(at.span()),
        message,
    }
}

impl Written {
    fn check(self) -> Result<Directory, Fault> {
        let mut customers = check_customers(self.customer)?;
        for integration in self.integration {
            check_integration(integration, &mut customers)?;
        }
        let customers: Vec<_> = customers.list.into_iter().map(Arc::new).collect();
        let customers_by_id: HashMap<_, _> = customers
            .iter()
            .map(|customer| (Arc::clone(&customer.id), Arc::clone(customer)))
            .collect();

        let mut users = Vec::with_capacity(self.user.len());
        let mut users_by_email = HashMap::with_capacity(self.user.len());
        for written in self.user {
            let email = written.email.clone();
            let user = Arc::new(check_user(written, &customers_by_id)?);
            if users_by_email
                .insert(Arc::clone(&user.email), Arc::clone(&user))
                .is_some()
            {
                return Err(fault(
                    &email,
                    format!("user {:?} is there twice", user.email),
                ));
            }
            users.push(user);
        }
        let cost = usual_cost(&users);
        Ok(Directory {
            customers,
            users,
            customers_by_id,
            users_by_email,
            cost,
        })
    }
}

struct Customers {
    list: Vec<Customer>,
    index: HashMap<Arc<str>, usize>,
}

fn check_customers(written: Vec<WrittenCustomer>) -> Result<Customers, Fault> {
    let mut list = Vec::with_capacity(written.len());
    let mut index = HashMap::with_capacity(written.len());
    for WrittenCustomer {
        id: at,
        name,
        active,
        quota,
    } in written
    {
        check_id("customer id", &at)?;
        let id: Arc<str> = at.get_ref().as_str().into();
        if index.insert(Arc::clone(&id), list.len()).is_some() {
            return Err(fault(&at, format!("customer {id:?} is there twice")));
        }
        let rates = check_quota(quota)?;
        list.push(Customer {
            id,
            name,
            active,
            rates,
            integrations: HashMap::new(),
        });
    }
    Ok(Customers { list, index })
}

fn check_quota(WrittenQuota { records, bytes }: WrittenQuota) -> Result<OwnRates, Fault> {
    let bytes = bytes.map(|at| quota::bytes(at.get_ref()).map_err(|message| fault(&at, message)));
    Ok(OwnRates {
        records,
        bytes: bytes.transpose()?,
    })
}

fn check_integration(written: WrittenIntegration, customers: &mut Customers) -> Result<(), Fault> {
    let WrittenIntegration {
        customer,
        id: at,
        states,
    } = written;
    check_id("integration id", &at)?;
    let Some(&index) = customers.index.get(customer.get_ref().as_str()) else {
        let message = format!(
            "integration {:?} of a customer {:?} that is not there",
            at.get_ref(),
            customer.get_ref()
        );
        return Err(fault(&customer, message));
    };
    let states = match states {
        None => DEFAULT_STATES
            .map(|(number, name)| (number, name.to_owned()))
            .into(),
        Some(states) => check_states(states).map_err(|message| fault(&at, message))?,
    };
    let id = at.get_ref().clone();
    let integrations = &mut customers.list[index].integrations;
    if integrations
        .insert(id.clone(), Arc::new(Integration { id, states }))
        .is_some()
    {
        let message = format!(
            "integration {:?} of customer {:?} is there twice",
            at.get_ref(),
            customer.get_ref()
        );
        return Err(fault(&at, message));
    }
    Ok(())
}

fn check_states(written: BTreeMap<String, String>) -> Result<Vec<(i64, String)>, String> {
    let mut states = Vec::with_capacity(written.len());
    for (text, name) in written {
        // `06` and `+6` would be second names of `6`.
        let number = text
            .parse()
            .ok()
            .filter(|number: &i64| number.to_string() == text);
        let number = number.ok_or_else(|| format!("state {text:?} is not an integer"))?;
        if name.is_empty() {
            return Err(format!("state {text} maps to an empty name"));
        }
        states.push((number, name));
    }
    states.sort_unstable_by_key(|(number, _)| *number);
    Ok(states)
}

fn check_user(
    written: WrittenUser,
    known: &HashMap<Arc<str>, Arc<Customer>>,
) -> Result<User, Fault> {
    let WrittenUser {
        email,
        name,
        password,
        superadmin,
        organization,
        enabled,
        customers: written,
    } = written;
    check_id("email", &email)?;
    if email.get_ref().len() > EMAIL_BYTES_MAX {
        return Err(fault(
            &email,
            format!("email is longer than {EMAIL_BYTES_MAX} bytes"),
        ));
    }
    if email.get_ref().contains(':') {
        // RFC 7617, section 2: the first colon ends the user-id.
        return Err(fault(
            &email,
            format!(
                "email {:?} has a colon, which HTTP Basic cannot carry",
                email.get_ref()
            ),
        ));
    }
    let hash = PasswordHash::parse(&password.get_ref().0).map_err(|error| {
        fault(
            &password,
            format!("password of user {:?}: {error}", email.get_ref()),
        )
    })?;
    let mut customers = Vec::with_capacity(written.len());
    for id in written {
        let Some((id, _)) = known.get_key_value(id.get_ref().as_str()) else {
            let message = format!(
                "user {:?} is associated with a customer {:?} that is not there",
                email.get_ref(),
                id.get_ref()
            );
            return Err(fault(&id, message));
        };
        customers.push(Arc::clone(id));
    }
    customers.sort_unstable();
    customers.dedup();
    Ok(User {
        email: email.into_inner().into(),
        name,
        superadmin,
        organization,
        enabled,
        stamp: Stamp::of(&hash),
        password: hash,
        customers: customers.into(),
    })
}

fn check_id(what: &str, id: &Spanned<String>) -> Result<(), Fault> {
    let text = id.get_ref();
    if text.is_empty() {
        return Err(fault(id, format!("{what} is empty")));
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err(fault(
            id,
            format!("{what} {text:?} has control characters, or space at its start or end"),
        ));
    }
    Ok(())
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

#[cfg(test)]
mod tests;
