//! Changes the directory: one editor at a time, all or nothing.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Transaction};

use crate::connection::{ANSWER_MAX, Connection, Parameter, count, within};
use crate::error::Error;
use crate::rows::{Customer, Integration, User};

/// Rows that one statement of an import has.
const ROWS_AT_ONCE: usize = 10_000;

/// The longest wait for the end of a change: that of an import checks every association.
const COMMIT_MAX: Duration = Duration::from_mins(2);

/// A change that is under way. Nothing has changed until it is committed.
///
/// The methods return whether the entry was there, or was not there yet, and change nothing
/// otherwise.
pub struct Edit<'c>(Transaction<'c>);

/// The entries that were removed with a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its integrations.
    pub integrations: usize,
    /// Users who were associated with it.
    pub associations: usize,
}

/// A whole directory.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// All customers.
    pub customers: Vec<Customer>,
    /// All users.
    pub users: Vec<User>,
}

impl Connection {
    /// Begins a change in the name of `actor`, who is noted with it. Waits for other editors.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn edit(&mut self, actor: &str) -> Result<Edit<'_>, Error> {
        let begin = async {
            let edit = Edit(self.client.transaction().await?);
            // One that is gone keeps nobody waiting.
            let set = "SELECT set_config('iem_gateway.actor', $1, true),
                set_config('lock_timeout', '3s', true),
                set_config('idle_in_transaction_session_timeout', '30s', true)";
            edit.row(set, &[(&actor, Type::TEXT)]).await?;
            // Who waits here cannot wait for rows that another editor has.
            let lock = "SELECT 1 FROM iem_gateway.revisions WHERE name = 'directory' FOR UPDATE";
            edit.row(lock, &[]).await?;
            Ok(edit)
        };
        within(ANSWER_MAX, begin).await
    }
}

impl Edit<'_> {
    /// Makes the change.
    ///
    /// # Errors
    /// See [`Error`]. If the database does not answer, the change may have been made.
    pub async fn commit(self) -> Result<(), Error> {
        within(COMMIT_MAX, async { Ok(self.0.commit().await?) }).await
    }

    /// Adds an active customer without integrations.
    pub async fn add_customer(&self, id: &str, name: &str) -> Result<bool, Error> {
        let add = "INSERT INTO iem_gateway.customers (id, name) VALUES ($1, $2)
            ON CONFLICT DO NOTHING";
        self.has_changed(add, &[(&id, Type::TEXT), (&name, Type::TEXT)])
            .await
    }

    /// Returns whether there is a customer with this id.
    pub async fn has_customer(&self, id: &str) -> Result<bool, Error> {
        let find = "SELECT 1 FROM iem_gateway.customers WHERE id = $1";
        Ok(self.row(find, &[(&id, Type::TEXT)]).await?.is_some())
    }

    /// Activates or deactivates a customer.
    pub async fn set_customer_active(&self, id: &str, active: bool) -> Result<bool, Error> {
        let set = "UPDATE iem_gateway.customers SET active = $2 WHERE id = $1";
        self.has_changed(set, &[(&id, Type::TEXT), (&active, Type::BOOL)])
            .await
    }

    /// Gives a customer a quota of its own; `None` leaves a rate as all customers have it.
    pub async fn set_quota(
        &self,
        id: &str,
        records: Option<u32>,
        bytes: Option<u32>,
    ) -> Result<bool, Error> {
        let set = "INSERT INTO iem_gateway.quotas (customer, records, bytes)
            SELECT id, $2, $3 FROM iem_gateway.customers WHERE id = $1
            ON CONFLICT (customer) DO UPDATE
                SET records = excluded.records, bytes = excluded.bytes";
        let (records, bytes) = (records.map(i64::from), bytes.map(i64::from));
        self.has_changed(
            set,
            &[
                (&id, Type::TEXT),
                (&records, Type::INT8),
                (&bytes, Type::INT8),
            ],
        )
        .await
    }

    /// Removes a customer, and with it its integrations and associations.
    pub async fn remove_customer(&self, id: &str) -> Result<Option<Removed>, Error> {
        let sizes = "SELECT
            (SELECT count(*) FROM iem_gateway.integrations WHERE customer = $1),
            (SELECT count(*) FROM iem_gateway.associations WHERE customer = $1)";
        let sizes = self.0.query_typed_one(sizes, &[(&id, Type::TEXT)]).await?;
        let removed = Removed {
            integrations: count(&sizes, 0)?,
            associations: count(&sizes, 1)?,
        };
        let remove = "DELETE FROM iem_gateway.customers WHERE id = $1";
        let was_there = self.has_changed(remove, &[(&id, Type::TEXT)]).await?;
        Ok(was_there.then_some(removed))
    }

    /// Returns whether there is a user with this email.
    pub async fn has_user(&self, email: &str) -> Result<bool, Error> {
        let find = "SELECT 1 FROM iem_gateway.users WHERE email = $1";
        Ok(self.row(find, &[(&email, Type::TEXT)]).await?.is_some())
    }

    /// Adds a user, whose customers have to be there.
    pub async fn add_user(&self, user: &User) -> Result<bool, Error> {
        if self.has_user(&user.email).await? {
            return Ok(false);
        }
        self.insert_users(std::slice::from_ref(user)).await?;
        Ok(true)
    }

    /// Sets the hash of another password.
    pub async fn set_password(&self, email: &str, password: &str) -> Result<bool, Error> {
        let set = "UPDATE iem_gateway.users SET password = $2 WHERE email = $1";
        self.has_changed(set, &[(&email, Type::TEXT), (&password, Type::TEXT)])
            .await
    }

    /// Enables or disables a user.
    pub async fn set_user_enabled(&self, email: &str, enabled: bool) -> Result<bool, Error> {
        let set = "UPDATE iem_gateway.users SET enabled = $2 WHERE email = $1";
        self.has_changed(set, &[(&email, Type::TEXT), (&enabled, Type::BOOL)])
            .await
    }

    /// Associates a user with a customer, both of whom have to be there.
    pub async fn grant(&self, email: &str, customer: &str) -> Result<bool, Error> {
        let add = "INSERT INTO iem_gateway.associations (email, customer) VALUES ($1, $2)
            ON CONFLICT DO NOTHING";
        self.has_changed(add, &[(&email, Type::TEXT), (&customer, Type::TEXT)])
            .await
    }

    /// Ends a user's association with a customer.
    pub async fn revoke(&self, email: &str, customer: &str) -> Result<bool, Error> {
        let remove = "DELETE FROM iem_gateway.associations WHERE email = $1 AND customer = $2";
        self.has_changed(remove, &[(&email, Type::TEXT), (&customer, Type::TEXT)])
            .await
    }

    /// Removes a user.
    pub async fn remove_user(&self, email: &str) -> Result<bool, Error> {
        let remove = "DELETE FROM iem_gateway.users WHERE email = $1";
        self.has_changed(remove, &[(&email, Type::TEXT)]).await
    }

    /// Adds an integration to a customer, who has to be there.
    pub async fn add_integration(
        &self,
        customer: &str,
        integration: &Integration,
    ) -> Result<bool, Error> {
        let rows = [(customer.to_owned(), integration)];
        Ok(self.insert_integrations(&rows).await? > 0)
    }

    /// Removes an integration.
    pub async fn remove_integration(&self, customer: &str, id: &str) -> Result<bool, Error> {
        let remove = "DELETE FROM iem_gateway.integrations WHERE customer = $1 AND id = $2";
        self.has_changed(remove, &[(&customer, Type::TEXT), (&id, Type::TEXT)])
            .await
    }

    /// Returns whether there is neither a customer nor a user.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        let find = "SELECT 1 FROM iem_gateway.customers UNION ALL
            SELECT 1 FROM iem_gateway.users LIMIT 1";
        Ok(self.row(find, &[]).await?.is_none())
    }

    /// Puts `contents` in the place of all there is. Gateways read everything anew.
    pub async fn replace(&self, contents: &Contents) -> Result<(), Error> {
        let bulk = "SELECT set_config('iem_gateway.bulk', 'on', true)";
        self.row(bulk, &[]).await?;
        self.0
            .batch_execute("DELETE FROM iem_gateway.users; DELETE FROM iem_gateway.customers")
            .await?;
        for customers in contents.customers.chunks(ROWS_AT_ONCE) {
            self.insert_customers(customers).await?;
        }
        for users in contents.users.chunks(ROWS_AT_ONCE) {
            self.insert_users(users).await?;
        }
        Ok(())
    }

    async fn insert_customers(&self, customers: &[Customer]) -> Result<(), Error> {
        let (mut ids, mut names, mut active) = (Vec::new(), Vec::new(), Vec::new());
        let (mut limited, mut records, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let mut integrations = Vec::new();
        for customer in customers {
            ids.push(&*customer.id);
            names.push(&*customer.name);
            active.push(customer.active);
            if customer.records.is_some() || customer.bytes.is_some() {
                limited.push(&*customer.id);
                records.push(customer.records.map(i64::from));
                bytes.push(customer.bytes.map(i64::from));
            }
            let of_customer = customer.integrations.iter();
            integrations.extend(of_customer.map(|one| (customer.id.clone(), one)));
        }
        self.execute(
            "INSERT INTO iem_gateway.customers (id, name, active)
                SELECT * FROM unnest($1, $2, $3)",
            &[
                (&ids, Type::TEXT_ARRAY),
                (&names, Type::TEXT_ARRAY),
                (&active, Type::BOOL_ARRAY),
            ],
        )
        .await?;
        self.execute(
            "INSERT INTO iem_gateway.quotas (customer, records, bytes)
                SELECT * FROM unnest($1, $2, $3)",
            &[
                (&limited, Type::TEXT_ARRAY),
                (&records, Type::INT8_ARRAY),
                (&bytes, Type::INT8_ARRAY),
            ],
        )
        .await?;
        for integrations in integrations.chunks(ROWS_AT_ONCE) {
            self.insert_integrations(integrations).await?;
        }
        Ok(())
    }

    async fn insert_integrations(&self, rows: &[(String, &Integration)]) -> Result<u64, Error> {
        let (mut customers, mut ids, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for (customer, integration) in rows {
            customers.push(&**customer);
            ids.push(&*integration.id);
            let names = integration.states.as_ref().map(|states| {
                let names = states.iter();
                let names = names.map(|(number, name)| (number.clone(), Value::from(&**name)));
                Value::Object(names.collect()).to_string()
            });
            states.push(names);
        }
        self.execute(
            "INSERT INTO iem_gateway.integrations (customer, id, states)
                SELECT customer, id, states::jsonb
                FROM unnest($1, $2, $3) AS rows (customer, id, states)
                ON CONFLICT DO NOTHING",
            &[
                (&customers, Type::TEXT_ARRAY),
                (&ids, Type::TEXT_ARRAY),
                (&states, Type::TEXT_ARRAY),
            ],
        )
        .await
    }

    async fn insert_users(&self, users: &[User]) -> Result<(), Error> {
        let column = |of: fn(&User) -> &str| users.iter().map(of).collect::<Vec<_>>();
        let passwords: Vec<_> = users.iter().map(|user| user.password.as_deref()).collect();
        let flag = |of: fn(&User) -> bool| users.iter().map(of).collect::<Vec<_>>();
        self.execute(
            "INSERT INTO iem_gateway.users
                    (email, name, password, superadmin, organization, enabled)
                SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
            &[
                (&column(|user| &user.email), Type::TEXT_ARRAY),
                (&column(|user| &user.name), Type::TEXT_ARRAY),
                (&passwords, Type::TEXT_ARRAY),
                (&flag(|user| user.superadmin), Type::BOOL_ARRAY),
                (&flag(|user| user.organization), Type::BOOL_ARRAY),
                (&flag(|user| user.enabled), Type::BOOL_ARRAY),
            ],
        )
        .await?;
        let pairs = users.iter().flat_map(|user| {
            let customers = user.customers.iter();
            customers.map(|customer| (&*user.email, &**customer))
        });
        let (emails, customers): (Vec<_>, Vec<_>) = pairs.unzip();
        self.execute(
            "INSERT INTO iem_gateway.associations (email, customer)
                SELECT * FROM unnest($1, $2) ON CONFLICT DO NOTHING",
            &[(&emails, Type::TEXT_ARRAY), (&customers, Type::TEXT_ARRAY)],
        )
        .await?;
        Ok(())
    }

    async fn row(&self, query: &str, parameters: &[Parameter<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.0.query_typed_opt(query, parameters).await?)
    }

    async fn has_changed(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<bool, Error> {
        Ok(self.execute(statement, parameters).await? > 0)
    }

    async fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, Error> {
        Ok(self.0.execute_typed(statement, parameters).await?)
    }
}
