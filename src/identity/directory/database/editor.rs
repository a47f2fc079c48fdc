//! The changes of the directory's commands, made to a database.

use iem_postgres::{Edit, Error, Integration, User};
use tokio::runtime::Runtime;

use super::entries;
use crate::identity::directory::customer_quota::CustomerQuota;
use crate::identity::directory::edit::{
    Done, EditError, Editor, NewUser, Refusal, Removed, check_states,
};
use crate::identity::directory::error::DirectoryError;
use crate::identity::directory::rules;
use crate::identity::password::PasswordHash;

/// Makes changes in a transaction, and notes them for the audit log. Blocks.
pub(super) struct DatabaseEditor<'e> {
    runtime: &'e Runtime,
    edit: Edit<'e>,
    place: String,
    changes: Vec<String>,
}

impl<'e> DatabaseEditor<'e> {
    pub(super) fn new(runtime: &'e Runtime, edit: Edit<'e>, place: String) -> Self {
        Self {
            runtime,
            edit,
            place,
            changes: Vec::new(),
        }
    }

    /// Returns the transaction, and what was changed in it.
    pub(super) fn into_parts(self) -> (Edit<'e>, Vec<String>) {
        (self.edit, self.changes)
    }

    fn run<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Done<T> {
        let done = self.runtime.block_on(work);
        done.map_err(|error| EditError::Database(DirectoryError::of_database(&self.place, &error)))
    }

    /// Makes a change that needs an entry, and notes it.
    fn change(
        &mut self,
        work: impl AsyncFnOnce(&Edit<'e>) -> Result<bool, Error>,
        note: impl FnOnce() -> String,
        missing: impl FnOnce() -> Refusal,
    ) -> Done {
        if !self.run(work(&self.edit))? {
            return Err(missing().into());
        }
        self.changes.push(note());
        Ok(())
    }

    fn check_customer(&self, id: &str) -> Done {
        if self.run(self.edit.has_customer(id))? {
            Ok(())
        } else {
            Err(Refusal::no_customer(id).into())
        }
    }
}

impl Editor for DatabaseEditor<'_> {
    fn add_customer(&mut self, id: &str, name: &str) -> Done {
        rules::check_id("customer id", id).map_err(Refusal)?;
        self.change(
            async |edit| edit.add_customer(id, name).await,
            || format!("customer {id} added"),
            || Refusal::customer_exists(id),
        )
    }

    fn set_customer_active(&mut self, id: &str, active: bool) -> Done {
        let change = if active { "activated" } else { "deactivated" };
        self.change(
            async |edit| edit.set_customer_active(id, active).await,
            || format!("customer {id} {change}"),
            || Refusal::no_customer(id),
        )
    }

    fn set_quota(&mut self, id: &str, records: Option<u32>, bytes: Option<&str>) -> Done {
        let bytes = bytes.map(CustomerQuota::parse_bytes).transpose();
        let bytes = bytes.map_err(Refusal)?;
        self.change(
            async |edit| edit.set_quota(id, records, bytes).await,
            || format!("customer {id} has another quota"),
            || Refusal::no_customer(id),
        )
    }

    fn remove_customer(&mut self, id: &str) -> Done<Removed> {
        let removed = self.run(self.edit.remove_customer(id))?;
        let removed = removed.ok_or_else(|| Refusal::no_customer(id))?;
        self.changes.push(format!("customer {id} removed"));
        Ok(Removed {
            integrations: removed.integrations,
            associations: removed.associations,
        })
    }

    fn check_new_user(&mut self, email: &str, customers: &[String]) -> Done {
        if self.run(self.edit.has_user(email))? {
            return Err(Refusal::user_exists(email).into());
        }
        customers.iter().try_for_each(|id| self.check_customer(id))
    }

    fn add_user(&mut self, user: NewUser) -> Done {
        self.check_new_user(&user.email, &user.customers)?;
        rules::check_email(&user.email).map_err(Refusal)?;
        let row = User {
            email: user.email,
            name: user.name,
            password: user.password.map(|hash| hash.as_str().to_owned()),
            superadmin: user.superadmin,
            organization: user.organization,
            enabled: true,
            customers: user.customers,
        };
        self.change(
            async |edit| edit.add_user(&row).await,
            || format!("user {} added", row.email),
            || Refusal::user_exists(&row.email),
        )
    }

    fn check_user(&mut self, email: &str) -> Done {
        if self.run(self.edit.has_user(email))? {
            Ok(())
        } else {
            Err(Refusal::no_user(email).into())
        }
    }

    fn set_password(&mut self, email: &str, password: &PasswordHash) -> Done {
        self.change(
            async |edit| edit.set_password(email, password.as_str()).await,
            || format!("user {email} has another password"),
            || Refusal::no_user(email),
        )
    }

    fn set_user_enabled(&mut self, email: &str, enabled: bool) -> Done {
        let change = if enabled { "enabled" } else { "disabled" };
        self.change(
            async |edit| edit.set_user_enabled(email, enabled).await,
            || format!("user {email} {change}"),
            || Refusal::no_user(email),
        )
    }

    fn grant(&mut self, email: &str, id: &str) -> Done<bool> {
        self.check_customer(id)?;
        self.check_user(email)?;
        let is_new = self.run(self.edit.grant(email, id))?;
        if is_new {
            self.changes
                .push(format!("user {email} is associated with other customers"));
        }
        Ok(is_new)
    }

    fn revoke(&mut self, email: &str, id: &str) -> Done<bool> {
        self.check_user(email)?;
        let was_there = self.run(self.edit.revoke(email, id))?;
        if was_there {
            self.changes
                .push(format!("user {email} is associated with other customers"));
        }
        Ok(was_there)
    }

    fn remove_user(&mut self, email: &str) -> Done {
        self.change(
            async |edit| edit.remove_user(email).await,
            || format!("user {email} removed"),
            || Refusal::no_user(email),
        )
    }

    fn add_integration(&mut self, customer: &str, id: &str, states: &[(i64, String)]) -> Done {
        self.check_customer(customer)?;
        check_states(states)?;
        rules::check_id("integration id", id).map_err(Refusal)?;
        let integration = Integration {
            id: id.to_owned(),
            states: (!states.is_empty()).then(|| entries::states(states)),
        };
        self.change(
            async |edit| edit.add_integration(customer, &integration).await,
            || format!("customer {customer} has other integrations"),
            || Refusal::integration_exists(customer, id),
        )
    }

    fn remove_integration(&mut self, customer: &str, id: &str) -> Done {
        self.change(
            async |edit| edit.remove_integration(customer, id).await,
            || format!("customer {customer} has other integrations"),
            || Refusal::no_integration(customer, id),
        )
    }
}
