//! Users with live tokens, in a directory of a size: each has a customer of their own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use iem_gateway::config::{self, Config};
use iem_gateway::identity::directory::Directory;
use iem_gateway::identity::password::{Cost, Password, PasswordHash};
use iem_gateway::identity::token::{SigningKey, Tokens};
use tempfile::TempDir;

use super::folder;

/// Longer than any run.
const LIFETIME: Duration = Duration::from_hours(12);

pub struct Users {
    folder: TempDir,
    /// An access token for each.
    tokens: Vec<String>,
}

impl Users {
    /// Writes a directory of `count` users and as many customers, and the key of their tokens.
    pub fn make(count: usize) -> Arc<Self> {
        let folder = folder::new("users");
        let path = folder.path().join("directory.toml");
        fs::write(&path, directory(count)).expect("room for the directory");
        let tokens = tokens(&path, &folder.path().join("token.key"));
        Arc::new(Self { folder, tokens })
    }

    pub fn count(&self) -> usize {
        self.tokens.len()
    }

    pub fn token(&self, user: usize) -> &str {
        &self.tokens[user]
    }

    /// The id of a user's customer; all have the same length.
    pub fn customer(user: usize) -> String {
        format!("customer-{user:06}")
    }

    pub fn directory(&self) -> PathBuf {
        self.folder.path().join("directory.toml")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.path().join("token.key")
    }
}

fn directory(count: usize) -> String {
    // Nobody logs in: one hash does for all.
    let cheap = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    let hash =
        PasswordHash::new(&Password::new("secret".to_owned()), cheap).expect("the cost is allowed");
    let hash = hash.as_str();
    let mut text = String::new();
    for user in 0..count {
        let customer = Users::customer(user);
        write!(
            text,
            "[[customer]]\nid = \"{customer}\"\nname = \"Customer {user}\"\n\n[[user]]\nemail = \"{}\"\n\
             name = \"User {user}\"\npassword = \"{hash}\"\ncustomers = [\"{customer}\"]\n\n",
            email(user)
        )
        .expect("a string takes text");
    }
    text
}

fn email(user: usize) -> String {
    format!("user-{user:06}@example.com")
}

fn tokens(directory: &Path, key: &Path) -> Vec<String> {
    let directory = Directory::read(directory).expect("a directory that holds");
    let key = SigningKey::open(key).expect("a key");
    let config = config::Tokens {
        access_lifetime: LIFETIME,
        refresh_lifetime: LIFETIME,
        ..Config::default().tokens
    };
    let tokens = Tokens::new(&key, &config);
    let now = SystemTime::now();
    let token = |user| tokens.issue(user, now).expect("a token").access;
    directory.users().iter().map(|user| token(user)).collect()
}
