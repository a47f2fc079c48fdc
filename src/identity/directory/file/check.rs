//! Checks the entries of the directory file, and builds the directory from them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use super::schema::{CustomerEntry, Entries, IntegrationEntry, QuotaEntry, UserEntry};
use crate::identity::directory::customer::Customer;
use crate::identity::directory::customer_quota::CustomerQuota;
use crate::identity::directory::integration::Integration;
use crate::identity::directory::password_version::PasswordVersion;
use crate::identity::directory::rules;
use crate::identity::directory::snapshot::Directory;
use crate::identity::directory::user::User;

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
        let mut directory = Directory::with_capacity(self.customer.len(), self.user.len());
        for customer in check_customers(self.customer, self.integration)? {
            directory.set_customer(Arc::new(customer));
        }
        for entry in self.user {
            let email = entry.email.clone();
            let user = Arc::new(check_user(entry, &directory)?);
            if let Some(first) = directory.set_user(user) {
                let message = format!("user {:?} is there twice", first.email);
                return Err(Fault::at(&email, message));
            }
        }
        Ok(directory)
    }
}

fn check_customers(
    entries: Vec<CustomerEntry>,
    integrations: Vec<IntegrationEntry>,
) -> Result<Vec<Customer>, Fault> {
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
    for entry in integrations {
        check_id("integration id", &entry.id)?;
        let customer = entry.customer.get_ref();
        let Some(&index) = index.get(customer.as_str()) else {
            let id = entry.id.get_ref();
            let message =
                format!("integration {id:?} of a customer {customer:?} that is not there");
            return Err(Fault::at(&entry.customer, message));
        };
        check_integration(entry, &mut list[index])?;
    }
    Ok(list)
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

fn check_integration(entry: IntegrationEntry, customer: &mut Customer) -> Result<(), Fault> {
    let states = rules::states(entry.states.map(BTreeMap::into_iter))
        .map_err(|message| Fault::at(&entry.id, message))?;
    let id = entry.id.get_ref().clone();
    let integration = Arc::new(Integration {
        id: id.clone(),
        states,
    });
    if customer
        .integrations
        .insert(id.clone(), integration)
        .is_some()
    {
        let message = format!(
            "integration {id:?} of customer {:?} is there twice",
            customer.id
        );
        return Err(Fault::at(&entry.id, message));
    }
    Ok(())
}

fn check_user(entry: UserEntry, known: &Directory) -> Result<User, Fault> {
    let email = entry.email.get_ref();
    rules::check_email(email).map_err(|message| Fault::at(&entry.email, message))?;
    let password = match &entry.password {
        None => None,
        Some(text) => Some(
            rules::password(email, &text.get_ref().0)
                .map_err(|message| Fault::at(text, message))?,
        ),
    };
    let mut customers = Vec::with_capacity(entry.customers.len());
    for id in &entry.customers {
        let Some(known) = known.customer(id.get_ref()) else {
            return Err(Fault::at(id, rules::no_customer(email, id.get_ref())));
        };
        customers.push(Arc::clone(&known.id));
    }
    Ok(User {
        email: email.as_str().into(),
        name: entry.name,
        superadmin: entry.superadmin,
        organization: entry.organization,
        enabled: entry.enabled,
        password_version: PasswordVersion::of(password.as_ref()),
        password,
        customers: rules::associations(customers),
    })
}

fn check_id(what: &str, id: &Spanned<String>) -> Result<(), Fault> {
    rules::check_id(what, id.get_ref()).map_err(|message| Fault::at(id, message))
}
