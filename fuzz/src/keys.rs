//! Any bytes as a key file in the folder of the key ring. Checked: nothing panics; an error names
//! the file in one line and shows nothing of a key; a key that is taken signs tokens that name it,
//! which are taken with it and not without it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iem_gateway::config::{self, Config};
use iem_gateway::identity::directory::{Directory, User};
use iem_gateway::identity::sessions::Session;
use iem_gateway::identity::token::{KeyFiles, SigningKey, Tokens, Use};
use iem_test_support::find;
use serde_json::Value;
use tempfile::TempDir;

use crate::folder;
use crate::gateway::hash;

/// A secret that must not be shown.
const SECRET: &str = "hunter2";

static HOME: LazyLock<Home> = LazyLock::new(Home::new);

struct Home {
    _folder: TempDir,
    file: PathBuf,
    config: config::Tokens,
    directory: Directory,
}

impl Home {
    fn new() -> Self {
        let folder = folder::create();
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).expect("a folder in the home");
        fs::set_permissions(&keys, Permissions::from_mode(0o700)).expect("a mode");
        let file = keys.join("fuzzed.key");
        fs::write(&file, "").expect("a file in the folder");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
        let user = format!(
            "[[user]]\nemail = \"alice\"\nname = \"A\"\npassword = \"{}\"\n",
            hash("alice").as_str()
        );
        Self {
            config: config::Tokens {
                keys,
                key_file: folder.path().join("token.key"),
                ..Config::default().tokens
            },
            directory: Directory::parse(&user, Path::new("directory.toml")).expect("it holds"),
            file,
            _folder: folder,
        }
    }

    fn user(&self) -> &User {
        self.directory.users()[0]
    }
}

/// Checks one input.
pub fn check(input: &[u8]) {
    fs::write(&HOME.file, input).expect("a file in the folder");
    let ring = match KeyFiles::new(&HOME.config).ring() {
        Ok(ring) => ring,
        Err(error) => {
            let text = format!("{error}");
            assert!(text.contains("fuzzed.key: "), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
            let hidden = find(input, SECRET.as_bytes()).is_some();
            assert!(!hidden || !format!("{text}{error:?}").contains(SECRET));
            return;
        }
    };
    let now = SystemTime::now();
    let id = ring
        .signer(HOME.config.key_delay, now)
        .expect("a key signs");
    assert_eq!(ring.keys().map(|(id, _)| id).collect::<Vec<_>>(), [id]);
    let shown = format!("{ring:?}");
    assert!(find(shown.as_bytes(), input.trim_ascii()).is_none());

    let tokens = Tokens::open(&HOME.config).expect("the ring was read before");
    let pair = tokens.issue(HOME.user(), &Session::begin(now), now);
    let token = pair.expect("a signature").access;
    let claims = tokens.read(token.as_bytes(), Use::Access).expect("our own");
    assert!(claims.key == id && tokens.has_key(&claims));
    let header = token.split('.').next().expect("a header");
    let header = URL_SAFE_NO_PAD.decode(header).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    assert_eq!(header["kid"], id.to_string());
    let others = Tokens::new(&SigningKey::random(), &HOME.config);
    assert!(others.read(token.as_bytes(), Use::Access).is_err());
    assert!(!others.has_key(&claims));
}
