//! SIGHUP reads the configuration again: levels and quotas take effect, of all else the log says
//! that it needs a restart, and a faulty file changes nothing. No connection is cut.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use iem_test_support::{Gateway, Home, eventually, post};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(20);
const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

/// Adds lines to the configuration that the gateway has started with, and sends SIGHUP.
fn change(gateway: &mut Gateway, original: &str, lines: &str) {
    let before = gateway.log().lines().count();
    gateway
        .home
        .write("gateway.toml", format!("{original}{lines}"));
    gateway.signal(Signal::HUP);
    eventually(SOON, "the configuration is read again", || {
        let log = gateway.log();
        let mut new = log.lines().skip(before);
        new.any(|line| line.contains("configuration reloaded") || line.contains("not reloaded"))
    });
}

fn text(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.home.config()).expect("the configuration")
}

#[test]
fn a_new_level_of_the_log_takes_effect() {
    let mut gateway = Home::new().spawn();
    let original = text(&gateway);
    let mut connection = gateway.connect();
    let wrong = post(EVENTS, "no JSON")
        .cookie(&gateway.token("alice"))
        .bytes();
    let mut id = || {
        let answer = connection.send(wrong.clone()).answer().expect(400);
        answer.header("x-request-id").expect("an id").to_owned()
    };
    let quiet = id();
    change(&mut gateway, &original, "logging.level = 'debug'\n");
    let loud = id();
    eventually(SOON, "a line of level debug", || {
        gateway.log().contains(&loud)
    });
    change(&mut gateway, &original, "logging.level = 'info'\n");
    let quiet_again = id();
    change(
        &mut gateway,
        &original,
        "logging.level = 'info,nothing=debug'\n",
    );
    let log = gateway.log();
    assert!(
        !log.contains(&quiet) && !log.contains(&quiet_again),
        "{log}"
    );
    assert!(log.contains("changes=\"logging.level\""), "{log}");
}

#[test]
fn a_new_quota_takes_effect_and_cuts_no_connection() {
    let mut gateway = Home::new().spawn();
    let original = text(&gateway);
    let mut connection = gateway.connect();
    let one = post(EVENTS, RECORD).cookie(&gateway.token("alice")).bytes();
    let five = post(
        EVENTS,
        format!("[{RECORD},{RECORD},{RECORD},{RECORD},{RECORD}]"),
    )
    .cookie(&gateway.token("alice"))
    .bytes();
    connection.send(five.clone()).answer().expect(200);
    change(&mut gateway, &original, "quota.records = 3\n");
    let answer = connection.send(five.clone()).answer().expect(429);
    assert_eq!(
        answer.message(),
        "The customer may never send so much at once, send less in a request"
    );
    change(
        &mut gateway,
        &original,
        "quota = { records = 0, bytes = '8 B' }\n",
    );
    connection.send(one.clone()).answer().expect(429);
    change(&mut gateway, &original, "");
    connection.send(five).answer().expect(200);
    connection.send(one).answer().expect(200);
}

#[test]
fn other_changes_need_a_restart_and_are_named() {
    let mut gateway = Home::new().spawn();
    let original = text(&gateway);
    change(
        &mut gateway,
        &original,
        "server.max_headers = 50\nquota.records = 7\nsink.kafka.properties.'sasl.password' = 'hunter2'\n",
    );
    let log = gateway.log();
    let named = |key: &str| {
        log.lines()
            .any(|line| line.contains("needs a restart") && line.contains(key))
    };
    assert!(named("server.max_headers"), "{log}");
    assert!(named("sink.kafka.properties.sasl.password"), "{log}");
    assert!(!named("quota.records") && !log.contains("hunter2"), "{log}");

    // What holds is as before: the change is gone, and so is the warning.
    let before = log.lines().count();
    change(&mut gateway, &original, "quota.records = 7\n");
    let log = gateway.log();
    let mut new = log.lines().skip(before);
    assert!(!new.any(|line| line.contains("needs a restart")), "{log}");
}

#[test]
fn a_faulty_configuration_changes_nothing_and_says_where() {
    let mut gateway = Home::new().spawn();
    let original = text(&gateway);
    let line = original.lines().count() + 2;
    let mut connection = gateway.connect();
    change(
        &mut gateway,
        &original,
        "quota.records = 1\nserver.max_headers = 5\n",
    );
    let log = gateway.log();
    let expected = format!("gateway.toml:{line}: server.max_headers: must be 10 to 1000, is 5");
    assert!(log.contains(&expected), "{log}");
    let two = post(EVENTS, format!("[{RECORD},{RECORD}]"))
        .cookie(&gateway.token("alice"))
        .bytes();
    connection.send(two.clone()).answer().expect(200);

    gateway.home.write("gateway.toml", "[server\n");
    gateway.signal(Signal::HUP);
    eventually(SOON, "the fault is logged", || {
        gateway.log().contains("gateway.toml:1: ")
    });
    connection.send(two).answer().expect(200);
    assert_eq!(gateway.admin("/readyz").status, 200);
}

#[test]
fn a_reload_that_hangs_keeps_nobody_from_stopping_the_gateway() {
    let mut gateway = Home::new().spawn();
    let config = gateway.home.config();
    std::fs::remove_file(&config).expect("it is removed");
    let made = Command::new("mkfifo").arg(&config).status();
    assert!(made.expect("mkfifo runs").success());
    gateway.signal(Signal::HUP);
    // Opens once the gateway reads, which it does without end.
    let _writer = File::options()
        .write(true)
        .open(&config)
        .expect("the gateway reads");
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success());
}
