//! `keys rotate` and `keys retire`: the keys of the ring that signs tokens. Neither prints a key.

use std::io::{self, Write};
use std::time::SystemTime;

use clap::Subcommand;
use serde_json::json;

use crate::config;
use crate::identity::token::{KeyError, KeyFiles, KeyId};

/// The keys of the ring.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Add a key, which signs new tokens after a delay
    Rotate,
    /// Remove a key; the tokens that it signed end
    Retire {
        /// The key's id, as `check` shows it
        id: KeyId,
    },
}

/// The reason why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The keys could not be read or changed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The output could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl KeysCommand {
    /// Runs the command on the configured files, and writes its output to `out`. Blocks.
    pub fn run(
        self,
        config: &config::Tokens,
        json: bool,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        let files = KeyFiles::new(config);
        let message = match self {
            Self::Rotate => {
                let now = SystemTime::now();
                let id = files.rotate(now)?;
                let signs = humantime::format_rfc3339_seconds(now + config.key_delay);
                format!("Added key {id}, which signs from {signs} on.")
            }
            Self::Retire { id } => {
                files.retire(id)?;
                format!("Removed key {id}; its tokens have ended.")
            }
        };
        if json {
            writeln!(out, "{}", json!({ "message": message }))?;
        } else {
            writeln!(out, "{message}")?;
        }
        Ok(())
    }
}
