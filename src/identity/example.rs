//! A directory for tests, with hashes that cost next to nothing.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::directory::{Directory, User};
use super::password::{Cost, Password, PasswordHash};

pub(crate) const CHEAP: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

/// Every user's password is `secret of <email>`.
pub(crate) fn password(email: &str) -> Password {
    Password::new(format!("secret of {email}"))
}

/// The example as text. The hashes are the same for all tests of a run.
pub(crate) static TEXT: LazyLock<String> = LazyLock::new(|| {
    let hash = |email: &str| {
        PasswordHash::new(&password(email), CHEAP)
            .unwrap()
            .as_str()
            .to_owned()
    };
    format!(
        r#"# Two customers, one of them asleep.
[[customer]]
id = "acme"
name = "Acme"

[[customer]]
id = "idle" # not yet
name = "Idle"
active = false

[[user]]
email = "nifi@example.com"
name = "NiFi"
password = "{nifi}"
customers = ["acme"] # the first

[[user]]
email = "root@example.com"
name = "Root"
password = "{root}"
superadmin = true

[[user]]
email = "console@example.com"
name = "Console"
password = "{console}"
organization = true
customers = ["acme", "idle"]

[[user]]
email = "gone@example.com"
name = "Gone"
password = "{gone}"
enabled = false # since May
customers = ["acme"]

[[integration]]
customer = "acme"
id = "servicenow"

[[integration]]
customer = "acme"
id = "jira"
states = {{ "10" = "resolved", 2 = "open" }}
"#,
        nifi = hash("nifi@example.com"),
        root = hash("root@example.com"),
        console = hash("console@example.com"),
        gone = hash("gone@example.com"),
    )
});

pub(crate) fn directory() -> Directory {
    Directory::parse(&TEXT, Path::new("directory.toml")).unwrap()
}

pub(crate) fn user(email: &str) -> Arc<User> {
    Arc::clone(directory().user(email).unwrap())
}
