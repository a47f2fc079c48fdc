//! Ended sessions as the text of their file: TOML, a table for each entry.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Ended, OfUser, Single};
use crate::identity::directory::{DirectoryError, PasswordVersion};
use crate::identity::sessions::session::SessionId;

const HEADER: &str = "\
# Sessions that ended before their time. Kept by iem-gateway: without this file they would go on.

";

/// The whole file.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user: Vec<UserEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    session: Vec<SessionEntry>,
}

/// All sessions of a user that had this password and began until a time.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    email: String,
    password_version: String,
    until_ms: u64,
}

/// One session.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(deny_unknown_fields)]
struct SessionEntry {
    email: String,
    password_version: String,
    id: String,
    ended_ms: u64,
}

impl Ended {
    /// Reads ended sessions from `text`; `path` is for the error alone.
    ///
    /// # Errors
    /// The text holds something else, or more than that.
    pub fn parse(text: &str, path: &Path) -> Result<Self, DirectoryError> {
        let entries: Entries = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map(|span| 1 + text[..span.start].matches('\n').count());
            DirectoryError::in_line(path, line, error.message().replace('\n', ", "))
        })?;
        let faulty = |what: &str, value: &str| {
            DirectoryError::of_file(path, &format!("{what} {value:?} is not hexadecimal"))
        };
        let password = |text: String| {
            PasswordVersion::try_from(text.clone()).map_err(|_| faulty("password_version", &text))
        };
        let mut ended = Self::default();
        for entry in entries.user {
            let version = password(entry.password_version)?;
            ended.end_until(&entry.email.into(), version, entry.until_ms);
        }
        for entry in entries.session {
            let version = password(entry.password_version)?;
            let id = SessionId::try_from(entry.id.clone()).map_err(|_| faulty("id", &entry.id))?;
            ended.end_one(&entry.email.into(), version, id, entry.ended_ms);
        }
        Ok(ended)
    }

    /// Returns the text of the file, the same for the same sessions.
    pub fn to_text(&self) -> String {
        let mut entries = Entries::default();
        for (email, user) in &self.0 {
            let OfUser { passwords, single } = &**user;
            entries
                .user
                .extend(passwords.iter().map(|(version, until_ms)| UserEntry {
                    email: email.to_string(),
                    password_version: (*version).into(),
                    until_ms: *until_ms,
                }));
            entries.session.extend(single.iter().map(|single| {
                let Single {
                    session,
                    password,
                    ended_ms,
                } = *single;
                SessionEntry {
                    email: email.to_string(),
                    password_version: password.into(),
                    id: session.into(),
                    ended_ms,
                }
            }));
        }
        entries.user.sort();
        entries.session.sort();
        let text = toml::to_string(&entries).expect("strings and numbers are TOML");
        format!("{HEADER}{text}")
    }
}
