#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn open(contents: &[u8], mode: u32) -> Result<SigningKey, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    SigningKey::open(&path).map_err(|error| error.to_string())
}

#[test]
fn the_first_start_creates_a_private_key_and_the_next_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/token.key");
    let made = SigningKey::open(&path).unwrap();
    let read = SigningKey::open(&path).unwrap();
    assert_eq!(
        (made.as_bytes(), made.as_bytes().len()),
        (read.as_bytes(), BYTES_MIN)
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let other = SigningKey::open(&folder.path().join("other.key")).unwrap();
    assert_ne!(made.as_bytes(), other.as_bytes());
}

#[test]
fn gateways_that_start_at_once_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    let keys: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| SigningKey::open(&path).unwrap()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert!(keys.iter().all(|key| key.as_bytes() == keys[0].as_bytes()));
}

#[test]
fn hexadecimal_and_base64_keys_are_read() {
    let check = |text: &str, expected: &[u8]| {
        assert_eq!(
            open(text.as_bytes(), 0o400).unwrap().as_bytes(),
            expected,
            "{text}"
        );
    };
    check(
        &format!("{}\n", "0aF".repeat(22)),
        &[0x0a, 0xf0, 0xaf].repeat(11),
    );
    check(
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n",
        &(0..32).collect::<Vec<u8>>(),
    );
}

#[test]
fn bad_keys_are_refused_with_a_reason() {
    let check = |contents: &[u8], mode: u32, reason: &str| {
        let error = open(contents, mode).unwrap_err();
        assert!(
            error.contains("token.key: ") && error.contains(reason),
            "{error}"
        );
    };
    check(b"", 0o600, "a key of 0 bytes is too short");
    check(&b"ab".repeat(31), 0o600, "a key of 31 bytes is too short");
    check(b"hunter2!!", 0o600, "neither hexadecimal nor base64");
    check(b"created = 'x'\nkey = 'hunter2'", 0o600, "neither hex");
    check(b"created = 'x'\nkeys = 'abcd'", 0o600, "neither hex");
    let entry = |created: &str| format!("created = '{created}'\nkey = '{}'", "ab".repeat(32));
    check(entry("today").as_bytes(), 0o600, "`created` is not a time");
    check(&[0xff; 32], 0o600, "neither hexadecimal nor base64");
    check(&b"ab".repeat(32), 0o604, "mode 0604");
    check(&b"ab".repeat(32), 0o620, "mode 0620");
    check(&b"ab".repeat(32), 0o602, "mode 0602");
}

#[test]
fn a_key_with_its_time_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.key");
    let now = UNIX_EPOCH + std::time::Duration::from_millis(1_764_000_000_123);
    let key = SigningKey::random_at(now);
    assert!(key.write(&path).unwrap());
    let read = SigningKey::read(&path).unwrap();
    assert_eq!((read.id(), read.created()), (key.id(), now));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!SigningKey::random().write(&path).unwrap(), "it stays");
    assert_eq!(SigningKey::read(&path).unwrap().id(), key.id());
}

#[test]
fn a_key_has_one_id_in_every_file() {
    let digits = "ab".repeat(32);
    let plain = SigningKey::parse(&digits).unwrap();
    let dated = format!("created = \"2026-11-29T02:00:00Z\"\nkey = \"{digits}\"\n");
    let dated = SigningKey::parse(&dated).unwrap();
    assert_eq!(plain.id(), dated.id());
    assert_eq!(plain.created(), UNIX_EPOCH);
    assert!(!digits.contains(&plain.id().to_string()));
    assert_eq!(plain.id().to_string().parse(), Ok(plain.id()));
}

#[test]
fn a_group_may_read_a_file_of_root_and_nobody_else_any() {
    const ROOT: u32 = 0;
    const USER: u32 = 1_000;
    for (mode, owner, expected) in [
        (0o600, USER, true),
        (0o400, USER, true),
        (0o440, ROOT, true),
        (0o640, ROOT, true),
        (0o640, USER, false),
        (0o660, ROOT, false),
        (0o650, ROOT, false),
        (0o604, ROOT, false),
        (0o644, ROOT, false),
        (0o602, ROOT, false),
        (0o620, USER, false),
    ] {
        assert_eq!(is_private(mode, owner), expected, "{mode:o} of {owner}");
    }
}

#[test]
fn keys_of_root_the_gateway_and_the_owner_of_the_folder_are_trusted() {
    let (gateway, operator, stranger) = (100, 1000, 1001);
    for owner in [0, gateway, operator] {
        assert!(is_trusted(owner, gateway, operator), "{owner}");
    }
    assert!(!is_trusted(stranger, gateway, operator));
    assert!(!is_trusted(operator, gateway, 0), "in a folder of root");
}
