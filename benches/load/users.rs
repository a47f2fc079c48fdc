//! Users with valid tokens in a directory file. Each user has a customer of their own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use iem_gateway::config::{self, Config};
use iem_gateway::identity::directory::Directory;
use iem_gateway::identity::password::{Cost, Password, PasswordHash};
use iem_gateway::identity::sessions::Session;
use iem_gateway::identity::token::{SigningKey, Tokens};
use tempfile::TempDir;

use super::folder;

/// The tokens' lifetime, longer than any run.
const LIFETIME: Duration = Duration::from_hours(12);

pub struct Users {
    folder: TempDir,
    /// The access token of each user.
    tokens: Vec<String>,
}

impl Users {
    /// Writes a directory of `count` users and as many customers, and the key that signs their
    /// tokens.
    pub fn make(count: usize) -> Arc<Self> {
        let folder = folder::new("users");
        let path = folder.path().join("directory.toml");
        fs::write(&path, directory(count)).expect("the directory is written");
        let tokens = tokens(&path, &folder.path().join("token.key"));
        Arc::new(Self { folder, tokens })
    }

    pub fn count(&self) -> usize {
        self.tokens.len()
    }

    pub fn token(&self, user: usize) -> &str {
        &self.tokens[user]
    }

    /// Returns the id of a user's customer. All ids have the same length.
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
    // No user logs in, so that all can have the same hash.
    let hash = PasswordHash::new(&Password::new("secret".to_owned()), Cost::default())
        .expect("the cost is allowed");
    let hash = hash.as_str();
    let mut text = String::new();
    for user in 0..count {
        let customer = Users::customer(user);
        write!(
            text,
            "[[customer]]\nid = \"{customer}\"\nname = \"Customer {user}\"\n\n\
             [[user]]\nemail = \"{}\"\nname = \"User {user}\"\n\
             password = \"{hash}\"\ncustomers = [\"{customer}\"]\n\n",
            email(user)
        )
        .expect("a string takes every write");
    }
    text
}

fn email(user: usize) -> String {
    format!("user-{user:06}@example.com")
}

fn tokens(directory: &Path, key: &Path) -> Vec<String> {
    let directory = Directory::read(directory).expect("the directory is valid");
    let key = SigningKey::open(key).expect("the key is valid");
    let config = config::Tokens {
        access_lifetime: LIFETIME,
        refresh_lifetime: LIFETIME,
        ..Config::default().tokens
    };
    let tokens = Tokens::new(&key, &config);
    let now = SystemTime::now();
    directory
        .users()
        .iter()
        .map(|user| {
            let session = Session::begin(now);
            let pair = tokens.issue(user, &session, now);
            pair.expect("a token is issued").access
        })
        .collect()
}
