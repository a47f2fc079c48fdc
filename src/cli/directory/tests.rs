#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use clap::Parser;

use super::context::Context;
use super::*;
use crate::identity::directory::{Directory, PasswordVersion, Store};
use crate::identity::password::{Cost, Password};

#[derive(Parser)]
enum Cli {
    #[command(subcommand)]
    Customer(CustomerCommand),
    #[command(subcommand)]
    User(UserCommand),
    #[command(subcommand)]
    Integration(IntegrationCommand),
}

const CHEAP: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

struct Terminal {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn terminal() -> Terminal {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    Terminal {
        _folder: folder,
        path,
    }
}

impl Terminal {
    fn run_with(&self, line: &str, json: bool) -> Result<String, CommandError> {
        let mut out = Vec::new();
        match Cli::try_parse_from(["iem-gateway"].into_iter().chain(line.split_whitespace()))
            .unwrap()
        {
            Cli::Customer(command) => command.run(&self.store(), json, &mut out)?,
            Cli::Integration(command) => command.run(&self.store(), json, &mut out)?,
            Cli::User(command) => {
                let context = Context {
                    store: &self.store(),
                    json,
                    out: &mut out,
                };
                command.run_with(context, CHEAP, |_| Ok(Password::new("typed".to_owned())))?;
            }
        }
        Ok(String::from_utf8(out).unwrap())
    }

    fn store(&self) -> Store {
        Store::File(self.path.clone())
    }

    fn run(&self, line: &str) -> String {
        self.run_with(line, false).unwrap()
    }

    fn fail(&self, line: &str) -> CommandError {
        self.run_with(line, false).unwrap_err()
    }

    fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.run_with(line, true).unwrap()).unwrap()
    }

    fn directory(&self) -> Directory {
        Directory::read(&self.path).unwrap()
    }
}

fn set_up() -> Terminal {
    let terminal = terminal();
    terminal.run("customer add acme --name Acme");
    terminal.run("customer add idle --name Idle");
    terminal.run("customer deactivate idle");
    terminal.run("user add nifi@example.com --name NiFi --customer acme --customer idle");
    terminal.run("user add root@example.com --name Root --superadmin");
    terminal.run("user add console@example.com --name Console --organization");
    terminal.run("integration add acme servicenow");
    terminal.run("integration add acme jira --state 10=resolved --state 2=open");
    terminal
}

#[test]
fn lists_are_tables_for_people() {
    let terminal = set_up();
    assert_eq!(
        terminal.run("customer list"),
        "ID    NAME  ACTIVE  RECORDS/S  BYTES/S\n\
         acme  Acme  yes     -          -\n\
         idle  Idle  no      -          -\n"
    );
    assert_eq!(
        terminal.run("user list"),
        "EMAIL                NAME     KIND             PASSWORD  ENABLED  CUSTOMERS\n\
         console@example.com  Console  organization     yes       yes\n\
         nifi@example.com     NiFi     API              yes       yes      acme, idle\n\
         root@example.com     Root     API, superadmin  yes       yes      all\n"
    );
    assert_eq!(
        terminal.run("integration list"),
        "CUSTOMER  ID          STATES\n\
         acme      jira        2=open, 10=resolved\n\
         acme      servicenow  6=resolved, 7=closed\n"
    );
}

#[test]
fn lists_are_json_for_programs() {
    let terminal = set_up();
    let quota = serde_json::json!({ "records": null, "bytes": null });
    assert_eq!(
        terminal.json("customer list"),
        serde_json::json!([
            { "id": "acme", "name": "Acme", "active": true, "quota": quota },
            { "id": "idle", "name": "Idle", "active": false, "quota": quota },
        ])
    );
    let users = terminal.json("user list");
    assert_eq!(
        users[1],
        serde_json::json!({
            "email": "nifi@example.com", "name": "NiFi", "superadmin": false, "organization": false,
            "password": true, "enabled": true, "customers": ["acme", "idle"],
        })
    );
    assert!(!users.to_string().contains("argon2"), "no hash is shown");
    assert_eq!(
        terminal.json("integration list")[0],
        serde_json::json!({
            "customer": "acme", "id": "jira", "states": { "2": "open", "10": "resolved" },
        })
    );
    assert_eq!(
        terminal.json("customer activate idle"),
        serde_json::json!({ "message": "Customer idle is active." })
    );
}

#[test]
fn a_user_may_have_no_password_and_get_one_later() {
    let terminal = set_up();
    terminal.run("user add idp@example.com --name Idp --no-password --customer acme");
    assert!(
        terminal
            .run("user list")
            .contains("idp@example.com      Idp      API              no        yes      acme\n")
    );
    assert_eq!(terminal.json("user list")[1]["password"], false);
    let version = || {
        let directory = terminal.directory();
        directory.user("idp@example.com").unwrap().password_version
    };
    assert_eq!(version(), PasswordVersion::NONE);
    terminal.run("user disable idp@example.com");
    terminal.run("user passwd idp@example.com");
    assert_ne!(version(), PasswordVersion::NONE);
    assert_eq!(terminal.json("user list")[1]["password"], true);
}

#[test]
fn every_command_does_what_it_says() {
    let terminal = set_up();
    let user = |email: &str| terminal.directory().user(email).cloned().unwrap();
    let version = user("nifi@example.com").password_version;

    terminal.run("user disable nifi@example.com");
    assert!(!user("nifi@example.com").enabled);
    terminal.run("user enable nifi@example.com");
    assert!(user("nifi@example.com").enabled);
    assert_eq!(user("nifi@example.com").password_version, version);
    assert_eq!(
        terminal.run("user logout nifi@example.com"),
        "All sessions of nifi@example.com have ended.\n"
    );
    let ended = std::fs::read_to_string(terminal.path.with_extension("toml.ended")).unwrap();
    assert!(ended.contains("nifi@example.com"), "{ended}");
    terminal.run("user passwd nifi@example.com");
    assert_ne!(user("nifi@example.com").password_version, version);
    assert!(
        user("nifi@example.com")
            .password()
            .unwrap()
            .verify(&Password::new("typed".to_owned()))
    );

    terminal.run("user revoke nifi@example.com acme");
    assert!(!user("nifi@example.com").names_customer("acme"));
    assert!(
        terminal
            .run("user grant nifi@example.com acme")
            .ends_with("customer acme.\n")
    );
    assert!(
        terminal
            .run("user grant nifi@example.com acme")
            .ends_with("and was before.\n")
    );
    assert!(user("nifi@example.com").names_customer("acme"));

    terminal.run("customer activate idle");
    assert!(terminal.directory().customer("idle").unwrap().active);
    terminal.run("integration remove acme jira");
    assert!(terminal.directory().integration("acme", "jira").is_none());
    assert!(
        terminal
            .run("customer remove acme")
            .contains("integrations: 1, associations of users: 1")
    );
    terminal.run("user remove nifi@example.com");
    assert!(terminal.directory().user("nifi@example.com").is_none());
}

#[test]
fn faults_of_the_file_differ_from_refusals() {
    let missing = terminal();
    for line in [
        "customer list",
        "user list",
        "integration list",
        "customer activate c",
        "user remove a",
    ] {
        let error = missing.fail(line);
        assert!(error.is_configuration(), "{line}: {error}");
    }
    assert!(!missing.path.exists());

    let terminal = set_up();
    for line in [
        "customer add acme --name Acme",
        "user add nifi@example.com --name NiFi",
        "user add new@example.com --name New --customer nobody",
        "user passwd nobody@example.com",
        "user logout nobody@example.com",
        "integration add nobody jira",
    ] {
        let error = terminal.fail(line);
        assert!(!error.is_configuration(), "{line}: {error}");
    }
    std::fs::write(&terminal.path, "[[customer]]\n").unwrap();
    assert!(terminal.fail("customer add c --name C").is_configuration());
}

#[test]
fn wrong_use_is_refused_before_anything_is_done() {
    for line in [
        "integration add c i --state six=resolved",
        "integration add c i --state 6",
        "customer add c",
        "user add a",
    ] {
        let parsed =
            Cli::try_parse_from(["iem-gateway"].into_iter().chain(line.split_whitespace()));
        assert!(parsed.is_err(), "{line}");
    }
}

#[test]
fn a_password_is_one_line() {
    let check = |input: &[u8], expected: Option<&str>| {
        let read = password::read_line(input);
        assert_eq!(read.ok().as_ref().map(Password::reveal), expected);
    };
    check(b"a long secret\n", Some("a long secret"));
    check(b"a long secret\r\n", Some("a long secret"));
    check(b"a long secret", Some("a long secret"));
    check(b" long secret \nmore\n", Some(" long secret "));
    check(b"", None);
    check(b"\n", None);
    check(b"\xff\n", None);
    check(&[b'x'; 5000], None);
}

#[test]
fn a_password_of_fewer_than_12_characters_is_refused() {
    let read = |text: &str| password::read_line(text.as_bytes()).map(|_| ());
    assert!(read("elevenchars\n").is_err() && read("twelve chars\n").is_ok());
    assert!(read("ääääääääääää").is_ok() && read("äääääääääää").is_err());
    let error = read("elevenchars").unwrap_err().to_string();
    assert!(
        error.contains("12 characters") && !error.contains("elevenchars"),
        "{error}"
    );
}

#[test]
fn a_customers_quota_is_set_changed_and_taken_back() {
    let terminal = terminal();
    terminal.run("customer add acme --name Acme");
    let quota = || terminal.json("customer list")[0]["quota"].clone();
    assert_eq!(
        quota(),
        serde_json::json!({ "records": null, "bytes": null })
    );
    terminal.run("customer quota acme --records 500 --bytes 2MiB");
    assert_eq!(
        quota(),
        serde_json::json!({ "records": 500, "bytes": 2 << 20 })
    );
    terminal.run("customer quota acme --records 0");
    assert_eq!(quota(), serde_json::json!({ "records": 0, "bytes": null }));
    terminal.run("customer quota acme");
    assert_eq!(
        quota(),
        serde_json::json!({ "records": null, "bytes": null })
    );
    terminal.fail("customer quota nobody --records 1");
    assert!(
        Cli::try_parse_from([
            "iem-gateway",
            "customer",
            "quota",
            "acme",
            "--bytes",
            "many"
        ])
        .is_err(),
        "a size has a unit"
    );
}
