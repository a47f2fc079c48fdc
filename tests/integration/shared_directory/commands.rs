//! The directory's commands do to a database what they do to a file.

use iem_test_support::Home;
use iem_test_support::brokers::postgres::Postgres;

use super::{attempt, database, home, run};

/// Runs a command on a file and on a database, and checks that both say the same.
#[track_caller]
fn check(file: &Home, database: &Home, command: &str, input: &str) {
    let [of_file, of_database] = [file, database].map(|home| attempt(home, command, input));
    assert_eq!(
        of_file.status, of_database.status,
        "{command}: {of_database:?}"
    );
    assert_eq!(of_file.stdout, of_database.stdout, "{command}");
    assert_eq!(of_file.stderr, of_database.stderr, "{command}");
}

const COMMANDS: &[&str] = &[
    "customer add new --name New",
    "customer add new --name Again",
    "customer add acme --name Acme",
    "customer deactivate new",
    "customer deactivate nobody",
    "customer activate new",
    "customer quota new --records 5",
    "customer quota new --bytes 0B",
    "customer quota nobody --records 5",
    "user add new@acme.example --name New --customer new --password-stdin",
    "user add new@acme.example --name New --password-stdin",
    "user add other@acme.example --name Other --customer nobody --password-stdin",
    "user add a:b --name Colon --password-stdin",
    "user add sso@acme.example --name Sso --customer new --no-password",
    "user grant new@acme.example acme",
    "user grant new@acme.example acme",
    "user grant new@acme.example nobody",
    "user grant nobody@acme.example acme",
    "user revoke new@acme.example new",
    "user revoke new@acme.example new",
    "user revoke nobody@acme.example new",
    "user disable new@acme.example",
    "user disable nobody@acme.example",
    "user enable new@acme.example",
    "user logout new@acme.example",
    "user logout nobody@acme.example",
    "user passwd new@acme.example --password-stdin",
    "user passwd nobody@acme.example --password-stdin",
    "integration add new servicenow",
    "integration add new jira --state 10=resolved --state -1=odd",
    "integration add new jira",
    "integration add new twice --state 1=a --state 1=b",
    "integration add nobody jira",
    "integration remove new servicenow",
    "integration remove new servicenow",
    "customer list",
    "user list",
    "integration list",
    "--json customer list",
    "--json user list",
    "--json integration list",
    "user remove sso@acme.example",
    "user remove new@acme.example",
    "user remove new@acme.example",
    "customer remove new",
    "customer remove new",
    "customer list",
    "user list",
    "integration list",
];

#[test]
fn each_command_says_of_a_database_what_it_says_of_a_file() {
    let database = database();
    let (of_file, of_database) = (Home::new(), home(&database.url()));
    for command in COMMANDS {
        check(&of_file, &of_database, command, "a long enough password\n");
    }
}

#[test]
fn what_was_exported_is_what_was_imported() {
    let database = database();
    let home = home(&database.url());
    run(&home, "customer quota acme --records 7 --bytes 3KiB");
    run(&home, "directory export exported.toml");
    let exported = std::fs::read_to_string(home.path("exported.toml")).expect("a file");
    // The file is a directory file as it stands.
    let of_file = Home::new().set("directory.path", "exported.toml");
    std::fs::copy(home.path("exported.toml"), of_file.path("exported.toml")).expect("a copy");
    for list in ["customer list", "user list", "integration list"] {
        assert_eq!(run(&of_file, list), run(&home, list));
    }
    let refused = attempt(&home, "directory import exported.toml", "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("is not empty"),
        "{refused:?}"
    );
    run(&home, "customer add passing --name Passing");
    run(&home, "directory import exported.toml --replace");
    run(&home, "directory export again.toml");
    let again = std::fs::read_to_string(home.path("again.toml")).expect("a file");
    assert_eq!(exported, again);
    // Nothing is written over.
    assert_eq!(
        attempt(&home, "directory export again.toml", "")
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn an_import_names_the_entry_that_a_database_cannot_hold() {
    let database = database();
    let home = home(&database.url());
    // Random enough not to be compressed.
    let id: String = (0..1_000_u32)
        .map(|index| char::from(b'a' + (index.wrapping_mul(2_654_435_761) >> 24) as u8 % 26))
        .collect();
    let longest = format!(
        "customer = [{{ id = \"{id}\", name = \"A\" }}]
         integration = [{{ customer = \"{id}\", id = \"{id}\" }}]
         user = [{{ email = \"a@acme.example\", name = \"A\", customers = [\"{id}\"] }}]"
    );
    home.write("other.toml", &longest);
    run(&home, "directory import other.toml --replace");
    let with_nul = r#"name = "A\u0000""#;
    for (text, said) in [
        (
            longest.replace(&id, &format!("{id}x")),
            "is longer than 1000 bytes",
        ),
        (
            longest
                .replacen(r#"name = "A""#, with_nul, 1)
                .replace(&id, "acme"),
            r#"name of customer "acme" has a NUL"#,
        ),
        (
            format!(r#"user = [{{ email = "a@acme.example", {with_nul}, customers = [] }}]"#),
            r#"name of user "a@acme.example" has a NUL"#,
        ),
        (
            r#"customer = [{ id = "acme", name = "A" }]
            integration = [{ customer = "acme", id = "itsm", states = { 6 = "a\u0000" } }]"#
                .to_owned(),
            r#"name of state 6 of integration "itsm" of customer "acme" has a NUL"#,
        ),
    ] {
        home.write("other.toml", &text);
        let refused = attempt(&home, "directory import other.toml --replace", "");
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_change_is_noted_with_its_actor_and_one_that_is_refused_is_not() {
    let database = database();
    let mut command = home(&database.url());
    command = command.set("audit.path", "audit.log");
    let before: i64 = revision(&database);
    run(&command, "customer deactivate acme");
    let refused = attempt(&command, "customer deactivate nobody", "");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(revision(&database), before + 1);
    let noted = database.run(&format!(
        "SELECT kind, key, change FROM iem_gateway.changes WHERE revision = {}",
        before + 1
    ));
    assert_eq!(noted, "customer|acme|update customers");
    let actor = database.run("SELECT DISTINCT actor FROM iem_gateway.changes");
    assert!(actor.contains('@'), "{actor}");
    let audit = std::fs::read_to_string(command.path("audit.log")).expect("the audit log");
    assert!(audit.contains("customer acme deactivated"), "{audit}");
    let status = run(&command, "--json directory status");
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["revision"], before + 1);
}

fn revision(database: &Postgres) -> i64 {
    let revision =
        database.run("SELECT revision FROM iem_gateway.revisions WHERE name = 'directory'");
    revision.parse().expect("a number")
}

#[test]
fn a_command_for_a_database_says_so_of_a_file() {
    let home = Home::new();
    for command in ["directory migrate", "directory import directory.toml"] {
        let refused = attempt(&home, command, "");
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("directory.type = \"postgres\""), "{said}");
    }
    assert!(run(&home, "directory status").contains("customers"));
    run(&home, "directory export exported.toml");
}
