//! `customer …`

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::table::yes_or_no;
use super::{CommandError, Context};

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

fn list(context: &mut Context<'_>) -> Result<(), CommandError> {
    let directory = context.read()?;
    let customers = directory.customers();
    let row = |id: &str, name: &str, active| [id.to_owned(), name.to_owned(), yes_or_no(active)];
    let rows = customers.iter().map(|customer| row(&customer.id, &customer.name, customer.active)).collect();
    context.show(["ID", "NAME", "ACTIVE"], rows, || {
        customers
            .iter()
            .map(|customer| json!({ "id": &*customer.id, "name": customer.name, "active": customer.active }))
            .collect()
    })
}
