//! Several writers at once: each change is made once, and every gateway comes to what the database
//! has.

use std::thread;

use iem_test_support::{AMPLE, Gateway, Home, eventually, post};

use super::{INVALID, SOON, attempt, database, home, publish, run};

/// A database that was restored counts the same revisions again.
#[test]
fn a_database_that_was_restored_is_read_anew() {
    let database = database();
    let home = home(&database.url());
    let gateway = home.start();
    let dump = database.dump();
    let token = gateway.token("alice");
    let revision =
        || database.run("SELECT revision FROM iem_gateway.revisions WHERE name = 'directory'");
    run(&home, "customer add lost --name Lost");
    run(&home, "user logout alice@acme.example");
    let before = revision();
    eventually(SOON, "the session has ended", || {
        publish(&gateway, &token) == INVALID
    });
    database.restore(&dump);
    run(&home, "customer deactivate acme");
    assert_eq!(revision(), before, "the same number again");
    let token = gateway.token("alice");
    eventually(SOON, "it is read anew", || {
        publish(&gateway, &token).contains("inactive customer")
    });
    let customers = database.run("SELECT count(*) FROM iem_gateway.customers");
    let known = gateway.metric("iem_gateway_directory_customers", &[]);
    assert_eq!(known.to_string(), customers);
    // It had lost the end, too.
    eventually(SOON, "the end is told again", || {
        database.run("SELECT count(*) FROM iem_gateway.ended_passwords WHERE email LIKE 'alice%'")
            == "1"
    });
}

/// Who holds a lock, and is gone or hangs, holds up nobody but those who need it.
#[test]
fn a_writer_that_hangs_holds_up_no_gateway() {
    let database = database();
    let home = home(&database.url());
    let gateways = [home.start(), super::home(&database.url()).start()];
    let lock = "BEGIN; SELECT 1 FROM iem_gateway.revisions WHERE name = 'sessions' FOR UPDATE;
        SELECT pg_sleep(20)";
    let hanging = database.run_beside(lock);
    eventually(SOON, "the lock is held", || {
        let held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        database.run(held) == "1"
    });
    let backends = || -> usize {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'iem-gateway'";
        database.run(count).parse().expect("a number")
    };
    let revoke = |gateway: &Gateway| {
        let token = gateway.token("alice");
        let revoke = post("/oauth2/revoke", format!("token={token}"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .basic("alice@acme.example", "alice-password");
        gateway.send(&revoke).expect(503);
        assert_eq!(publish(gateway, &token), INVALID);
    };
    let token = gateways[0].token("alice");
    thread::scope(|scope| {
        for gateway in &gateways {
            scope.spawn(|| revoke(gateway));
        }
    });
    run(&home, "customer deactivate acme");
    for gateway in &gateways {
        eventually(AMPLE, "the change holds", || {
            publish(gateway, &token).contains("inactive customer")
        });
    }
    assert!(backends() <= 6, "{}", backends());
    drop(hanging);
    eventually(AMPLE, "the ends are told", || {
        database.run("SELECT count(*) FROM iem_gateway.ended_sessions") == "2"
    });
}

/// Statements of several rows, in whatever order.
#[test]
fn writers_by_sql_do_not_lock_each_other_out() {
    let database = database();
    let home = home(&database.url());
    thread::scope(|scope| {
        for (first, second) in [("acme", "globex"), ("globex", "acme")] {
            let database = &database;
            scope.spawn(move || {
                for number in 0..10 {
                    let set = "UPDATE iem_gateway.customers SET name =";
                    database.run(&format!(
                        "BEGIN; {set} '{number}' WHERE id = '{first}';
                         {set} '{number}' WHERE id = '{second}'; COMMIT"
                    ));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..5 {
                run(&home, "customer deactivate globex");
                run(&home, "customer activate globex");
            }
        });
    });
}

#[test]
fn changes_of_writers_at_once_are_all_made_and_followed() {
    let database = database();
    let homes: Vec<_> = (0..3).map(|_| home(&database.url())).collect();
    let gateways: Vec<_> = homes.iter().map(Home::start).collect();
    let made: usize = thread::scope(|scope| {
        let writers: Vec<_> = homes
            .iter()
            .enumerate()
            .map(|(writer, home)| {
                scope.spawn(move || {
                    let mut made = 0;
                    for number in 0..8 {
                        // Everybody wants the first, and one gets it.
                        let wanted = attempt(home, &format!("customer add c{number} --name C"), "");
                        made += usize::from(wanted.status.success());
                        run(
                            home,
                            &format!("customer add own{writer}-{number} --name Own"),
                        );
                        run(
                            home,
                            &format!("user grant alice@acme.example own{writer}-{number}"),
                        );
                        if number % 2 == 0 {
                            run(home, &format!("customer remove own{writer}-{number}"));
                        }
                    }
                    made
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"))
            .sum()
    });
    assert_eq!(made, 8);
    // No revision is missing, and none is there twice but of one transaction.
    let revisions = database.run(
        "SELECT count(DISTINCT revision) = max(revision), max(revision) =
             (SELECT revision FROM iem_gateway.revisions WHERE name = 'directory')
         FROM iem_gateway.changes",
    );
    assert_eq!(revisions, "t|t");
    let expected = run(&homes[0], "--json customer list");
    let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
    let count = expected.as_array().expect("a list").len();
    let count = f64::from(u32::try_from(count).expect("few"));
    let revision = database.run("SELECT max(revision) FROM iem_gateway.changes");
    let revision: f64 = revision.parse().expect("a number");
    for gateway in &gateways {
        eventually(SOON, "everything is followed", || {
            let now = gateway.metric("iem_gateway_directory_revision", &[]);
            (now - revision).abs() < 0.5
        });
        let customers = gateway.metric("iem_gateway_directory_customers", &[]);
        assert!((customers - count).abs() < 0.5, "{customers} of {count}");
    }
    // What was followed piece by piece is what is read as a whole.
    for home in &homes {
        eventually(SOON, "the copy is up to date", || {
            let copy = std::fs::read_to_string(home.path("snapshot.toml")).unwrap_or_default();
            run(home, "directory export exported.toml");
            let whole = std::fs::read_to_string(home.path("exported.toml")).expect("a file");
            std::fs::remove_file(home.path("exported.toml")).expect("a file");
            let entries = |text: &str| text.split_once("\n\n").map(|parts| parts.1.to_owned());
            entries(&copy) == entries(&whole)
        });
    }
}
