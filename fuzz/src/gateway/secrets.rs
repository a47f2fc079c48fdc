//! The directory of the contract's tests, with the tokens and credentials of its users.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use iem_gateway::config::{self, Config};
use iem_gateway::identity::directory::{Directory, User};
use iem_gateway::identity::password::{Cost, Password, PasswordHash};
use iem_gateway::identity::sessions::Session;
use iem_gateway::identity::token::{SigningKey, TokenPair, Tokens};
use iem_test_support::directory::{DIRECTORY, with_hashes};

/// A customer that may send little.
const SMALL: &str = "\n[[customer]]\nid = \"small\"\nname = \"Small\"\nquota = { records = 2 }\n";

pub struct Secrets {
    /// By email, in Base64 as far as its length tells nothing of what follows.
    pub credentials: Vec<(String, String)>,
    pub expired: String,
    pub foreign: String,
    tokens: Vec<(String, TokenPair)>,
    ours: Tokens,
    users: Vec<Arc<User>>,
}

impl Secrets {
    /// Writes the directory and the key to `home`.
    pub fn new(home: &Path) -> (Self, Directory) {
        // By their hashes.
        let mut passwords = HashMap::new();
        let text = with_hashes(&format!("{DIRECTORY}{SMALL}"), |password| {
            let hash = hash(password).as_str().to_owned();
            passwords.insert(hash.clone(), password.to_owned());
            hash
        });
        let path = home.join("directory.toml");
        std::fs::write(&path, &text).expect("a file in the home");
        let directory = Directory::parse(&text, &path).expect("it holds");
        let key = SigningKey::open(&home.join("token.key")).expect("a new key");
        let lifetime = Duration::from_hours(24 * 365);
        let config = config::Tokens {
            access_lifetime: lifetime,
            refresh_lifetime: lifetime,
            session_lifetime: lifetime,
            ..Config::default().tokens
        };
        let (ours, others) = (
            Tokens::new(&key, &config),
            Tokens::new(&SigningKey::random(), &config),
        );
        let (now, long_ago) = (SystemTime::now(), SystemTime::UNIX_EPOCH);
        let user = directory.users()[0];
        let issue = |tokens: &Tokens, user: &User, now| {
            let session = Session::begin(now);
            tokens.issue(user, &session, now).expect("a signature")
        };
        let tokens = directory.iter_users();
        let tokens = tokens.map(|user| (user.email.to_string(), issue(&ours, user, now)));
        let credentials = directory.iter_users().flat_map(|user| {
            let hash = user.password().expect("each has one");
            let password = &passwords[hash.as_str()];
            let text = format!("{}:{password}", user.email);
            let latin_1 = text
                .chars()
                .map(|letter| u8::try_from(letter).expect("a Latin-1 letter"));
            [
                STANDARD_NO_PAD.encode(&text),
                STANDARD_NO_PAD.encode(latin_1.collect::<Vec<_>>()),
            ]
            .map(|encoded| (user.email.to_string(), encoded))
        });
        let secrets = Self {
            credentials: credentials.collect(),
            expired: issue(&ours, user, long_ago).access,
            foreign: issue(&others, user, now).access,
            tokens: tokens.collect(),
            users: directory.users().into_iter().cloned().collect(),
            ours,
        };
        (secrets, directory)
    }

    /// The email of a user by the name before it.
    pub fn email(&self, user: &str) -> String {
        self.pair(user)
            .map(|(email, _)| email.clone())
            .unwrap_or_default()
    }

    pub fn token(&self, user: &str) -> Option<String> {
        self.pair(user).map(|(_, pair)| pair.access.clone())
    }

    /// A refresh token that nobody has used: the gateway ends the session of one that was.
    pub fn refresh_token(&self, user: &str) -> Option<String> {
        let (email, _) = self.pair(user)?;
        let user = self.users.iter().find(|user| *user.email == **email)?;
        let now = SystemTime::now();
        let pair = self.ours.issue(user, &Session::begin(now), now);
        Some(pair.expect("a signature").refresh)
    }

    /// Every token that a user has.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.tokens
            .iter()
            .flat_map(|(_, pair)| [&pair.access, &pair.refresh])
    }

    fn pair(&self, user: &str) -> Option<&(String, TokenPair)> {
        self.tokens
            .iter()
            .find(|(email, _)| email.split_once('@').is_some_and(|(name, _)| name == user))
    }
}

/// Hashes a password at the lowest cost that there is.
pub fn hash(password: &str) -> PasswordHash {
    let cost = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    PasswordHash::new(&Password::new(password.to_owned()), cost).expect("a hash")
}
