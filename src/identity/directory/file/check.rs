//! Checks the entries of the directory file, and builds the directory from them.
//!
//! An entry that could never work is a fault: an association with a customer that is not there, an email
//! that HTTP Basic cannot carry.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use super::schema::{CustomerEntry, Entries, IntegrationEntry, QuotaEntry, UserEntry};
use crate::identity::directory::customer::Customer;
use crate::identity::directory::customer_quota::CustomerQuota;
use crate::identity::directory::integration::Integration;
use crate::identity::directory::password_version::PasswordVersion;
use crate::identity::directory::snapshot::Directory;
use crate::identity::directory::user::User;
use crate::identity::password::PasswordHash;

/// The states of an integration that lists none: `ServiceNow`'s *Resolved* and *Closed*.
const DEFAULT_STATES: [(i64, &str); 2] = [(6, "resolved"), (7, "closed")];

/// The longest email (RFC 5321, section 4.5.3.1.3: a path of 256 with its brackets). Keeps tokens
/// short.
const EMAIL_BYTES_MAX: usize = 254;

/// A fault, and the bytes of the file that it is in.
pub(super) struct Fault {
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
}

impl Fault {
    fn at<T>(place: &Spanned<T>, message: String) -> Self {
        Self {
            span: Some(place.span()),
            message,
        }
    }
}

impl Entries {
    /// Builds the directory.
    ///
    /// # Errors
    /// The first fault.
    pub(super) fn check(self) -> Result<Directory, Fault> {
        let mut customers = check_customers(self.customer)?;
        for integration in self.integration {
            check_integration(integration, &mut customers)?;
        }
        let mut emails = HashSet::with_capacity(self.user.len());
        let mut users = Vec::with_capacity(self.user.len());
        for entry in self.user {
            let email = entry.email.clone();
            let user = check_user(entry, &customers)?;
            if !emails.insert(Arc::clone(&user.email)) {
                let message = format!("user {:?} is there twice", user.email);
                return Err(Fault::at(&email, message));
            }
            users.push(Arc::new(user));
        }
        let customers = customers.list.into_iter().map(Arc::new).collect();
        Ok(Directory::new(customers, users))
    }
}

/// The customers in the file's order, and the position of each id.
struct Customers {
    list: Vec<Customer>,
    index: HashMap<Arc<str>, usize>,
}

fn check_customers(entries: Vec<CustomerEntry>) -> Result<Customers, Fault> {
    let mut list = Vec::with_capacity(entries.len());
    let mut index = HashMap::with_capacity(entries.len());
    for entry in entries {
        check_id("customer id", &entry.id)?;
        let id: Arc<str> = entry.id.get_ref().as_str().into();
        if index.insert(Arc::clone(&id), list.len()).is_some() {
            let message = format!("customer {id:?} is there twice");
            return Err(Fault::at(&entry.id, message));
        }
        list.push(Customer {
            id,
            name: entry.name,
            active: entry.active,
            quota: check_quota(entry.quota)?,
            integrations: HashMap::new(),
        });
    }
    Ok(Customers { list, index })
}

fn check_quota(QuotaEntry { records, bytes }: QuotaEntry) -> Result<CustomerQuota, Fault> {
    let bytes = match bytes {
        None => None,
        Some(text) => Some(
            CustomerQuota::parse_bytes(text.get_ref())
                .map_err(|message| Fault::at(&text, message))?,
        ),
    };
    Ok(CustomerQuota { records, bytes })
}

fn check_integration(entry: IntegrationEntry, customers: &mut Customers) -> Result<(), Fault> {
    check_id("integration id", &entry.id)?;
    let id = entry.id.get_ref().clone();
    let customer = entry.customer.get_ref();
    let Some(&index) = customers.index.get(customer.as_str()) else {
        let message = format!("integration {id:?} of a customer {customer:?} that is not there");
        return Err(Fault::at(&entry.customer, message));
    };
    let states = match entry.states {
        None => DEFAULT_STATES
            .map(|(number, name)| (number, name.to_owned()))
            .into(),
        Some(states) => check_states(states).map_err(|message| Fault::at(&entry.id, message))?,
    };
    let integration = Arc::new(Integration {
        id: id.clone(),
        states,
    });
    let integrations = &mut customers.list[index].integrations;
    if integrations.insert(id.clone(), integration).is_some() {
        let message = format!("integration {id:?} of customer {customer:?} is there twice");
        return Err(Fault::at(&entry.id, message));
    }
    Ok(())
}

fn check_states(entries: BTreeMap<String, String>) -> Result<Vec<(i64, String)>, String> {
    let mut states = Vec::with_capacity(entries.len());
    for (text, name) in entries {
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

fn check_user(entry: UserEntry, known: &Customers) -> Result<User, Fault> {
    check_email(&entry.email)?;
    let email = entry.email.get_ref();
    let password = PasswordHash::parse(&entry.password.get_ref().0).map_err(|error| {
        let message = format!("password of user {email:?}: {error}");
        Fault::at(&entry.password, message)
    })?;
    let customers = check_associations(email, &entry.customers, known)?;
    Ok(User {
        email: email.as_str().into(),
        name: entry.name,
        superadmin: entry.superadmin,
        organization: entry.organization,
        enabled: entry.enabled,
        password_version: PasswordVersion::of(&password),
        password,
        customers,
    })
}

fn check_email(email: &Spanned<String>) -> Result<(), Fault> {
    check_id("email", email)?;
    let text = email.get_ref();
    if text.len() > EMAIL_BYTES_MAX {
        let message = format!("email is longer than {EMAIL_BYTES_MAX} bytes");
        return Err(Fault::at(email, message));
    }
    if text.contains(':') {
        // RFC 7617, section 2: the first colon ends the user-id.
        let message = format!("email {text:?} has a colon, which HTTP Basic cannot carry");
        return Err(Fault::at(email, message));
    }
    Ok(())
}

/// Returns the ids sorted, each once.
fn check_associations(
    email: &str,
    ids: &[Spanned<String>],
    known: &Customers,
) -> Result<Box<[Arc<str>]>, Fault> {
    let mut customers = Vec::with_capacity(ids.len());
    for id in ids {
        let Some((known, _)) = known.index.get_key_value(id.get_ref().as_str()) else {
            let id_text = id.get_ref();
            let message = format!(
                "user {email:?} is associated with a customer {id_text:?} that is not there"
            );
            return Err(Fault::at(id, message));
        };
        customers.push(Arc::clone(known));
    }
    customers.sort_unstable();
    customers.dedup();
    Ok(customers.into())
}

fn check_id(what: &str, id: &Spanned<String>) -> Result<(), Fault> {
    let text = id.get_ref();
    if text.is_empty() {
        return Err(Fault::at(id, format!("{what} is empty")));
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err(Fault::at(
            id,
            format!("{what} {text:?} has control characters, or space at its start or end"),
        ));
    }
    Ok(())
}
