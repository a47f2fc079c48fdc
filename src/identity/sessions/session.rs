//! One session, as its tokens tell it.

use std::num::ParseIntError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::certificate::Thumbprint;

/// The id of a session: random, and in each of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(u128);

impl SessionId {
    /// Returns an id that no other session has.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        format!("{:032x}", id.0)
    }
}

impl TryFrom<String> for SessionId {
    type Error = ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// A session, as its tokens tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id. `None` for a token that was issued before tokens had one.
    pub id: Option<SessionId>,
    /// The time of the log-in, in milliseconds of Unix time.
    pub begun_ms: u64,
    /// The number of refreshes since the log-in.
    pub generation: u64,
    /// The client certificate of the log-in, without which its tokens are not accepted. `None` for
    /// a log-in by password.
    pub certificate: Option<Thumbprint>,
}

impl Session {
    /// Begins a session at `now`.
    pub fn begin(now: SystemTime) -> Self {
        Self {
            id: Some(SessionId::random()),
            begun_ms: milliseconds(now),
            generation: 0,
            certificate: None,
        }
    }

    /// Returns the session after a refresh. A token without a session's id gets one, and keeps the
    /// time at which it was issued as that of the log-in.
    #[must_use]
    pub fn refreshed(self) -> Self {
        Self {
            id: Some(self.id.unwrap_or_else(SessionId::random)),
            generation: self.generation.saturating_add(1),
            ..self
        }
    }

    /// Returns the second of Unix time at which a session of this lifetime ends.
    pub fn end_s(&self, lifetime: Duration) -> u64 {
        (self.begun_ms / 1000).saturating_add(lifetime.as_secs())
    }
}

/// Returns whole milliseconds of Unix time; a clock before 1970 counts as 1970.
pub fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
