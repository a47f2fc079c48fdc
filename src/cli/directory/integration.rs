//! `integration …`: changes and lists integrations.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::error::CommandError;
use crate::identity::directory::Store;

/// The directory's ITSM integrations.
#[derive(Clone, Debug, Subcommand)]
pub enum IntegrationCommand {
    /// Add an integration to a customer
    Add {
        /// The customer's id
        customer: String,
        /// The integration's id
        id: String,
        /// The actionable's state for a number of the ITSM tool; may be given again. Default:
        /// 6=resolved, 7=closed
        #[arg(long = "state", value_name = "NUMBER=NAME", value_parser = parse_state)]
        states: Vec<(i64, String)>,
    },
    /// List all integrations
    List,
    /// Remove an integration from a customer
    Remove {
        /// The customer's id
        customer: String,
        /// The integration's id
        id: String,
    },
}

fn parse_state(text: &str) -> Result<(i64, String), String> {
    let (number, name) = text
        .split_once('=')
        .ok_or("NUMBER=NAME is wanted, as in 6=resolved")?;
    let number = number
        .parse()
        .map_err(|_| format!("{number:?} is not an integer"))?;
    if name.is_empty() {
        Err("the name is empty".to_owned())
    } else {
        Ok((number, name.to_owned()))
    }
}

impl IntegrationCommand {
    /// Runs the command on the directory in `store` and writes its output to `out`. Blocks.
    pub fn run(self, store: &Store, json: bool, out: &mut dyn Write) -> Result<(), CommandError> {
        let mut context = Context { store, json, out };
        match self {
            Self::Add {
                customer,
                id,
                states,
            } => {
                context.add(|editor| editor.add_integration(&customer, &id, &states))?;
                context.say(&format!("Added integration {id} of customer {customer}."))
            }
            Self::List => list(&mut context),
            Self::Remove { customer, id } => {
                context.change(|editor| editor.remove_integration(&customer, &id))?;
                context.say(&format!("Removed integration {id} of customer {customer}."))
            }
        }
    }
}

fn list(context: &mut Context<'_>) -> Result<(), CommandError> {
    let directory = context.read()?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for customer in directory.customers() {
        for integration in customer.integrations() {
            let states = integration
                .states
                .iter()
                .map(|(number, name)| format!("{number}={name}"));
            rows.push([
                customer.id.to_string(),
                integration.id.clone(),
                states.collect::<Vec<_>>().join(", "),
            ]);
            let states: BTreeMap<String, &str> = integration
                .states
                .iter()
                .map(|(number, name)| (number.to_string(), name.as_str()))
                .collect();
            values
                .push(json!({ "customer": &*customer.id, "id": integration.id, "states": states }));
        }
    }
    context.show(["CUSTOMER", "ID", "STATES"], rows, || values.into())
}
