//! The schema of the database, and databases that have none, or another one.

use iem_test_support::brokers::postgres::Postgres;
use iem_test_support::{Authority, Home};

use super::{attempt, home, run};

#[track_caller]
fn check_refused(home: &Home, command: &str, words: &str) {
    let output = attempt(home, command, "");
    assert_eq!(output.status.code(), Some(78), "{command}: {output:?}");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(words), "{command}: {said}");
}

#[test]
fn a_database_is_not_used_before_it_is_migrated_or_when_a_newer_gateway_was_there() {
    let database = Postgres::start();
    let home = home(&database.url());
    for command in ["serve", "check", "customer list", "customer add a --name A"] {
        check_refused(&home, command, "`iem-gateway directory migrate` makes it");
    }
    assert!(run(&home, "directory migrate").contains("schema version 1"));
    assert!(run(&home, "directory migrate").contains("up to date"));
    run(&home, "check");
    // One that older gateways may go on with, and one that they may not.
    let newer = "INSERT INTO iem_gateway.schema_versions (version, oldest) VALUES";
    database.run(&format!("{newer} (1000, 1)"));
    run(&home, "customer list");
    check_refused(
        &home,
        "directory migrate",
        "schema version 1000 of a newer gateway",
    );
    database.run(&format!("{newer} (1001, 1001)"));
    for command in ["serve", "check", "customer list", "directory migrate"] {
        check_refused(&home, command, "schema version 1001 of a newer gateway");
    }
}

#[test]
fn a_database_is_reached_over_tls_by_a_password_from_a_file() {
    let database = super::database();
    let authority = Authority::new("authority");
    let identity = authority.server(&["localhost", "127.0.0.1"]);
    database.secure(
        &identity.certificate,
        &identity.key,
        "guarded",
        "correct horse",
    );
    let url = database.url().replace("iem@127.0.0.1", "guarded@localhost");
    let home = home(&url).set("directory.ca_file", "ca.pem");
    home.write("ca.pem", authority.pem());
    home.write_secret("password", b"correct horse\n");
    let with_password = |home: &Home, password: &str| {
        let mut program = home.program();
        program
            .args(["user", "list", "--config"])
            .arg(home.config())
            .env("IEM_GATEWAY_FILE__DIRECTORY__PASSWORD", home.path(password));
        program.output().expect("the program starts")
    };
    let listed = with_password(&home, "password");
    assert!(listed.status.success(), "{listed:?}");
    let in_use = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE ssl AND usename = 'guarded'";
    let gateway = home
        .clone()
        .set("directory.password", "correct horse")
        .start();
    gateway.token("alice");
    iem_test_support::eventually(super::SOON, "it follows over TLS", || {
        database.run(in_use) == "1"
    });
    // A wrong password, other roots, no TLS.
    home.write_secret("wrong", b"hunter2");
    let refused = with_password(&home, "wrong");
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    home.write("ca.pem", Authority::new("another").pem());
    let refused = with_password(&home, "password");
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("certificate"), "{said}");
    let plain = home.set("directory.url", format!("{url}?sslmode=disable"));
    assert!(!with_password(&plain, "password").status.success());
}

/// The statements that `docs/directory.md` gives.
#[test]
fn gateways_and_commands_need_no_more_rights_than_the_docs_say() {
    let docs = include_str!("../../../docs/directory.md");
    let sql = docs
        .split("```sql\n")
        .filter_map(|block| block.split("```").next());
    let grants = sql.into_iter().find(|sql| sql.contains("GRANT"));
    let grants = grants.expect("the statements").to_owned();
    let database = super::database();
    database.run("CREATE ROLE gateways LOGIN; CREATE ROLE commands LOGIN");
    database.run(&grants);
    database.run(&grants.replace("gateways;", "commands;"));
    database.run(
        "GRANT INSERT, UPDATE, DELETE ON iem_gateway.customers, iem_gateway.quotas,
             iem_gateway.integrations, iem_gateway.users, iem_gateway.associations TO commands;
         GRANT INSERT ON iem_gateway.changes TO commands",
    );
    let with_role = |role: &str| home(&database.url().replace("iem@", &format!("{role}@")));
    let gateway = with_role("gateways").start();
    let commands = with_role("commands");
    let token = gateway.token("alice");
    run(&commands, "customer deactivate acme");
    iem_test_support::eventually(super::SOON, "the change holds", || {
        super::publish(&gateway, &token).contains("inactive customer")
    });
    run(&commands, "customer activate acme");
    run(&commands, "user logout alice@acme.example");
    iem_test_support::eventually(super::SOON, "the session has ended", || {
        super::publish(&gateway, &token) == super::INVALID
    });
    run(&commands, "directory status");
    run(&commands, "directory import directory.toml --replace");
    gateway.log_in("alice@acme.example", "guess").expect(401);
    // All that it writes, it may write.
    iem_test_support::eventually(super::SOON, "failures are told", || {
        database.run("SELECT count(*) FROM iem_gateway.failed_logins") == "1"
    });
    let said = gateway.admin("/readyz").expect(200).text();
    assert!(!said.contains("denied"), "{said}");
    // And nothing else.
    let refused = attempt(&with_role("gateways"), "customer deactivate acme", "");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("permission denied"));
}

/// Two at once: one of them does it.
#[test]
fn migrations_wait_for_one_another() {
    let database = Postgres::start();
    let home = home(&database.url());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| run(&home, "directory migrate"));
        }
    });
    let versions = database.run("SELECT version FROM iem_gateway.schema_versions");
    assert_eq!(versions, "1");
}

#[test]
fn a_url_that_cannot_be_used_is_refused_without_its_password() {
    for (url, words) in [
        (
            "postgres://iem:hunter2@127.0.0.1/iem",
            "must hold no password",
        ),
        ("mysql://iem@127.0.0.1/iem", "must begin with postgres://"),
        (
            "postgres://iem@192.0.2.1/iem?sslmode=disable",
            "directory.plaintext = true allows it",
        ),
        (
            "postgres://iem@localhost/iem?hostaddr=192.0.2.1",
            "must hold no `hostaddr`",
        ),
    ] {
        let home = home(url);
        for command in ["serve", "customer list"] {
            check_refused(&home, command, words);
        }
        for command in ["serve", "check", "config show", "customer list"] {
            let said = attempt(&home, command, "");
            assert!(
                !format!("{said:?}").contains("hunter2"),
                "{command}: {said:?}"
            );
        }
    }
}

#[test]
fn a_row_that_nobody_can_use_is_left_out_and_told() {
    let database = super::database();
    let home = home(&database.url());
    database.run(
        "UPDATE iem_gateway.users SET password = '$argon2id$nonsense' WHERE email = 'bob@globex.example';
         INSERT INTO iem_gateway.integrations VALUES ('globex', 'bad', '{\"six\": \"resolved\"}')",
    );
    database.run(
        "INSERT INTO iem_gateway.associations VALUES ('alice@acme.example', 'globex')
             ON CONFLICT DO NOTHING",
    );
    let gateway = home.start();
    let token = gateway.token("alice");
    assert_eq!(super::publish(&gateway, &token), super::PUBLISHED);
    gateway
        .log_in("bob@globex.example", "bob-password")
        .expect(401);
    let said = gateway.admin("/readyz").expect(200).text();
    assert!(
        said.contains("state \\\"six\\\" is not an integer"),
        "{said}"
    );
    assert!(said.contains("others with a fault: 1"), "{said}");
    assert!(gateway.metric("iem_gateway_directory_loaded", &[]) < 0.5);
    // A command that shows everything would leave something out.
    check_refused(&home, "user list", "is left out");
    database.run(
        "DELETE FROM iem_gateway.integrations WHERE id = 'bad';
         DELETE FROM iem_gateway.users WHERE email = 'bob@globex.example'",
    );
    iem_test_support::eventually(super::SOON, "the faults are gone", || {
        gateway.metric("iem_gateway_directory_loaded", &[]) > 0.5
    });
    // Who was left out has lost nothing.
    let request = iem_test_support::post("/publish/allevents/", r#"{"envcustomerid":"globex"}"#);
    gateway.send(&request.cookie(&token)).expect(200);
}
