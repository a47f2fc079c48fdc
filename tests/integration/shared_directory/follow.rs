//! Three gateways follow one database, one of them through PgBouncer.

use iem_test_support::brokers::postgres::PgBouncer;
use iem_test_support::{Gateway, Home, eventually, post};

use super::{INVALID, PUBLISHED, SOON, database, home, publish, run, run_with};

const INACTIVE: &str = r#"{"message":"Data has been sent for inactive customer"}"#;
const NOT_ASSOCIATED: &str = r#"{"message":"User is not associated with the customer"}"#;

/// Changes a customer in the second of three revisions, and deletes its note.
macro_rules! unseen {
    ($active:literal) => {
        concat!(
            "UPDATE iem_gateway.users SET name = name; ",
            "SELECT set_config('iem_gateway.revision', '', true); ",
            "UPDATE iem_gateway.customers SET active = ",
            $active,
            "; SELECT set_config('iem_gateway.revision', '', true); ",
            "UPDATE iem_gateway.users SET name = name; ",
            "DELETE FROM iem_gateway.changes
                 WHERE revision = (SELECT revision - 1 FROM iem_gateway.revisions WHERE name = 'directory')",
        )
    };
}
const DEACTIVATE_UNSEEN: &str = unseen!("false");
const ACTIVATE_UNSEEN: &str = unseen!("true");

#[track_caller]
fn await_all(gateways: &[Gateway], what: &str, holds: impl Fn(&Gateway) -> bool) {
    for (index, gateway) in gateways.iter().enumerate() {
        eventually(SOON, &format!("{what}, gateway {index}"), || holds(gateway));
    }
}

#[test]
fn a_change_by_anybody_holds_on_every_gateway() {
    let database = database();
    let pooler = PgBouncer::start(&database);
    let urls = [database.url(), database.url(), pooler.url()];
    let mut names = ["first", "second", "third"].into_iter();
    let homes = urls.map(|url| home(&url).set("server.name", names.next().expect("three")));
    let gateways: Vec<_> = homes.iter().map(Home::start).collect();
    // One key: a token of one is a token of all.
    let token = gateways[0].token("alice");
    await_all(&gateways, "the token", |gateway| {
        publish(gateway, &token) == PUBLISHED
    });

    let by_command: [(&str, &str, &str); 3] = [
        (
            "customer deactivate acme",
            INACTIVE,
            "customer activate acme",
        ),
        (
            "user revoke alice@acme.example acme",
            NOT_ASSOCIATED,
            "user grant alice@acme.example acme",
        ),
        ("customer quota acme --records 1", "", "customer quota acme"),
    ];
    for (index, (change, answer, back)) in by_command.into_iter().enumerate() {
        // Through the pooler, too.
        let by = &homes[2 - index];
        run(by, change);
        if answer.is_empty() {
            let body = r#"[{"envcustomerid":"acme"},{"envcustomerid":"acme"}]"#;
            let two = post("/publish/allevents/", body).cookie(&token);
            await_all(&gateways, change, |gateway| {
                gateway.send(&two).status == 429
            });
        } else {
            await_all(&gateways, change, |gateway| {
                publish(gateway, &token) == answer
            });
        }
        run(by, back);
        await_all(&gateways, back, |gateway| {
            publish(gateway, &token) == PUBLISHED
        });
    }

    // Nobody but the database knows of these.
    for (change, answer, back) in [
        (
            "UPDATE iem_gateway.customers SET active = false",
            INACTIVE,
            "UPDATE iem_gateway.customers SET active = true",
        ),
        (
            "DELETE FROM iem_gateway.associations",
            NOT_ASSOCIATED,
            "INSERT INTO iem_gateway.associations VALUES ('alice@acme.example', 'acme')",
        ),
        // One transaction: the note of the change is never seen.
        (
            "UPDATE iem_gateway.customers SET active = false; DELETE FROM iem_gateway.changes",
            INACTIVE,
            "UPDATE iem_gateway.customers SET active = true; DELETE FROM iem_gateway.changes",
        ),
        // Of three revisions, the note of the second one is never seen.
        (DEACTIVATE_UNSEEN, INACTIVE, ACTIVATE_UNSEEN),
    ] {
        database.run(change);
        await_all(&gateways, change, |gateway| {
            publish(gateway, &token) == answer
        });
        database.run(back);
        await_all(&gateways, back, |gateway| {
            publish(gateway, &token) == PUBLISHED
        });
    }
    database.run("TRUNCATE iem_gateway.customers CASCADE");
    await_all(&gateways, "no customers", |gateway| {
        publish(gateway, &token) == INACTIVE
    });
    run(&homes[0], "directory import directory.toml --replace");
    await_all(&gateways, "everything again", |gateway| {
        publish(gateway, &token) == PUBLISHED
    });

    let status = run(&homes[0], "--json directory status");
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(
        status["gateways"].as_array().map(Vec::len),
        Some(3),
        "{status}"
    );
    for gateway in &gateways {
        let revision = gateway.metric("iem_gateway_directory_revision", &[]);
        assert!((revision - status["revision"].as_f64().expect("a number")).abs() < 0.5);
    }
}

/// A password that is another one, or a user who is disabled, ends every token at every gateway.
#[test]
fn a_user_is_locked_out_on_every_gateway() {
    let database = database();
    let homes = [home(&database.url()), home(&database.url())];
    let gateways: Vec<_> = homes.iter().map(Home::start).collect();
    let by_command = |command: &str, input: &str| {
        let token = gateways[1].token("alice");
        assert_eq!(publish(&gateways[0], &token), PUBLISHED);
        run_with(&homes[0], command, input);
        await_all(&gateways, command, |gateway| {
            publish(gateway, &token) == INVALID
        });
        token
    };
    let logged_out = by_command("user logout alice@acme.example", "");
    let disabled = by_command("user disable alice@acme.example", "");
    run(&homes[1], "user enable alice@acme.example");
    await_all(&gateways, "log-ins", |gateway| {
        gateway
            .log_in("alice@acme.example", "alice-password")
            .status
            == 200
    });
    let other = by_command(
        "user passwd alice@acme.example --password-stdin",
        "another long password\n",
    );
    // Ends outlive the gateways that made them.
    let third = home(&database.url()).start();
    for token in [logged_out, disabled, other] {
        assert_eq!(publish(&third, &token), INVALID);
    }
}

/// An operator's log-out by SQL has no password's version: a changed row does it all the same.
#[test]
fn a_user_who_is_disabled_by_sql_stays_logged_out_when_enabled_again() {
    let database = database();
    let gateways: Vec<_> = (0..2).map(|_| home(&database.url()).start()).collect();
    let token = gateways[0].token("alice");
    let set = "UPDATE iem_gateway.users SET enabled =";
    database.run(&format!("{set} false WHERE email = 'alice@acme.example'"));
    await_all(&gateways, "disabled", |gateway| {
        publish(gateway, &token) == INVALID
    });
    database.run(&format!("{set} true WHERE email = 'alice@acme.example'"));
    await_all(&gateways, "enabled", |gateway| {
        gateway
            .log_in("alice@acme.example", "alice-password")
            .status
            == 200
    });
    for gateway in &gateways {
        assert_eq!(publish(gateway, &token), INVALID);
    }
}
