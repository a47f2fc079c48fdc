//! The users whom external tokens name.

use std::time::Duration;

use iem_test_support::{Connection, Gateway, eventually, get};
use serde_json::{Value, json};

use super::issuer::Issuer;
use super::keys::{SigningKey, now_s};
use super::{ALICE, claims, home, is_refused, send};

/// A second is the contract's bound; a loaded machine may need more.
const SOON: Duration = Duration::from_secs(5);
/// The difference of clocks that is forgiven.
const LEEWAY_S: u64 = 30;
const ROOT: &str = "root@iem.example";

#[test]
fn a_user_without_a_password_is_logged_out_and_disabled() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    let gateway = home(&issuer).start();
    let run = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let output = gateway.home.run(&arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let idp = "idp@acme.example";
    run(&format!(
        "user add {idp} --name Idp --customer acme --no-password"
    ));
    let list = run("user list");
    let line = list.lines().find(|line| line.starts_with(idp));
    assert!(line.is_some_and(|line| line.contains(" no ")), "{list}");

    let before = key.token(&claims(&issuer, idp));
    eventually(SOON, "the user is there", || {
        send(&gateway, &before).status == 200
    });
    for password in ["", "idp-password"] {
        let wrong = r#"{"detail":"Invalid username/password."}"#;
        gateway.log_in(idp, password).expect(401).body_is(wrong);
    }

    run(&format!("user logout {idp}"));
    eventually(SOON, "logged out", || send(&gateway, &before).status == 401);
    is_refused(&gateway, &before, "logged out");
    // Its clock may be ahead by this much.
    let ahead = |by_s: u64| {
        let mut claims = claims(&issuer, idp);
        claims["iat"] = json!(now_s() + by_s);
        key.token(&claims)
    };
    is_refused(
        &gateway,
        &ahead(20),
        "issued before, as far as can be known",
    );
    let mut after = String::new();
    eventually(SOON, "issued after", || {
        after = ahead(LEEWAY_S);
        send(&gateway, &after).status == 200
    });

    run(&format!("user disable {idp}"));
    eventually(SOON, "disabled", || send(&gateway, &after).status == 401);
    run(&format!("user enable {idp}"));
    for token in [&before, &after] {
        is_refused(&gateway, token, "the end is for good");
    }

    eventually(SOON, "issued after", || {
        after = ahead(LEEWAY_S);
        send(&gateway, &after).status == 200
    });
    run(&format!("user remove {idp}"));
    run(&format!(
        "user add {idp} --name Another --customer acme --no-password"
    ));
    let another = "another@acme.example";
    run(&format!(
        "user add {another} --name Idp --customer acme --no-password"
    ));
    let token = key.token(&claims(&issuer, another));
    eventually(SOON, "all are there", || {
        send(&gateway, &token).status == 200
    });
    is_refused(&gateway, &after, "it is another user");
}

/// Returns the users who have logged in and from where, by the audit log.
fn log_ins(gateway: &Gateway) -> Vec<(String, String)> {
    let log = gateway.log();
    let entries = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let log_ins =
        entries.filter(|entry| entry["event"] == "log_in" && entry["outcome"] == "accepted");
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    log_ins
        .map(|entry| (text(&entry, "user"), text(&entry, "peer")))
        .collect()
}

#[test]
fn the_first_use_of_a_token_is_a_log_in_for_the_audit_log() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    let gateway = home(&issuer).spawn();
    let token = key.token(&claims(&issuer, ALICE));
    for _ in 0..3 {
        send(&gateway, &token).expect(200);
    }
    let expected = (ALICE.to_owned(), "127.0.0.1".to_owned());
    eventually(SOON, "an entry", || !log_ins(&gateway).is_empty());
    // The log has all that came before this one.
    gateway
        .log_in("carol@acme.example", "carol-password")
        .expect(200);
    eventually(SOON, "an entry", || log_ins(&gateway).len() > 1);
    assert_eq!(log_ins(&gateway)[0], expected);
    assert_ne!(log_ins(&gateway)[1], expected);
}

#[test]
fn a_superadmin_s_token_opens_the_admin_listener_only_where_that_is_wanted() {
    let key = SigningKey::new("one", "EdDSA");
    let issuer = Issuer::start(&[&key]);
    let token = key.token(&claims(&issuer, ROOT));
    let bearer = format!("Bearer {token}");
    let metrics = |gateway: &Gateway| {
        let mut connection = Connection::open(gateway.admin);
        connection.send(get("/metrics").header("Authorization", &bearer).bytes());
        connection.answer().status
    };
    let guarded = || home(&issuer).set("admin.login", "always");
    let gateway = guarded().start();
    assert_eq!(metrics(&gateway), 401);
    is_refused(&gateway, &token, "a superadmin");
    let gateway = guarded().set("oidc.superadmins", true).spawn();
    assert_eq!(metrics(&gateway), 200);
    assert_eq!(metrics(&gateway), 200);
    eventually(SOON, "an entry", || !log_ins(&gateway).is_empty());
    assert_eq!(log_ins(&gateway).len(), 1);
    send(&gateway, &token).expect(200);
}
