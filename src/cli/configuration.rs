//! `config init` and `config show`: the configuration file to begin with, and the values that hold.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::new_file::write_new;
use super::settings;
use crate::config::{self, Setting};

/// The mode of a new file: its owner changes it, and the gateway's group may read it.
const MODE: u32 = 0o640;

/// The configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a configuration file with every key, its description and its default
    Init(Init),
    /// Print each value that holds, and where it comes from
    Show(Show),
}

/// The arguments of `config init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The new file; never overwritten [default: that of --config, or gateway.toml]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
}

/// The arguments of `config show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Only values that differ from the defaults
    #[arg(long)]
    changed: bool,
}

/// The reason why no file was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum InitError {
    #[error("{0} is there already, and is not overwritten")]
    Exists(PathBuf),
    #[error("{path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    #[error("cannot write the answer: {0}")]
    Answer(#[from] io::Error),
}

impl Init {
    /// Writes the file, and prints what comes next. `configured` is the file of `--config`.
    pub(super) fn run(
        self,
        configured: Option<PathBuf>,
        json: bool,
        out: &mut dyn Write,
    ) -> Result<(), InitError> {
        let path = self.path.or(configured);
        let path = path.unwrap_or_else(|| PathBuf::from("gateway.toml"));
        write_new(&path, &config::template(), MODE).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => InitError::Exists(path.clone()),
            _ => InitError::Write {
                path: path.clone(),
                error,
            },
        })?;
        let name = path.display();
        let message = format!("Made {name}.");
        if json {
            writeln!(out, "{}", json!({ "message": message }))?;
            return Ok(());
        }
        writeln!(
            out,
            "{message} Then:\n\n\
             iem-gateway --config {name} customer add ID --name NAME\n\
             iem-gateway --config {name} user add EMAIL --name NAME --customer ID\n\
             iem-gateway --config {name} check\n\
             iem-gateway --config {name}"
        )?;
        Ok(())
    }
}

impl Show {
    /// Prints the settings.
    pub(super) fn run(
        &self,
        mut settings: Vec<Setting>,
        json: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.changed {
            settings.retain(|setting| !setting.holds_in(config::defaults()));
        }
        if json {
            writeln!(
                out,
                "{:#}",
                json!({ "settings": settings::json(&settings) })
            )
        } else {
            settings::write_text(&settings, out)
        }
    }
}
