//! `customer …`: changes and lists customers.

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::error::CommandError;
use super::table::yes_or_no;
use crate::identity::directory::{Customer, CustomerQuota, Store};

/// The directory's customers.
#[derive(Clone, Debug, Subcommand)]
pub enum CustomerCommand {
    /// Add an active customer
    Add {
        /// The id that records name the customer by
        id: String,
        /// The name for people
        #[arg(long)]
        name: String,
    },
    /// List all customers
    List,
    /// Accept a customer's records again
    Activate {
        /// The customer's id
        id: String,
    },
    /// Refuse a customer's records
    Deactivate {
        /// The customer's id
        id: String,
    },
    /// Bound what a customer may send a second; without an option it may send what all others may
    Quota {
        /// The customer's id
        id: String,
        /// Records a second, and at once; 0 is without a bound
        #[arg(long)]
        records: Option<u32>,
        /// Bytes of records a second, and at once, such as "2 MiB"; "0 B" is without a bound
        #[arg(long, value_parser = size)]
        bytes: Option<String>,
    },
    /// Remove a customer, its integrations and everybody's association with it
    Remove {
        /// The customer's id
        id: String,
    },
}

impl CustomerCommand {
    /// Runs the command on the directory in `store` and writes its output to `out`. Blocks.
    pub fn run(self, store: &Store, json: bool, out: &mut dyn Write) -> Result<(), CommandError> {
        let mut context = Context { store, json, out };
        match self {
            Self::Add { id, name } => {
                context.add(|editor| editor.add_customer(&id, &name))?;
                context.say(&format!("Added customer {id}."))
            }
            Self::List => list(&mut context),
            Self::Activate { id } => {
                context.change(|editor| editor.set_customer_active(&id, true))?;
                context.say(&format!("Customer {id} is active."))
            }
            Self::Deactivate { id } => {
                context.change(|editor| editor.set_customer_active(&id, false))?;
                context.say(&format!("Customer {id} is inactive."))
            }
            Self::Quota { id, records, bytes } => {
                context.change(|editor| editor.set_quota(&id, records, bytes.as_deref()))?;
                context.say(&format!("Changed the quota of customer {id}."))
            }
            Self::Remove { id } => {
                let removed = context.change(|editor| editor.remove_customer(&id))?;
                context.say(&format!(
                    "Removed customer {id}; with it went integrations: {}, \
                     associations of users: {}.",
                    removed.integrations, removed.associations
                ))
            }
        }
    }
}

/// Checks a size, and keeps its text, which the file states as it was typed.
fn size(text: &str) -> Result<String, String> {
    CustomerQuota::parse_bytes(text).map(|_| text.to_owned())
}

fn list(context: &mut Context<'_>) -> Result<(), CommandError> {
    let directory = context.read()?;
    let customers = directory.customers();
    let rows = customers.iter().map(|customer| row(customer)).collect();
    context.show(
        ["ID", "NAME", "ACTIVE", "RECORDS/S", "BYTES/S"],
        rows,
        || customers.iter().map(|customer| value(customer)).collect(),
    )
}

fn row(customer: &Customer) -> [String; 5] {
    let text = |rate: Option<u32>| rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
    [
        customer.id.to_string(),
        customer.name.clone(),
        yes_or_no(customer.active),
        text(customer.quota.records),
        text(customer.quota.bytes),
    ]
}

fn value(customer: &Customer) -> serde_json::Value {
    let quota = customer.quota;
    json!({
        "id": &*customer.id,
        "name": customer.name,
        "active": customer.active,
        "quota": { "records": quota.records, "bytes": quota.bytes },
    })
}
