//! The command line: its commands, and the exit code of each result.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use, 78 configuration at fault (`EX_CONFIG` of
//! sysexits.h).

mod certificate;
mod check;
mod configuration;
mod directory;
mod exit;
mod generated;
mod journal;
mod keys;
mod new_file;
mod prove;
mod serve;
mod settings;
mod stop;
mod top;

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{self, Config, Loaded};
use crate::identity::directory::Store;
use crate::telemetry::logging;
use certificate::DevCertificate;
use configuration::ConfigCommand;
use directory::{CommandError, CustomerCommand, DirectoryCommand, IntegrationCommand, UserCommand};
use exit::{CONFIGURATION, FAILED, fail};
use generated::{Completions, Manual};
use journal::{JournalCommand, JournalError, Verdict};
use keys::KeysCommand;
use prove::ProveCommand;
use top::TopCommand;

/// An ingestion gateway for the IEM publish service and its ITSM integration API.
///
/// Answers 200 once the configured sink holds the record. Without a command it serves; without a
/// configuration file it serves on embedded defaults: 127.0.0.1:8080, probes and metrics on
/// 127.0.0.1:9090, everything under ./iem-data/.
#[derive(Debug, Parser)]
#[command(
    name = "iem-gateway",
    version,
    after_help = "Any configuration value can be set by the environment: \
                  IEM_GATEWAY__SERVER__LISTEN=127.0.0.1:8000.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong use, 78 configuration at fault."
)]
struct Cli {
    /// Configuration file (TOML); without one the embedded defaults apply
    #[arg(long, global = true, value_name = "FILE", env = "IEM_GATEWAY_CONFIG")]
    config: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve,
    /// Check the configuration and what it names; print what holds and the memory ceiling
    Check,
    /// The configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// Make a certificate and a key for trying HTTPS
    DevCertificate(DevCertificate),
    /// The directory as a whole, in its file or its database
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// The directory's customers
    #[command(subcommand)]
    Customer(CustomerCommand),
    /// Its users
    #[command(subcommand)]
    User(UserCommand),
    /// Its integrations
    #[command(subcommand)]
    Integration(IntegrationCommand),
    /// The keys that sign tokens
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The journals of topics
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Put load on a running gateway, and prove that no acknowledged record is lost
    Prove(Box<ProveCommand>),
    /// Show what a running gateway does, as the console's first screen
    Top(TopCommand),
    /// Print the script that completes commands in a shell
    Completions(Completions),
    /// Write manual pages
    Man(Manual),
}

/// Runs the command of the process's command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let loaded = config::load(cli.config.as_deref(), std::env::vars_os());
    match (cli.command.unwrap_or(Command::Serve), loaded) {
        (Command::Check, loaded) => check(loaded, cli.json),
        (Command::Schema, _) => written(generated::print_schema(&mut io::stdout())),
        (Command::Completions(command), _) => {
            written(command.run(Cli::command(), &mut io::stdout()))
        }
        (Command::Man(command), _) => written(command.run(Cli::command(), &mut io::stdout())),
        (Command::Config(ConfigCommand::Init(command)), _) => {
            succeeded(command.run(cli.config, cli.json, &mut io::stdout()))
        }
        (Command::Top(command), _) => command.run(cli.json),
        (Command::DevCertificate(command), _) => succeeded(command.run(&mut io::stdout())),
        (Command::Journal(JournalCommand::Look(look)), loaded) => {
            let configured = loaded.ok().map(|loaded| loaded.config.journal.path);
            let look = look.or_in(configured);
            judged(look.run(cli.json, &mut io::stdout(), &mut io::stderr()))
        }
        (_, Err(errors)) => fail(CONFIGURATION, &errors),
        (Command::Journal(JournalCommand::Transfer(transfer)), Ok(Loaded { config, .. })) => {
            let _log = match logging::init_warnings(config.logging.format) {
                Ok(guard) => guard,
                Err(error) => return fail(FAILED, &error),
            };
            report_panics();
            judged(transfer.run(&config, cli.json, &mut io::stdout(), &mut io::stderr()))
        }
        (Command::Serve, Ok(loaded)) => serve::serve(cli.config, loaded),
        (Command::Config(ConfigCommand::Show(command)), Ok(Loaded { settings, .. })) => {
            written(command.run(settings, cli.json, &mut io::stdout()))
        }
        (Command::Prove(command), Ok(Loaded { config, .. })) => command.run(&config, cli.json),
        (Command::Directory(command), Ok(Loaded { config, .. })) => {
            on_directory(&config, |store| {
                command.run(store, cli.json, &mut io::stdout())
            })
        }
        (Command::Customer(command), Ok(Loaded { config, .. })) => on_directory(&config, |store| {
            command.run(store, cli.json, &mut io::stdout())
        }),
        (Command::User(command), Ok(Loaded { config, .. })) => on_directory(&config, |store| {
            command.run(store, cli.json, &mut io::stdout())
        }),
        (Command::Integration(command), Ok(Loaded { config, .. })) => {
            on_directory(&config, |store| {
                command.run(store, cli.json, &mut io::stdout())
            })
        }
        (Command::Keys(command), Ok(Loaded { config, .. })) => audited(&config, || {
            succeeded(command.run(&config.tokens, cli.json, &mut io::stdout()))
        }),
    }
}

/// Runs a command whose changes go to the audit log.
fn audited(config: &Config, command: impl FnOnce() -> ExitCode) -> ExitCode {
    match logging::init_audit(&config.audit) {
        Ok(_log) => command(),
        Err(error) => fail(FAILED, &error),
    }
}

fn check(loaded: Result<Loaded, config::Errors>, json: bool) -> ExitCode {
    let report = check::Report::new(loaded);
    let written = if json {
        report.write_json(io::stdout())
    } else {
        report.write_text(io::stdout())
    };
    match written {
        Ok(()) if report.is_good() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(CONFIGURATION),
        Err(error) => fail(FAILED, &format_args!("cannot write the answer: {error}")),
    }
}

fn written(result: io::Result<()>) -> ExitCode {
    let failed = |error| format!("cannot write the answer: {error}");
    succeeded(result.map_err(failed))
}

fn succeeded<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, &error),
    }
}

fn judged(result: Result<Verdict, JournalError>) -> ExitCode {
    match result {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Damaged | Verdict::Unfinished) => ExitCode::from(FAILED),
        Ok(Verdict::Refused) => ExitCode::from(CONFIGURATION),
        Err(error) if error.is_configuration() => fail(CONFIGURATION, &error),
        Err(error) => fail(FAILED, &error),
    }
}

/// Logs a panic by its place alone: its message may quote a record or a credential.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, thread = std::thread::current().name(), "panicked");
    }));
}

/// Runs a command on the directory.
fn on_directory(
    config: &Config,
    command: impl FnOnce(&Store) -> Result<(), CommandError>,
) -> ExitCode {
    audited(config, || {
        let store = Store::of(&config.directory).map_err(CommandError::Directory);
        done(store.and_then(|store| command(&store)))
    })
}

fn done(result: Result<(), CommandError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(
            if error.is_configuration() {
                CONFIGURATION
            } else {
                FAILED
            },
            &error,
        ),
    }
}
