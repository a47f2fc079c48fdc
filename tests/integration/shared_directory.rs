//! Several gateways on one directory in a real PostgreSQL: changes, sessions, and the time in which
//! the database is away.

mod away;
mod commands;
mod follow;
mod limits;
mod schema;
mod sessions;
mod writers;

use std::process::Output;
use std::time::Duration;

use iem_test_support::brokers::postgres::Postgres;
use iem_test_support::{Gateway, Home, post};

const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const INVALID: &str = r#"{"message":"Invalid access token"}"#;

/// The contract says one second; a loaded machine may need more before that is anybody's fault.
const SOON: Duration = Duration::from_secs(10);

/// The key of all gateways' tokens.
const KEY: &[u8] = b"abababababababababababababababababababababababababababababababab";

/// Starts a database with the tests' directory in it.
pub(crate) fn database() -> Postgres {
    let database = Postgres::start();
    let home = home(&database.url());
    run(&home, "directory migrate");
    run(&home, "directory import directory.toml");
    database
}

/// Makes the folder of a gateway on a database.
fn home(url: &str) -> Home {
    let home = Home::new()
        .set("directory.type", "postgres")
        .set("directory.url", url)
        .set("directory.snapshot", "snapshot.toml");
    home.write_secret("token.key", KEY);
    home
}

/// Runs a command that succeeds, and returns what it says.
#[track_caller]
fn run(home: &Home, command: &str) -> String {
    run_with(home, command, "")
}

/// As [`run`], with this text at the standard input.
#[track_caller]
fn run_with(home: &Home, command: &str, input: &str) -> String {
    let output = attempt(home, command, input);
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn attempt(home: &Home, command: &str, input: &str) -> Output {
    let arguments: Vec<_> = command.split(' ').collect();
    home.run_with_input(&arguments, input)
}

/// Publishes an event of acme's, and returns what the answer says.
fn publish(gateway: &Gateway, token: &str) -> String {
    let request = post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#);
    gateway.send(&request.cookie(token)).text()
}
