//! Reads the directory: all of it, or what has changed.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt, TryStreamExt};
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use crate::connection::{ANSWER_MAX, Connection, Parameter, SIZES, count, within};
use crate::error::Error;
use crate::rows::{Customer, Integration, User};

/// Changed customers and users that are read one by one; with more, everything is read.
const CHANGES_MAX: usize = 50_000;

/// The longest wait for the number of entries.
const COUNT_MAX: Duration = Duration::from_secs(30);

const CUSTOMERS: &str = "SELECT id, name, active, quotas.records, quotas.bytes
    FROM iem_gateway.customers LEFT JOIN iem_gateway.quotas ON quotas.customer = customers.id";
const INTEGRATIONS: &str = "SELECT customer, id, states::text FROM iem_gateway.integrations";
const USERS: &str = "SELECT email, name, password, superadmin, organization, enabled
    FROM iem_gateway.users";
const ASSOCIATIONS: &str = "SELECT email, customer FROM iem_gateway.associations";

/// The number of changes, and the mark of the last one: a database that was restored counts the same
/// numbers again, with other marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// The number of changes.
    pub number: i64,
    /// The mark; empty for what comes from no database.
    pub mark: String,
}

/// The revisions of all that gateways follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revisions {
    /// Customers and users.
    pub directory: Revision,
    /// Ended sessions and used refresh tokens.
    pub sessions: Revision,
    /// Failed log-ins.
    pub failures: Revision,
}

/// The changes since a revision. Of an entry that is gone there is the key alone.
#[derive(Debug)]
pub enum Changes {
    /// These.
    Some {
        /// Customers by their id.
        customers: Vec<(String, Option<Customer>)>,
        /// Users by their email.
        users: Vec<(String, Option<User>)>,
    },
    /// Too much to tell, or it is not known any longer: everything has to be read.
    All,
}

impl Connection {
    /// Returns how often the database has changed. Cheap.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn revisions(&self) -> Result<Revisions, Error> {
        within(ANSWER_MAX, async {
            revisions(&self.client.query_typed(REVISIONS, &[]).await?)
        })
        .await
    }

    /// Reads everything. `begin` is called with about how many customers and users there are, then
    /// `customer` for each, `association` for each with the user's email and the customer's id, and
    /// `user` for each, without associations.
    ///
    /// # Errors
    /// See [`Error`]; what was read until then is of no use.
    pub async fn read_all<T>(
        &mut self,
        begin: impl FnOnce(usize, usize) -> T,
        customer: impl Fn(&mut T, Customer),
        association: impl Fn(&mut T, String, String),
        user: impl Fn(&mut T, User),
    ) -> Result<(Revisions, T), Error> {
        let transaction = self.read_only().await?;
        let (found, sizes) = within(COUNT_MAX, async {
            let found = revisions(&transaction.query_typed(REVISIONS, &[]).await?)?;
            Ok((found, transaction.query_typed_one(SIZES, &[]).await?))
        })
        .await?;
        let mut into = begin(count(&sizes, 0)?, count(&sizes, 1)?);

        let mut integrations = Groups::default();
        each(&transaction, INTEGRATIONS, &[], |row| {
            integrations.add(row.try_get(0)?, integration(row)?);
            Ok(())
        })
        .await?;
        each(&transaction, CUSTOMERS, &[], |row| {
            customer(&mut into, read_customer(row, &mut integrations)?);
            Ok(())
        })
        .await?;
        drop(integrations);
        each(&transaction, ASSOCIATIONS, &[], |row| {
            association(&mut into, row.try_get(0)?, row.try_get(1)?);
            Ok(())
        })
        .await?;
        let mut none = Groups::default();
        each(&transaction, USERS, &[], |row| {
            user(&mut into, read_user(row, &mut none)?);
            Ok(())
        })
        .await?;
        within(ANSWER_MAX, async { Ok(transaction.commit().await?) }).await?;
        Ok((found, into))
    }

    /// Reads the customers and users that have changed since a revision of the directory.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read_changes(&mut self, since: &Revision) -> Result<(Revisions, Changes), Error> {
        let transaction = self.read_only().await?;
        let found = within(ANSWER_MAX, async {
            revisions(&transaction.query_typed(REVISIONS, &[]).await?)
        })
        .await?;
        let changes = changes(&transaction, since, found.directory.number).await?;
        within(ANSWER_MAX, async { Ok(transaction.commit().await?) }).await?;
        Ok((found, changes))
    }

    /// Begins a transaction that sees the database as it is now.
    pub(crate) async fn read_only(&mut self) -> Result<Transaction<'_>, Error> {
        let begin = self
            .client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        within(ANSWER_MAX, async { Ok(begin.await?) }).await
    }
}

const REVISIONS: &str = "SELECT name, revision, mark::text FROM iem_gateway.revisions";

fn revisions(rows: &[Row]) -> Result<Revisions, Error> {
    let mut revisions = Revisions::default();
    for row in rows {
        let revision = Revision {
            number: row.try_get(1)?,
            mark: row.try_get(2)?,
        };
        match row.try_get(0)? {
            "directory" => revisions.directory = revision,
            "sessions" => revisions.sessions = revision,
            "failures" => revisions.failures = revision,
            _ => {}
        }
    }
    Ok(revisions)
}

/// Returns whether the database has come from this revision to what it is now.
pub(crate) async fn is_known(
    transaction: &Transaction<'_>,
    name: &str,
    revision: &Revision,
) -> Result<bool, Error> {
    let find = "SELECT 1 FROM iem_gateway.marks
        WHERE name = $1 AND revision = $2 AND mark::text = $3";
    let parameters: [Parameter<'_>; 3] = [
        (&name, Type::TEXT),
        (&revision.number, Type::INT8),
        (&revision.mark, Type::TEXT),
    ];
    within(ANSWER_MAX, async {
        let found = transaction.query_typed_opt(find, &parameters).await?;
        Ok(found.is_some())
    })
    .await
}

/// Returns the changes since a revision until another one.
async fn changes(
    transaction: &Transaction<'_>,
    since: &Revision,
    until: i64,
) -> Result<Changes, Error> {
    if !is_known(transaction, "directory", since).await? {
        return Ok(Changes::All);
    }
    let noted = "SELECT revision, kind, key FROM iem_gateway.changes WHERE revision > $1
        ORDER BY revision LIMIT $2";
    let limit = i64::try_from(CHANGES_MAX + 1).unwrap_or(i64::MAX);
    let parameters: [Parameter<'_>; 2] = [(&since.number, Type::INT8), (&limit, Type::INT8)];
    let (mut customers, mut users) = (BTreeSet::new(), BTreeSet::new());
    let (mut rows, mut is_all) = (0, false);
    let mut last = since.number;
    each(transaction, noted, &parameters, |row| {
        // Each revision has a note; somebody may have deleted some.
        let revision = row.try_get(0)?;
        is_all |= revision > last + 1;
        last = revision;
        rows += 1;
        let key: String = row.try_get(2)?;
        match row.try_get(1)? {
            "customer" => customers.insert(key),
            "user" => users.insert(key),
            _ => {
                // What it was is not known.
                is_all = true;
                false
            }
        };
        Ok(())
    })
    .await?;
    if is_all || last < until || rows > CHANGES_MAX {
        return Ok(Changes::All);
    }
    let customers = customers.into_iter().collect();
    let users = users.into_iter().collect();
    Ok(Changes::Some {
        customers: read_customers(transaction, customers).await?,
        users: read_users(transaction, users).await?,
    })
}

async fn read_customers(
    transaction: &Transaction<'_>,
    ids: Vec<String>,
) -> Result<Vec<(String, Option<Customer>)>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let parameters: [Parameter<'_>; 1] = [(&ids, Type::TEXT_ARRAY)];
    let mut integrations = Groups::default();
    let of_these = format!("{INTEGRATIONS} WHERE customer = ANY($1)");
    each(transaction, &of_these, &parameters, |row| {
        integrations.add(row.try_get(0)?, integration(row)?);
        Ok(())
    })
    .await?;
    let mut found = HashMap::new();
    let these = format!("{CUSTOMERS} WHERE id = ANY($1)");
    each(transaction, &these, &parameters, |row| {
        let customer = read_customer(row, &mut integrations)?;
        found.insert(customer.id.clone(), customer);
        Ok(())
    })
    .await?;
    Ok(by_key(ids, found))
}

async fn read_users(
    transaction: &Transaction<'_>,
    emails: Vec<String>,
) -> Result<Vec<(String, Option<User>)>, Error> {
    if emails.is_empty() {
        return Ok(Vec::new());
    }
    let parameters: [Parameter<'_>; 1] = [(&emails, Type::TEXT_ARRAY)];
    let mut associations = Groups::default();
    let of_these = format!("{ASSOCIATIONS} WHERE email = ANY($1)");
    each(transaction, &of_these, &parameters, |row| {
        associations.add(row.try_get(0)?, row.try_get(1)?);
        Ok(())
    })
    .await?;
    let mut found = HashMap::new();
    let these = format!("{USERS} WHERE email = ANY($1)");
    each(transaction, &these, &parameters, |row| {
        let user = read_user(row, &mut associations)?;
        found.insert(user.email.clone(), user);
        Ok(())
    })
    .await?;
    Ok(by_key(emails, found))
}

/// Returns for each key what was found.
fn by_key<T>(keys: Vec<String>, mut found: HashMap<String, T>) -> Vec<(String, Option<T>)> {
    let with_keys = keys.into_iter().map(|key| {
        let entry = found.remove(&key);
        (key, entry)
    });
    with_keys.collect()
}

/// Calls `take` with each row of a query, as it comes.
pub(crate) async fn each(
    transaction: &Transaction<'_>,
    query: &str,
    parameters: &[Parameter<'_>],
    mut take: impl FnMut(&Row) -> Result<(), Error>,
) -> Result<(), Error> {
    let parameters = parameters
        .iter()
        .map(|(value, of_type)| (*value, of_type.clone()));
    let rows = transaction.query_typed_raw(query, parameters);
    let rows = within(ANSWER_MAX, async { Ok(rows.await?) }).await?;
    let mut rows = pin!(rows);
    loop {
        // Most rows are there: a timer for each would cost as much as the row.
        let next = match rows.try_next().now_or_never() {
            Some(next) => next?,
            None => within(ANSWER_MAX, async { Ok(rows.try_next().await?) }).await?,
        };
        match next {
            Some(row) => take(&row)?,
            None => return Ok(()),
        }
    }
}

/// The rows of one table, by their entry of another.
struct Groups<T>(HashMap<String, Vec<T>>);

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Groups<T> {
    fn add(&mut self, key: String, row: T) {
        self.0.entry(key).or_default().push(row);
    }

    fn take(&mut self, key: &str) -> Vec<T> {
        self.0.remove(key).unwrap_or_default()
    }
}

fn read_customer(row: &Row, integrations: &mut Groups<Integration>) -> Result<Customer, Error> {
    let id: String = row.try_get(0)?;
    let rate = |column| -> Result<Option<u32>, Error> {
        let rate: Option<i64> = row.try_get(column)?;
        Ok(rate.map(|rate| u32::try_from(rate).unwrap_or(u32::MAX)))
    };
    Ok(Customer {
        name: row.try_get(1)?,
        active: row.try_get(2)?,
        records: rate(3)?,
        bytes: rate(4)?,
        integrations: integrations.take(&id),
        id,
    })
}

fn integration(row: &Row) -> Result<Integration, Error> {
    let id: String = row.try_get(1)?;
    let states: Option<&str> = row.try_get(2)?;
    let states: Option<HashMap<String, Value>> =
        states.map(|states| serde_json::from_str(states).unwrap_or_default());
    // What is no name is an empty one, which whoever checks the entry refuses.
    let name = |value: Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Integration {
        states: states.map(|states| {
            states
                .into_iter()
                .map(|(number, value)| (number, name(value)))
                .collect()
        }),
        id,
    })
}

fn read_user(row: &Row, associations: &mut Groups<String>) -> Result<User, Error> {
    let email: String = row.try_get(0)?;
    Ok(User {
        name: row.try_get(1)?,
        password: row.try_get(2)?,
        superadmin: row.try_get(3)?,
        organization: row.try_get(4)?,
        enabled: row.try_get(5)?,
        customers: associations.take(&email),
        email,
    })
}
