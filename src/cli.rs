//! The command line: its commands, and the exit code of each result.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use, 78 configuration at fault (`EX_CONFIG` of
//! sysexits.h).

mod certificate;
mod check;
mod directory;
mod exit;
mod keys;
mod serve;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config, Loaded};
use crate::telemetry::logging;
use certificate::DevCertificate;
use directory::{CommandError, CustomerCommand, IntegrationCommand, UserCommand};
use exit::{CONFIGURATION, FAILED, fail};
use keys::KeysCommand;

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
    /// Make a certificate and a key for trying HTTPS
    DevCertificate(DevCertificate),
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
}

/// Runs the command of the process's command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let loaded = config::load(cli.config.as_deref(), std::env::vars_os());
    match (cli.command.unwrap_or(Command::Serve), loaded) {
        (Command::Check, loaded) => check(loaded, cli.json),
        (Command::DevCertificate(command), _) => match command.run(&mut io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(FAILED, &error),
        },
        (_, Err(errors)) => fail(CONFIGURATION, &errors),
        (Command::Serve, Ok(Loaded { config, .. })) => serve::serve(&config),
        (Command::Customer(command), Ok(Loaded { config, .. })) => audited(&config, || {
            done(command.run(&config.directory.path, cli.json, &mut io::stdout()))
        }),
        (Command::User(command), Ok(Loaded { config, .. })) => audited(&config, || {
            done(command.run(&config.directory.path, cli.json, &mut io::stdout()))
        }),
        (Command::Integration(command), Ok(Loaded { config, .. })) => audited(&config, || {
            done(command.run(&config.directory.path, cli.json, &mut io::stdout()))
        }),
        (Command::Keys(command), Ok(Loaded { config, .. })) => audited(&config, || {
            match command.run(&config.tokens, cli.json, &mut io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(FAILED, &error),
            }
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
