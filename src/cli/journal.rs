//! The commands on journals. `journal inspect`, `journal verify` and `journal export` look into the
//! journals of a gateway, which may be running: they take no lock and never write into a journal.
//! `journal drain` forwards what a stopped gateway has left, and `journal replay` sends the records of
//! files again.

mod damage;
mod drain;
mod error;
#[cfg(feature = "file")]
mod export;
mod folders;
mod inspect;
mod progress;
#[cfg(feature = "file")]
mod replay;
mod verdict;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Subcommand;

use crate::config::Config;
use drain::DrainCommand;
pub use error::JournalError;
use folders::Which;
use progress::Progress;
#[cfg(feature = "file")]
use replay::ReplayCommand;
pub use verdict::Verdict;

/// The journals of topics.
#[derive(Clone, Debug, Subcommand)]
pub enum JournalCommand {
    /// A look into journals.
    #[command(flatten)]
    Look(Look),
    /// A transfer of records to a sink.
    #[command(flatten)]
    Transfer(Transfer),
}

/// Looks into journals, which need no configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum Look {
    /// Show backlog, counts, segments, and the damage that headers show
    Inspect {
        #[command(flatten)]
        which: Which,
    },
    /// Check every checksum; exit 1 where something is damaged
    Verify {
        #[command(flatten)]
        which: Which,
    },
    /// Write the records that are not settled to standard output, as lines of JSON
    #[cfg(feature = "file")]
    Export {
        #[command(flatten)]
        which: Which,
        /// Write all records that can still be read, settled ones too
        #[arg(long)]
        all: bool,
    },
}

/// Transfers of records to the sinks of the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum Transfer {
    Drain(DrainCommand),
    #[cfg(feature = "file")]
    Replay(ReplayCommand),
}

impl Look {
    /// Looks into this folder, unless the command names one.
    #[must_use]
    pub fn or_in(mut self, folder: Option<PathBuf>) -> Self {
        match &mut self {
            Self::Inspect { which } | Self::Verify { which } => which.or_in(folder),
            #[cfg(feature = "file")]
            Self::Export { which, .. } => which.or_in(folder),
        }
        self
    }

    /// Runs the command. Answers go to `out`, progress and what else people should know to `err`.
    /// Blocks.
    pub fn run(
        self,
        json: bool,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Verdict, JournalError> {
        let mut progress = Progress::new(err, io::stderr().is_terminal());
        match self {
            Self::Inspect { which } => inspect::run(&which, json, out),
            Self::Verify { which } => verify::run(&which, json, out, &mut progress),
            #[cfg(feature = "file")]
            Self::Export { which, all } => export::run(&which, all, json, out, &mut progress),
        }
    }
}

impl Transfer {
    /// Runs the command. The result goes to `out`, and progress to `err`. Blocks.
    pub fn run(
        self,
        config: &Config,
        json: bool,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Verdict, JournalError> {
        let mut progress = Progress::new(err, io::stderr().is_terminal());
        match self {
            Self::Drain(command) => command.run(config, json, out, &mut progress),
            #[cfg(feature = "file")]
            Self::Replay(command) => command.run(config, json, out, &mut progress),
        }
    }
}

#[cfg(test)]
mod tests;
