//! The audit log: who did what to whom, one JSON object a line, and nothing secret among it.

use std::fs;
use std::time::Duration;

use iem_test_support::{Gateway, Home, eventually, post};
use serde_json::Value;

const EVENTS: &str = "/publish/allevents/";
const TOKEN: &str = "/api/v1/user/token";
const AMPLE: Duration = Duration::from_secs(10);

fn with_audit_log() -> Home {
    let home = Home::new();
    let path = home.path("audit.log");
    home.set("audit.path", path.to_str().expect("UTF-8"))
}

/// Returns the entries of this event.
fn entries(gateway: &Gateway, event: &str) -> Vec<Value> {
    let text = fs::read_to_string(gateway.home.path("audit.log")).unwrap_or_default();
    let entries = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    entries.filter(|entry| entry["event"] == event).collect()
}

/// Waits for an entry of this event, with these fields.
#[track_caller]
fn await_entry(gateway: &Gateway, event: &str, fields: &[(&str, &str)]) -> Value {
    let is_it = |entry: &Value| fields.iter().all(|(name, value)| entry[name] == *value);
    let mut found = None;
    eventually(AMPLE, event, || {
        found = entries(gateway, event).into_iter().find(is_it);
        found.is_some()
    });
    let entry = found.expect("it was found");
    assert_eq!(entry["target"], "audit");
    assert!(entry["timestamp"].is_string());
    entry
}

#[test]
fn log_ins_tokens_and_refusals_are_told_with_their_request() {
    let gateway = with_audit_log().spawn();
    let alice = "alice@acme.example";
    let answer = gateway.log_in(alice, "alice-password").expect(200);
    let id = answer.header("x-request-id").expect("the log's id");
    let of_alice = [("user", alice), ("peer", "127.0.0.1"), ("request", id)];
    let accepted = await_entry(&gateway, "log_in", &of_alice);
    assert_eq!(accepted["outcome"], "accepted");
    await_entry(&gateway, "tokens_issued", &of_alice);

    let tokens = &answer.json()["data"];
    let refresh = format!(r#"{{"refresh_token":{}}}"#, tokens["refresh_token"]);
    let answer = gateway
        .send(&post(&format!("{TOKEN}/refresh"), refresh))
        .expect(200);
    let id = answer.header("x-request-id").expect("the log's id");
    await_entry(
        &gateway,
        "tokens_issued",
        &[("user", alice), ("request", id)],
    );

    gateway.log_in(alice, "a-wrong-password").expect(401);
    let wrong = [("user", alice), ("outcome", "wrong credentials")];
    await_entry(&gateway, "log_in", &wrong);
    gateway.log_in("hunter2-typed-as-a-name", "x").expect(401);
    eventually(AMPLE, "a name that is nobody's is left out", || {
        let entries = entries(&gateway, "log_in");
        entries
            .iter()
            .any(|entry| entry["outcome"] == "wrong credentials" && entry["user"].is_null())
    });

    let token = tokens["access_token"].as_str().expect("a token");
    let other = post(
        EVENTS,
        r#"{"envcustomerid":"globex","secret":"of-the-record"}"#,
    );
    let answer = gateway.send(&other.cookie(token)).expect(401);
    let id = answer.header("x-request-id").expect("the log's id");
    let reason = "not associated with the customer";
    let refused = [("user", alice), ("request", id), ("reason", reason)];
    assert_eq!(
        await_entry(&gateway, "refused", &refused)["endpoint"],
        "events"
    );
    gateway
        .publish(EVENTS, r#"{"envcustomerid":"acme"}"#)
        .expect(200);

    let text = fs::read_to_string(gateway.home.path("audit.log")).expect("the log");
    for secret in [
        "password\":",
        "alice-password",
        "a-wrong-password",
        "hunter2",
        "of-the-record",
        token,
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn changes_of_the_directory_are_told_by_whom_and_what() {
    let gateway = with_audit_log().spawn();
    let command = ["user", "disable", "bob@globex.example"];
    assert!(gateway.home.run(&command).status.success());
    let changes = ("changes", "user bob@globex.example disabled");
    let entry = await_entry(&gateway, "directory_changed", &[changes]);
    assert!(entry["uid"].is_u64(), "{entry}");
    await_entry(&gateway, "reloaded", &[("name", "directory"), changes]);
    // One that changes nothing is no change.
    assert!(gateway.home.run(&["user", "list"]).status.success());
    assert_eq!(entries(&gateway, "directory_changed").len(), 1);

    let path = gateway.home.path("directory.toml");
    let good = fs::read_to_string(&path).expect("the directory");
    fs::write(&path, "broken = ").expect("written");
    await_entry(&gateway, "not_reloaded", &[("name", "directory")]);
    let by_hand = good.replace("name = \"Acme\"", "name = \"Acme Ltd\"");
    fs::write(&path, by_hand).expect("written");
    let changes = ("changes", "customer acme has another name");
    await_entry(&gateway, "reloaded", &[changes]);
}

#[test]
fn a_flood_of_entries_is_bounded_and_counted() {
    let gateway = with_audit_log().spawn();
    let request = post(EVENTS, "{}").cookie("a.b.c").bytes();
    let mut connection = gateway.connect();
    let sent = 3_000;
    for _ in 0..sent {
        connection.send(&request).answer().expect(401);
    }
    let left_out = gateway.metric("iem_gateway_audit_left_out_total", &[]);
    assert!(left_out > 0.0);
    eventually(AMPLE, "all others are written", || {
        let written = u32::try_from(entries(&gateway, "refused").len()).expect("few");
        (f64::from(written) + left_out - f64::from(sent)).abs() < 0.5
    });
    // The next one tells how many are missing.
    eventually(AMPLE, "it is told", || {
        gateway
            .send(&post(EVENTS, "{}").cookie("a.b.c"))
            .expect(401);
        let told = entries(&gateway, "refused").into_iter();
        told.filter_map(|entry| entry["left_out"].as_u64())
            .sum::<u64>()
            > 0
    });
    // Another kind of entry is written all the same.
    gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200);
    await_entry(&gateway, "log_in", &[("outcome", "accepted")]);
}
