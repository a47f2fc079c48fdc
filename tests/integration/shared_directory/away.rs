//! The database is away: it hangs, or it is dead. Nobody who may publish notices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use iem_test_support::brokers::postgres::Postgres;
use iem_test_support::{Gateway, Home, OpenLoop, eventually, post};

use super::{INVALID, PUBLISHED, SOON, attempt, database, home, publish, run};

const TOO_OLD: &str = r#"{"message":"The directory is out of date, try again later"}"#;

/// Waits until the copy of a gateway's directory is there and up to date.
fn await_copy(home: &Home, word: &str) {
    eventually(SOON, "the copy", || {
        fs::read_to_string(home.path("snapshot.toml")).is_ok_and(|text| text.contains(word))
    });
}

/// Makes the folder of a gateway on the same database that has another's copy.
fn with_copy(database: &Postgres, other: &Home) -> Home {
    let home = home(&database.url());
    for name in ["snapshot.toml", "snapshot.toml.ended"] {
        fs::copy(other.path(name), home.path(name)).expect("a copy");
    }
    home
}

fn stale_s(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_directory_stale_seconds", &[])
}

#[test]
fn gateways_go_on_start_and_come_back_while_the_database_hangs_and_when_it_is_dead() {
    let mut database = database();
    let first = home(&database.url());
    run(&first, "user logout bob@globex.example");
    let gateways = [first.start(), home(&database.url()).start()];
    let token = gateways[0].token("alice");
    let ended = gateways[0].token("carol");
    run(&first, "user logout carol@acme.example");
    await_copy(&first, "alice@acme.example");
    eventually(SOON, "the end is copied", || {
        fs::read_to_string(first.path("snapshot.toml.ended"))
            .is_ok_and(|text| text.contains("carol"))
    });
    for name in ["snapshot.toml", "snapshot.toml.ended"] {
        let mode = fs::metadata(first.path(name))
            .expect("a file")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    let keys = ["a".to_owned()];
    let loads = gateways
        .each_ref()
        .map(|gateway| OpenLoop::start(gateway.address, &token, "event", 100, &keys));
    for fault in ["hangs", "is dead"] {
        match fault {
            "hangs" => database.pause(),
            _ => database.kill(),
        }
        let refused = attempt(&first, "user disable alice@acme.example", "");
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        // It starts from the copy, and knows of the session that has ended.
        let mut third = with_copy(&database, &first).start();
        assert_eq!(publish(&third, &token), PUBLISHED);
        assert_eq!(publish(&third, &ended), INVALID);
        assert!(stale_s(&third) < 60.0, "{}", stale_s(&third));
        for gateway in &gateways {
            eventually(SOON, "it is told", || stale_s(gateway) >= 1.0);
            assert_eq!(publish(gateway, &token), PUBLISHED);
            gateway
                .log_in("alice@acme.example", "alice-password")
                .expect(200);
            let said = gateway.admin("/readyz").expect(200).text();
            assert!(said.contains("directory: directory postgres://"), "{said}");
            let loaded = gateway.metric("iem_gateway_directory_loaded", &[]);
            assert!(loaded > 0.5, "it is not at fault");
        }
        match fault {
            "hangs" => database.resume(),
            _ => database.start_again(),
        }
        run(&first, "customer deactivate acme");
        for gateway in gateways.iter().chain([&third]) {
            eventually(SOON, "the change holds", || {
                publish(gateway, &token).contains("inactive customer")
            });
            eventually(SOON, "it is fresh", || stale_s(gateway) < 1.0);
        }
        run(&first, "customer activate acme");
        for gateway in gateways.iter().chain([&third]) {
            eventually(SOON, "the change holds", || {
                publish(gateway, &token) == PUBLISHED
            });
        }
        third.stop();
    }
    for load in loads {
        let calls = load.stop();
        // But for the moments in which the customer was inactive.
        let others = calls.with(|call| call.status != 401);
        assert!(others.0.len() > 200, "{}", others.0.len());
        let failed = others.with(|call| call.status != 200);
        assert!(failed.0.is_empty(), "{:?}", failed.0.first());
        others.answered_within(Duration::from_secs(10));
    }
}

#[test]
fn a_directory_that_is_too_old_is_not_used_where_the_operator_wants_so() {
    let database = database();
    let gateway = home(&database.url())
        .set("directory.max_staleness", "2s")
        .start();
    let token = gateway.token("alice");
    database.pause();
    eventually(SOON, "it is too old", || {
        publish(&gateway, &token) == TOO_OLD
    });
    let request = post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#);
    gateway
        .send(&request.cookie(&token))
        .expect(503)
        .says_when_to_retry();
    gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(503);
    gateway.admin("/readyz").expect(503);
    gateway.admin("/livez").expect(200);
    assert!(gateway.reached("directory_age") >= 2);
    database.resume();
    eventually(SOON, "it is fresh", || {
        publish(&gateway, &token) == PUBLISHED
    });
    gateway.admin("/readyz").expect(200);
}

#[test]
fn an_end_while_the_database_is_away_holds_here_and_later_everywhere() {
    let mut database = database();
    let gateways: Vec<_> = (0..2).map(|_| home(&database.url()).start()).collect();
    let token = gateways[0].token("alice");
    assert_eq!(publish(&gateways[1], &token), PUBLISHED);
    database.kill();
    let revoke = post("/oauth2/revoke", format!("token={token}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .basic("alice@acme.example", "alice-password");
    gateways[1].send(&revoke).expect(503);
    assert_eq!(publish(&gateways[1], &token), INVALID);
    assert_eq!(publish(&gateways[0], &token), PUBLISHED);
    database.start_again();
    eventually(SOON, "the end is told", || {
        publish(&gateways[0], &token) == INVALID
    });
}

/// The copy alone knows of what ended while the database was away.
#[test]
fn an_end_while_the_database_is_away_outlives_a_restart() {
    let mut database = database();
    let first = home(&database.url());
    let mut gateway = first.start();
    let other = home(&database.url()).start();
    let token = gateway.token("alice");
    await_copy(&first, "alice@acme.example");
    database.kill();
    let revoke = post("/oauth2/revoke", format!("token={token}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .basic("alice@acme.example", "alice-password");
    gateway.send(&revoke).expect(503);
    gateway.stop();
    let mut gateway = first.start();
    assert_eq!(publish(&gateway, &token), INVALID);
    gateway.stop();
    database.start_again();
    let gateway = first.start();
    assert_eq!(publish(&gateway, &token), INVALID);
    eventually(SOON, "the end is told", || {
        publish(&other, &token) == INVALID
    });
}

#[test]
fn a_gateway_without_a_copy_does_not_start_while_the_database_is_away() {
    let mut database = database();
    let home = home(&database.url());
    database.kill();
    let began = Instant::now();
    let output = attempt(&home, "serve", "");
    // Another try may succeed: it is no fault of the configuration.
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot be reached"), "{said}");
    assert!(said.contains("its copy"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(30));
    // The service manager tries again.
    database.start_again();
    let gateway = home.start();
    gateway.token("alice");
}
