//! The rows of the database as entries of the directory, and back.
//!
//! An entry that breaks a rule is left out, and told: the others are not to suffer for it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use iem_postgres::{Connection, Contents, Error, Revisions};

use crate::identity::directory::customer::Customer;
use crate::identity::directory::customer_quota::CustomerQuota;
use crate::identity::directory::integration::Integration;
use crate::identity::directory::password_version::PasswordVersion;
use crate::identity::directory::rules;
use crate::identity::directory::snapshot::Directory;
use crate::identity::directory::user::User;

/// Rows that are handed on at once.
const ROWS_OF_BATCH: usize = 1_000;
/// Batches that wait to be checked.
const BATCHES_MAX: usize = 8;
/// The longest id that is imported. An entry of an index, which has up to two of them, takes 2,704
/// bytes (PostgreSQL, B-tree indexes).
const ID_BYTES_MAX: usize = 1_000;

/// The strength that the hash of a user's password must have. Commands take any: they have to be able
/// to set a weak one anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    Any,
    Strong,
}

/// A directory that is made of rows.
#[derive(Clone, Debug)]
pub(super) struct Building {
    pub(super) directory: Directory,
    pub(super) faults: Faults,
    strength: Strength,
}

/// The entries that were left out, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults(BTreeMap<(Kind, String), String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Customer,
    User,
}

/// Parts of a whole directory on their way to be checked.
enum Rows {
    /// About the numbers of customers and users.
    Sizes(usize, usize),
    Batch(Vec<Row>),
}

enum Row {
    Customer(iem_postgres::Customer),
    /// A user's email, and a customer's id.
    Association(String, String),
    User(iem_postgres::User),
}

/// Rows on their way to be checked, many at a time.
struct Batches {
    rows: SyncSender<Rows>,
    batch: Vec<Row>,
}

impl Batches {
    fn add(&mut self, row: Row) {
        self.batch.push(row);
        if self.batch.len() == ROWS_OF_BATCH {
            let batch = std::mem::take(&mut self.batch);
            self.send(Rows::Batch(batch));
        }
    }

    fn end(self) {
        let Self { rows, batch } = self;
        let _ = rows.send(Rows::Batch(batch));
    }

    /// Waits for the thread that checks; one that panicked shows when it is joined.
    fn send(&self, rows: Rows) {
        let _ = self.rows.send(rows);
    }
}

impl Faults {
    /// Returns the first fault, and how many others there are.
    pub(super) fn first(&self) -> Option<String> {
        let first = self.0.values().next()?;
        let others = self.0.len() - 1;
        Some(format!(
            "{first}; it is left out, as are others with a fault: {others}"
        ))
    }

    fn note(&mut self, kind: Kind, key: &str, fault: Option<String>) {
        if let Some(fault) = fault {
            self.0.insert((kind, key.to_owned()), fault);
        } else if !self.0.is_empty() {
            self.0.remove(&(kind, key.to_owned()));
        }
    }
}

impl Building {
    /// Begins with a directory of which these entries were left out.
    pub(super) fn upon(directory: &Directory, faults: &Faults) -> Self {
        Self {
            directory: directory.clone(),
            faults: faults.clone(),
            strength: Strength::Strong,
        }
    }

    /// Reads the whole directory. What is read is checked on another thread: both take their time
    /// with a million entries.
    pub(super) async fn read(
        connection: &mut Connection,
        strength: Strength,
    ) -> Result<(Revisions, Self), Error> {
        let (rows, received) = sync_channel(BATCHES_MAX);
        let builder = thread::Builder::new().name("directory-check".to_owned());
        let builder = builder
            .spawn(move || Self::build(&received, strength))
            .map_err(|error| Error::Away(error.to_string()))?;
        let begin = |customers, users| {
            let batches = Batches {
                rows,
                batch: Vec::new(),
            };
            batches.send(Rows::Sizes(customers, users));
            batches
        };
        let read = connection
            .read_all(
                begin,
                |batches, row| batches.add(Row::Customer(row)),
                |batches, email, customer| batches.add(Row::Association(email, customer)),
                |batches, row| batches.add(Row::User(row)),
            )
            .await
            .map(|(revisions, batches)| {
                batches.end();
                revisions
            });
        let building = builder.join();
        let building = building.map_err(|_| Error::Away("a thread panicked".to_owned()))?;
        Ok((read?, building))
    }

    fn build(received: &Receiver<Rows>, strength: Strength) -> Self {
        let mut building = Self {
            directory: Directory::default(),
            faults: Faults::default(),
            strength,
        };
        let mut associations = HashMap::<String, Vec<String>>::new();
        for rows in received {
            match rows {
                Rows::Sizes(customers, users) => {
                    building.directory = Directory::with_capacity(customers, users);
                }
                Rows::Batch(batch) => {
                    for row in batch {
                        match row {
                            Row::Customer(row) => building.set_customer(row),
                            Row::Association(email, customer) => {
                                associations.entry(email).or_default().push(customer);
                            }
                            Row::User(mut row) => {
                                row.customers = associations.remove(&row.email).unwrap_or_default();
                                building.set_user(row);
                            }
                        }
                    }
                }
            }
        }
        building
    }

    pub(super) fn set_customer(&mut self, row: iem_postgres::Customer) {
        match customer(row) {
            Ok(customer) => {
                self.faults.note(Kind::Customer, &customer.id, None);
                self.directory.set_customer(Arc::new(customer));
            }
            Err((id, fault)) => {
                self.directory.remove_customer(&id);
                self.faults.note(Kind::Customer, &id, Some(fault));
            }
        }
    }

    pub(super) fn remove_customer(&mut self, id: &str) {
        self.directory.remove_customer(id);
        self.faults.note(Kind::Customer, id, None);
    }

    pub(super) fn set_user(&mut self, row: iem_postgres::User) {
        let strength = self.strength;
        let checked = user(row, &self.directory).and_then(|user| match strength {
            Strength::Any => Ok(user),
            Strength::Strong => match rules::check_strength(&user) {
                Ok(()) => Ok(user),
                Err(fault) => Err((user.email.to_string(), fault)),
            },
        });
        match checked {
            Ok(user) => {
                self.faults.note(Kind::User, &user.email, None);
                self.directory.set_user(Arc::new(user));
            }
            Err((email, fault)) => {
                self.directory.remove_user(&email);
                self.faults.note(Kind::User, &email, Some(fault));
            }
        }
    }

    pub(super) fn remove_user(&mut self, email: &str) {
        self.directory.remove_user(email);
        self.faults.note(Kind::User, email, None);
    }
}

/// The key of an entry that breaks a rule, and how.
type Fault = (String, String);

fn customer(row: iem_postgres::Customer) -> Result<Customer, Fault> {
    if let Err(fault) = rules::check_id("customer id", &row.id) {
        return Err((row.id, fault));
    }
    let mut integrations = HashMap::with_capacity(row.integrations.len());
    for iem_postgres::Integration { id, states } in row.integrations {
        let states = rules::check_id("integration id", &id).and_then(|()| rules::states(states));
        let states = match states {
            Ok(states) => states,
            Err(fault) => {
                let fault = format!("integration {id:?} of customer {:?}: {fault}", row.id);
                return Err((row.id, fault));
            }
        };
        let integration = Integration {
            id: id.clone(),
            states,
        };
        integrations.insert(id, Arc::new(integration));
    }
    Ok(Customer {
        id: row.id.into(),
        name: row.name,
        active: row.active,
        quota: CustomerQuota {
            records: row.records,
            bytes: row.bytes,
        },
        integrations,
    })
}

/// A customer who was left out may be mended before the user is read again: the id stays.
fn user(row: iem_postgres::User, known: &Directory) -> Result<User, Fault> {
    let hash = row.password.as_deref();
    let password = rules::check_email(&row.email).and_then(|()| {
        hash.map(|hash| rules::password(&row.email, hash))
            .transpose()
    });
    let password = match password {
        Ok(password) => password,
        Err(fault) => return Err((row.email, fault)),
    };
    let customers = row
        .customers
        .into_iter()
        .map(|id| match known.customer(&id) {
            Some(customer) => Arc::clone(&customer.id),
            None => id.into(),
        });
    Ok(User {
        email: row.email.into(),
        name: row.name,
        superadmin: row.superadmin,
        organization: row.organization,
        enabled: row.enabled,
        password_version: PasswordVersion::of(password.as_ref()),
        password,
        customers: rules::associations(customers.collect()),
    })
}

/// Returns the rows of a directory.
pub(super) fn contents(directory: &Directory) -> Contents {
    let customers = directory.customers().iter().map(|customer| {
        let integrations = customer.integrations().into_iter();
        iem_postgres::Customer {
            id: customer.id.to_string(),
            name: customer.name.clone(),
            active: customer.active,
            records: customer.quota.records,
            bytes: customer.quota.bytes,
            integrations: integrations
                .map(|integration| iem_postgres::Integration {
                    id: integration.id.clone(),
                    states: Some(states(&integration.states)),
                })
                .collect(),
        }
    });
    let users = directory
        .users()
        .into_iter()
        .map(|user| iem_postgres::User {
            email: user.email.to_string(),
            name: user.name.clone(),
            password: user.password().map(|hash| hash.as_str().to_owned()),
            superadmin: user.superadmin,
            organization: user.organization,
            enabled: user.enabled,
            customers: user.customers().iter().map(ToString::to_string).collect(),
        });
    Contents {
        customers: customers.collect(),
        users: users.collect(),
    }
}

/// Checks that the database can hold the rows of a directory. Its own errors would not name the entry.
pub(super) fn check_import(contents: &Contents) -> Result<(), String> {
    for iem_postgres::Customer {
        id,
        name,
        integrations,
        ..
    } in &contents.customers
    {
        check_length("customer id", id)?;
        check_text(format_args!("name of customer {id:?}"), name)?;
        for integration in integrations {
            check_length("integration id", &integration.id)?;
            for (number, name) in integration.states.iter().flatten() {
                let integration = &integration.id;
                let what = format_args!(
                    "name of state {number} of integration {integration:?} of customer {id:?}"
                );
                check_text(what, name)?;
            }
        }
    }
    let mut users = contents.users.iter();
    users.try_for_each(|user| check_text(format_args!("name of user {:?}", user.email), &user.name))
}

fn check_length(what: &str, id: &str) -> Result<(), String> {
    if id.len() > ID_BYTES_MAX {
        return Err(format!(
            "{what} {id:?} is longer than {ID_BYTES_MAX} bytes, the most that a database takes"
        ));
    }
    Ok(())
}

fn check_text(what: fmt::Arguments<'_>, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err(format!(
            "{what} has a NUL character, which a database does not take"
        ));
    }
    Ok(())
}

/// Returns the names of states by the text of their numbers.
pub(super) fn states(states: &[(i64, String)]) -> Vec<(String, String)> {
    states
        .iter()
        .map(|(number, name)| (number.to_string(), name.clone()))
        .collect()
}
