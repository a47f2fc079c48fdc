//! `directory …`: the directory as a whole.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::error::CommandError;
use crate::cli::new_file::write_new;
use crate::identity::directory::edit::HEADER;
use crate::identity::directory::{Directory, Member, Store};

/// The directory as a whole.
#[derive(Clone, Debug, Subcommand)]
pub enum DirectoryCommand {
    /// Prepare the database for this version: make its tables, or bring them up to date
    Migrate,
    /// Put all entries of a directory file into the database, which must have none
    Import {
        /// The directory file
        file: PathBuf,
        /// Put them in the place of those that are there
        #[arg(long)]
        replace: bool,
    },
    /// Write all entries to a new directory file, readable by its owner alone
    Export {
        /// The file to make
        file: PathBuf,
    },
    /// Show the size of the directory, and the gateways that share it
    Status,
}

impl DirectoryCommand {
    /// Runs the command on the directory in `store` and writes its output to `out`. Blocks.
    pub fn run(self, store: &Store, json: bool, out: &mut dyn Write) -> Result<(), CommandError> {
        let mut context = Context { store, json, out };
        match self {
            Self::Migrate => migrate(&mut context),
            Self::Import { file, replace } => {
                let directory = Directory::read(&file).map_err(CommandError::Directory)?;
                store.import(&directory, replace)?;
                context.say(&format!(
                    "Imported {} customers and {} users into {store}.",
                    directory.customer_count(),
                    directory.user_count()
                ))
            }
            Self::Export { file } => {
                let directory = context.read()?;
                write_new(&file, &directory.to_text(HEADER), 0o600)?;
                context.say(&format!(
                    "Exported {} customers and {} users to {}.",
                    directory.customer_count(),
                    directory.user_count(),
                    file.display()
                ))
            }
            Self::Status => status(&mut context),
        }
    }
}

fn migrate(context: &mut Context<'_>) -> Result<(), CommandError> {
    let steps = context.store.migrate()?;
    let store = context.store;
    context.say(&match steps.last() {
        None => format!("{store} was up to date."),
        Some(version) => format!("{store} has schema version {version} now."),
    })
}

fn status(context: &mut Context<'_>) -> Result<(), CommandError> {
    let (customers, users) = context.store.sizes().map_err(CommandError::Directory)?;
    let (revision, members) = context.store.members().map_err(CommandError::Directory)?;
    if !context.json {
        let store = context.store;
        writeln!(context.out, "{store}: {customers} customers, {users} users")?;
        if context.store.file().is_some() {
            return Ok(());
        }
        writeln!(context.out, "Revision {revision}\n")?;
    }
    context.show(
        ["GATEWAY", "VERSION", "REVISION", "SEEN"],
        members.iter().map(row).collect(),
        || {
            json!({
                "customers": customers,
                "users": users,
                "revision": revision,
                "gateways": members.iter().map(value).collect::<Vec<_>>(),
            })
        },
    )
}

fn row(member: &Member) -> [String; 4] {
    [
        member.id.clone(),
        member.version.clone(),
        member.revision.to_string(),
        format!("{} s ago", member.seen_s),
    ]
}

fn value(member: &Member) -> serde_json::Value {
    json!({
        "id": member.id,
        "version": member.version,
        "revision": member.revision,
        "seen_seconds_ago": member.seen_s,
    })
}
