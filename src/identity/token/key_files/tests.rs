#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::time::UNIX_EPOCH;

use super::*;
use crate::config::Config;

struct Fixture {
    folder: tempfile::TempDir,
    files: KeyFiles,
}

impl Fixture {
    /// Names a file, and a folder if `ring`.
    fn new(ring: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default().tokens;
        config.key_file = folder.path().join("token.key");
        if ring {
            config.keys = folder.path().join("keys");
        }
        Self {
            files: KeyFiles::new(&config),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ids(&self) -> Vec<KeyId> {
        self.files
            .ring()
            .unwrap()
            .keys()
            .map(|(id, _)| id)
            .collect()
    }

    fn fault(&self) -> String {
        self.files.ring().unwrap_err().to_string()
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_alone_is_a_ring_of_one() {
    let fixture = Fixture::new(false);
    assert!(fixture.files.are_missing());
    fixture.files.create_first(at(1)).unwrap();
    let ids = fixture.ids();
    fixture.files.create_first(at(2)).unwrap();
    assert_eq!((ids.len(), &fixture.ids()), (1, &ids));
    let refused = fixture.files.rotate(at(3)).unwrap_err().to_string();
    assert!(refused.contains("set tokens.keys"), "{refused}");
}

#[test]
fn gateways_that_start_at_once_on_one_folder_share_the_first_key() {
    let fixture = Fixture::new(true);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| fixture.files.create_first(at(1)).unwrap());
        }
    });
    assert_eq!(fixture.ids().len(), 1);
    let mode = fs::metadata(fixture.path("keys")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    assert!(!fixture.path("token.key").exists());
}

#[test]
fn keys_are_added_and_removed_and_the_last_one_stays() {
    let fixture = Fixture::new(true);
    fixture.files.create_first(at(1)).unwrap();
    let first = fixture.ids()[0];
    let second = fixture.files.rotate(at(2)).unwrap();
    assert_eq!(fixture.ids(), [first, second]);
    let unknown = KeyId::of(b"unknown");
    assert!(fixture.files.retire(unknown).is_err());
    fixture.files.retire(first).unwrap();
    assert_eq!(fixture.ids(), [second]);
    let refused = fixture.files.retire(second).unwrap_err().to_string();
    assert!(refused.contains("is the only one"), "{refused}");
    assert_eq!(fixture.ids(), [second]);
}

#[test]
fn the_key_of_before_the_folder_stays_until_it_is_retired() {
    let before = Fixture::new(false);
    before.files.create_first(at(1)).unwrap();
    let old = before.ids()[0];
    let mut fixture = Fixture::new(true);
    fs::copy(before.path("token.key"), fixture.path("token.key")).unwrap();
    fixture.files.create_first(at(2)).unwrap();
    assert_eq!(fixture.ids(), [old], "no other key is made");
    let new = fixture.files.rotate(at(3)).unwrap();
    assert_eq!(fixture.ids(), [old, new]);
    // In the folder it is the same key.
    fs::copy(fixture.path("token.key"), fixture.path("keys/old.key")).unwrap();
    assert_eq!(fixture.ids(), [old, new]);
    fixture.files.retire(old).unwrap();
    assert_eq!(fixture.ids(), [new]);
    fixture.files = fixture.files.clone();
    assert!(!fixture.path("token.key").exists());
}

#[test]
fn the_number_of_keys_is_bounded() {
    let fixture = Fixture::new(true);
    for second in 0..KEYS_MAX as u64 {
        fixture.files.rotate(at(second)).unwrap();
    }
    assert!(fixture.files.rotate(at(99)).is_err());
    assert_eq!(fixture.ids().len(), KEYS_MAX);
    fs::copy(
        fixture
            .path("keys")
            .join(format!("{}.key", fixture.ids()[0])),
        fixture.path("keys/more.key"),
    )
    .unwrap();
    assert!(fixture.fault().contains("more than 32 keys"));
}

#[test]
fn faults_name_the_file_and_nothing_of_a_key() {
    let fixture = Fixture::new(true);
    fixture.files.create_first(at(1)).unwrap();
    let first = fixture.path("keys/first.key");
    fs::write(fixture.path("keys/.hidden.key"), "ignored").unwrap();
    fs::write(fixture.path("keys/README"), "ignored").unwrap();
    assert_eq!(fixture.ids().len(), 1);

    set_mode(&first, 0o644);
    assert!(fixture.fault().contains("first.key: others than its owner"));
    set_mode(&first, 0o600);
    set_mode(&fixture.path("keys"), 0o777);
    assert!(fixture.fault().contains("keys: others may put keys there"));
    set_mode(&fixture.path("keys"), 0o755);

    fs::write(&first, "created = 1\nkey = 'hunter2'").unwrap();
    let fault = fixture.fault();
    assert!(fault.contains("first.key: neither") && !fault.contains("hunter2"));
    fs::remove_file(&first).unwrap();
    assert!(fixture.fault().contains("keys: holds no key"));
}
