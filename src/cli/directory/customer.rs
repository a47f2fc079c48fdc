//! `customer …`

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use super::table::yes_or_no;
use super::{CommandError, Context};
use crate::identity::directory::Customer;
use crate::identity::quota;

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
    /// Runs the command on the directory file at `path` and writes the answer to `out`. Blocks.
    pub fn run(self, path: &Path, json: bool, out: &mut dyn Write) -> Result<(), CommandError> {
        let mut context = Context { path, json, out };
        match self {
            Self::Add { id, name } => {
                context.add(|document| document.add_customer(&id, &name))?;
                context.say(&format!("Added customer {id}."))
            }
            Self::List => list(&mut context),
            Self::Activate { id } => {
                context.change(|document| document.set_customer_active(&id, true))?;
                context.say(&format!("Customer {id} is active."))
            }
            Self::Deactivate { id } => {
                context.change(|document| document.set_customer_active(&id, false))?;
                context.say(&format!("Customer {id} is inactive."))
            }
            Self::Quota { id, records, bytes } => {
                context.change(|document| document.set_quota(&id, records, bytes.as_deref()))?;
                context.say(&format!("Changed the quota of customer {id}."))
            }
            Self::Remove { id } => {
                let removed = context.change(|document| document.remove_customer(&id))?;
                context.say(&format!(
                    "Removed customer {id}; with it went integrations: {}, associations of users: {}.",
                    removed.integrations, removed.associations
                ))
            }
        }
    }
}

/// Checks a size, and keeps its text: the file says it in the same words.
fn size(text: &str) -> Result<String, String> {
    quota::bytes(text).map(|_| text.to_owned())
}

fn list(context: &mut Context<'_>) -> Result<(), CommandError> {
    let directory = context.read()?;
    let customers = directory.customers();
    let text = |rate: Option<u32>| rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
    let row = |customer: &Arc<Customer>| {
        let Customer {
            id,
            name,
            active,
            rates,
            ..
        } = &**customer;
        [
            id.to_string(),
            name.clone(),
            yes_or_no(*active),
            text(rates.records),
            text(rates.bytes),
        ]
    };
    let rows = customers.iter().map(row).collect();
    context.show(
        ["ID", "NAME", "ACTIVE", "RECORDS/S", "BYTES/S"],
        rows,
        || {
            let json = |customer: &Arc<Customer>| {
                let Customer {
                    id,
                    name,
                    active,
                    rates,
                    ..
                } = &**customer;
                let quota = json!({ "records": rates.records, "bytes": rates.bytes });
                json!({ "id": &**id, "name": name, "active": active, "quota": quota })
            };
            customers.iter().map(json).collect()
        },
    )
}
