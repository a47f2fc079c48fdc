//! The key ring: keys are added and removed while gateways run.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iem_test_support::{Gateway, Home, eventually, post};

const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const INVALID: &str = r#"{"message":"Invalid access token"}"#;

/// A key is followed within a second; a loaded machine may need more.
const SOON: Duration = Duration::from_secs(5);

fn home() -> Home {
    Home::new()
        .set("tokens.keys", "keys")
        .set("tokens.key_delay", "0s")
}

fn text_of(gateway: &Gateway, token: &str) -> String {
    let request = post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#);
    gateway.send(&request.cookie(token)).text()
}

/// The id of the key that signed a token.
fn kid(token: &str) -> String {
    let header = token.split('.').next().expect("a header");
    let header = URL_SAFE_NO_PAD.decode(header).expect("base64");
    let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

/// Runs `keys …`, and returns what it says.
#[track_caller]
fn keys(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(&[&["keys"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn rotate(home: &Home) -> String {
    let text = keys(home, &["rotate"]);
    let id = text.strip_prefix("Added key ").expect("a key");
    id.split(',').next().expect("an id").to_owned()
}

fn key_files(home: &Home) -> Vec<PathBuf> {
    let files = std::fs::read_dir(home.path("keys")).expect("the folder");
    files.map(|file| file.expect("a file").path()).collect()
}

#[test]
fn a_new_key_signs_at_every_gateway_and_a_removed_one_ends_its_tokens() {
    let home = home();
    let gateway = home.start();
    let other = home.clone().set("sink.file.path", "other").start();
    let old = gateway.token("alice");
    let refresh = gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200)
        .refresh_token();
    let id = rotate(&home);
    assert_ne!(kid(&old), id);
    for gateway in [&gateway, &other] {
        eventually(SOON, "the new key signs", || {
            kid(&gateway.token("alice")) == id
        });
    }
    let new = gateway.token("alice");
    for gateway in [&gateway, &other] {
        for token in [&old, &new] {
            assert_eq!(text_of(gateway, token), PUBLISHED);
        }
    }
    keys(&home, &["retire", &kid(&old)]);
    for gateway in [&gateway, &other] {
        eventually(SOON, "the old key is gone", || {
            text_of(gateway, &old) == INVALID
        });
        assert_eq!(text_of(gateway, &new), PUBLISHED);
    }
    let body = format!(r#"{{"refresh_token":"{refresh}"}}"#);
    gateway
        .send(&post("/api/v1/user/token/refresh", body))
        .expect(401);
    assert_eq!(key_files(&home).len(), 1);
}

#[test]
fn a_new_key_does_not_sign_before_its_delay() {
    let home = home().set("tokens.key_delay", "1h");
    let gateway = home.start();
    let old = kid(&gateway.token("alice"));
    let text = keys(&home, &["rotate"]);
    assert!(text.contains("which signs from "), "{text}");
    // A gateway that starts now knows the key for certain, and another may not know it yet.
    let started = home.clone().set("sink.file.path", "other").start();
    for gateway in [&gateway, &started] {
        assert_eq!(kid(&gateway.token("alice")), old);
    }
}

#[test]
fn tokens_of_a_single_key_hold_when_a_ring_takes_its_place() {
    let before = Home::new();
    let gateway = before.start();
    let token = gateway.token("alice");
    drop(gateway);
    let home = before
        .set("tokens.keys", "keys")
        .set("tokens.key_delay", "0s");
    let gateway = home.start();
    assert_eq!(text_of(&gateway, &token), PUBLISHED);
    assert_eq!(kid(&gateway.token("alice")), kid(&token));
    let id = rotate(&home);
    eventually(SOON, "the new key signs", || {
        kid(&gateway.token("alice")) == id
    });
    assert_eq!(text_of(&gateway, &token), PUBLISHED);
    keys(&home, &["retire", &kid(&token)]);
    eventually(SOON, "the single key is gone", || {
        text_of(&gateway, &token) == INVALID
    });
    assert!(!home.path("token.key").exists());
}

#[test]
fn a_faulty_key_leaves_those_in_use_and_refuses_a_start() {
    let home = home();
    let gateway = home.start();
    let token = gateway.token("alice");
    home.write("keys/open.key", "ab".repeat(32));
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(home.path("keys/open.key"), open).expect("a mode");
    let told = |gateway: &Gateway| gateway.admin("/readyz").expect(200).text();
    eventually(SOON, "the fault is told", || {
        told(&gateway).contains("open.key: others than its owner")
    });
    assert_eq!(text_of(&gateway, &token), PUBLISHED);
    let check = home.run(&["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(text.contains("open.key: others than its owner"), "{text}");
    assert_eq!(check.status.code(), Some(78));
    let mut refused = home.spawn_without_waiting();
    assert_eq!(refused.wait().code(), Some(78));
    // Without it the ring is followed again.
    std::fs::remove_file(home.path("keys/open.key")).expect("the file");
    let id = rotate(&home);
    eventually(SOON, "the new key signs", || {
        kid(&gateway.token("alice")) == id
    });
    assert!(!told(&gateway).contains("open.key"));
}

#[test]
fn commands_on_keys_refuse_what_would_leave_none_and_print_no_key() {
    let home = home();
    let gateway = home.start();
    let id = kid(&gateway.token("alice"));
    let only = home.run(&["keys", "retire", &id]);
    assert_eq!(only.status.code(), Some(1), "{only:?}");
    let unknown = home.run(&["keys", "retire", "0123456789abcdef"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let wrong = home.run(&["keys", "retire", "no id"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");

    let added = home.run(&["keys", "rotate", "--json"]);
    let check = home.run(&["check"]);
    let listed = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(listed.contains(&id), "{listed}");
    for file in key_files(&home) {
        let mode = std::fs::metadata(&file).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(file).expect("a key file");
        let secret = text.rsplit('"').nth(1).expect("a key");
        assert_eq!(secret.len(), 64);
        for output in [&only, &unknown, &wrong, &added, &check] {
            let said = [&*output.stdout, &*output.stderr].concat();
            assert!(!String::from_utf8_lossy(&said).contains(secret));
        }
    }
    drop(gateway);
    let without = Home::new().run(&["keys", "rotate"]);
    assert_eq!(without.status.code(), Some(1));
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(said.contains("set tokens.keys"), "{said}");
}

#[test]
fn a_group_may_read_key_files_of_root_as_kubernetes_mounts_them() {
    let home = home();
    let token = home.start().token("alice");
    let first = home.path("keys/first.key");
    let set_mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&first, permissions).expect("a mode");
    };
    let owner = std::fs::metadata(&first).expect("the key").uid();
    set_mode(0o440);
    let check = home.run(&["check"]);
    assert_eq!(check.status.success(), owner == 0, "{check:?}");
    for open in [0o444, 0o460, 0o442] {
        set_mode(open);
        let check = home.run(&["check"]);
        assert_eq!(check.status.code(), Some(78), "{open:o}: {check:?}");
    }
    set_mode(if owner == 0 { 0o440 } else { 0o400 });
    let gateway = home.set("sink.file.path", "other").start();
    assert_eq!(text_of(&gateway, &token), PUBLISHED);
}

/// The key beside a folder of keys may be missing, and with it its own folder.
#[test]
fn a_folder_of_keys_is_watched_whether_or_not_there_is_one_of_the_single_key() {
    let gateway = home().set("tokens.key_file", "not-there/token.key").spawn();
    let old = gateway.token("alice");
    rotate(&gateway.home);
    let new_key = || {
        kid(&gateway
            .log_in("alice@acme.example", "alice-password")
            .access_token())
    };
    eventually(SOON, "the new key signs", || new_key() != kid(&old));
    assert!(!gateway.log().contains("cannot watch"), "{}", gateway.log());
}
