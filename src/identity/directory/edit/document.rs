//! The directory file as an editable document, and the changes that can be made to it.

use std::fmt;
use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use super::editor::{Done, Editor, NewUser, Removed, check_states};
use super::refusal::Refusal;
use crate::identity::directory::error::DirectoryError;
use crate::identity::password::PasswordHash;

/// The directory file as a document that keeps its comments.
#[derive(Debug)]
pub struct Document {
    /// Comments at the start that belong to no entry: they stay when the first entry goes.
    preface: String,
    tables: DocumentMut,
}

impl Document {
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, DirectoryError> {
        let (preface, tables) = text.split_at(preface_length(text));
        let tables = tables.parse().map_err(|error: toml_edit::TomlError| {
            let line = error
                .span()
                .map(|span| 1 + text[..preface.len() + span.start].matches('\n').count());
            DirectoryError::in_line(path, line, error.message().to_owned())
        })?;
        let mut preface = preface.to_owned();
        if !preface.is_empty() && !preface.ends_with('\n') {
            preface.push('\n');
        }
        Ok(Self { preface, tables })
    }

    fn find_customer(&mut self, id: &str) -> Done<&mut Table> {
        let found = self
            .tables("customer")?
            .iter_mut()
            .find(|table| has(table, "id", id));
        found.ok_or_else(|| Refusal::no_customer(id).into())
    }

    fn find_user(&mut self, email: &str) -> Done<&mut Table> {
        let found = self
            .tables("user")?
            .iter_mut()
            .find(|table| has(table, "email", email));
        found.ok_or_else(|| Refusal::no_user(email).into())
    }

    /// Returns the tables of one kind, `[[kind]]`. An array of inline tables, which means the same,
    /// becomes such tables.
    fn tables(&mut self, kind: &str) -> Done<&mut ArrayOfTables> {
        let item = self
            .tables
            .entry(kind)
            .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if item.as_array().is_some_and(Array::is_empty) {
            *item = Item::ArrayOfTables(ArrayOfTables::new());
        } else if item.is_value() {
            let tables = std::mem::take(item).into_array_of_tables();
            *item = tables.map_or_else(|other| other, Item::ArrayOfTables);
        }
        item.as_array_of_tables_mut()
            .ok_or_else(|| Refusal(format!("`{kind}` is not a list of tables")).into())
    }
}

impl Editor for Document {
    fn add_customer(&mut self, id: &str, name: &str) -> Done {
        if self.find_customer(id).is_ok() {
            return Err(Refusal::customer_exists(id).into());
        }
        let mut table = Table::new();
        table.insert("id", value(id));
        table.insert("name", value(name));
        self.tables("customer")?.push(table);
        Ok(())
    }

    fn set_customer_active(&mut self, id: &str, active: bool) -> Done {
        set(self.find_customer(id)?, "active", active.into());
        Ok(())
    }

    fn set_quota(&mut self, id: &str, records: Option<u32>, bytes: Option<&str>) -> Done {
        let customer = self.find_customer(id)?;
        customer.remove("quota");
        let mut quota = InlineTable::new();
        quota.extend(records.map(|records| ("records", Value::from(i64::from(records)))));
        quota.extend(bytes.map(|bytes| ("bytes", Value::from(bytes))));
        if !quota.is_empty() {
            customer.insert("quota", value(quota));
        }
        Ok(())
    }

    fn remove_customer(&mut self, id: &str) -> Done<Removed> {
        self.find_customer(id)?;
        remove_where(self.tables("customer")?, |customer| has(customer, "id", id));
        let integrations = remove_where(self.tables("integration")?, |table| {
            has(table, "customer", id)
        });
        let mut associations = 0;
        for user in self.tables("user")?.iter_mut() {
            let ids = user.get_mut("customers").and_then(Item::as_array_mut);
            associations += usize::from(ids.is_some_and(|ids| take_out(ids, id)));
        }
        Ok(Removed {
            integrations,
            associations,
        })
    }

    fn check_new_user(&mut self, email: &str, customers: &[String]) -> Done {
        if self.find_user(email).is_ok() {
            return Err(Refusal::user_exists(email).into());
        }
        customers
            .iter()
            .try_for_each(|id| self.find_customer(id).map(|_| ()))
    }

    fn add_user(&mut self, user: NewUser) -> Done {
        let NewUser {
            email,
            name,
            password,
            superadmin,
            organization,
            customers,
        } = user;
        self.check_new_user(&email, &customers)?;
        let mut table = Table::new();
        table.insert("email", value(email));
        table.insert("name", value(name));
        if let Some(password) = password {
            table.insert("password", value(password.as_str()));
        }
        for (key, flag) in [("superadmin", superadmin), ("organization", organization)] {
            if flag {
                table.insert(key, value(true));
            }
        }
        table.insert("customers", value(customers.into_iter().collect::<Array>()));
        self.tables("user")?.push(table);
        Ok(())
    }

    fn check_user(&mut self, email: &str) -> Done {
        self.find_user(email).map(|_| ())
    }

    fn set_password(&mut self, email: &str, password: &PasswordHash) -> Done {
        set(self.find_user(email)?, "password", password.as_str().into());
        Ok(())
    }

    fn set_user_enabled(&mut self, email: &str, enabled: bool) -> Done {
        set(self.find_user(email)?, "enabled", enabled.into());
        Ok(())
    }

    fn grant(&mut self, email: &str, id: &str) -> Done<bool> {
        self.find_customer(id)?;
        let ids = customers(self.find_user(email)?)?;
        let new = !ids.iter().any(|granted| granted.as_str() == Some(id));
        if new {
            ids.push(id);
        }
        Ok(new)
    }

    fn revoke(&mut self, email: &str, id: &str) -> Done<bool> {
        Ok(take_out(customers(self.find_user(email)?)?, id))
    }

    fn remove_user(&mut self, email: &str) -> Done {
        self.find_user(email)?;
        remove_where(self.tables("user")?, |user| has(user, "email", email));
        Ok(())
    }

    fn add_integration(&mut self, customer: &str, id: &str, states: &[(i64, String)]) -> Done {
        self.find_customer(customer)?;
        check_states(states)?;
        let integrations = self.tables("integration")?;
        if integrations
            .iter()
            .any(|table| is_integration(table, customer, id))
        {
            return Err(Refusal::integration_exists(customer, id).into());
        }
        let mut table = Table::new();
        table.insert("customer", value(customer));
        table.insert("id", value(id));
        if !states.is_empty() {
            let states = states
                .iter()
                .map(|(number, name)| (number.to_string(), Value::from(name)));
            table.insert("states", value(states.collect::<toml_edit::InlineTable>()));
        }
        integrations.push(table);
        Ok(())
    }

    fn remove_integration(&mut self, customer: &str, id: &str) -> Done {
        let integrations = self.tables("integration")?;
        match remove_where(integrations, |table| is_integration(table, customer, id)) {
            0 => Err(Refusal::no_integration(customer, id).into()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.preface, self.tables)
    }
}

/// Returns the length of the comments at the start, up to the last blank line among them; that of
/// all, if nothing follows.
fn preface_length(text: &str) -> usize {
    let mut preface = 0;
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        match line.trim() {
            "" => preface = end,
            comment if comment.starts_with('#') => (),
            _ => return preface,
        }
    }
    text.len()
}

fn has(table: &Table, key: &str, text: &str) -> bool {
    table.get(key).and_then(Item::as_str) == Some(text)
}

fn is_integration(table: &Table, customer: &str, id: &str) -> bool {
    has(table, "customer", customer) && has(table, "id", id)
}

/// Sets a value and keeps the comment behind it.
fn set(table: &mut Table, key: &str, mut new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

fn remove_where(tables: &mut ArrayOfTables, is_it: impl Fn(&Table) -> bool) -> usize {
    let before = tables.len();
    tables.retain(|table| !is_it(table));
    before - tables.len()
}

fn customers(user: &mut Table) -> Done<&mut Array> {
    let item = user
        .entry("customers")
        .or_insert_with(|| value(Array::new()));
    item.as_array_mut()
        .ok_or_else(|| Refusal("`customers` is not a list".to_owned()).into())
}

fn take_out(ids: &mut Array, id: &str) -> bool {
    let before = ids.len();
    ids.retain(|granted| granted.as_str() != Some(id));
    ids.len() < before
}
