//! The sessions of browsers that have logged in: a small table, by the digests of their ids.
//!
//! An id is 256 random bits, known to the browser alone. A session ends 12 h after its log-in, after
//! an hour without a request, when its user logs out, or when the table is full and it has been
//! unused for longest. Whether its user may still be here is asked of the directory each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::secret::secret;
use crate::identity::directory::PasswordVersion;
use crate::identity::sessions::Session;

/// Sessions at once.
const SESSIONS_MAX: usize = 64;
/// The time from a log-in to the end of its session.
const LIFETIME: Duration = Duration::from_hours(12);
/// The time without a request after which a session ends.
const IDLE_TIME: Duration = Duration::from_hours(1);

/// The sessions.
#[derive(Default)]
pub(super) struct Sessions(Vec<Kept>);

/// A session.
pub(super) struct Kept {
    /// Hashes compare in constant time.
    digest: blake3::Hash,
    pub(super) email: Arc<str>,
    pub(super) password: PasswordVersion,
    /// The session as the directory's list of ended ones knows it.
    pub(super) session: Session,
    /// The token that requests which change something carry.
    pub(super) csrf: Arc<str>,
    begun: Instant,
    used: Instant,
}

/// The digest of a session's id.
pub(super) fn digest(id: &[u8]) -> blake3::Hash {
    blake3::hash(id)
}

impl Sessions {
    /// Begins a session of a user who has logged in, and returns its id.
    pub(super) fn begin(
        &mut self,
        email: &Arc<str>,
        password: PasswordVersion,
        session: Session,
        now: Instant,
    ) -> String {
        self.end_old(now);
        if self.0.len() >= SESSIONS_MAX {
            let longest_unused = (0..self.0.len()).min_by_key(|index| self.0[*index].used);
            longest_unused.map(|index| self.0.swap_remove(index));
        }
        let id = secret();
        self.0.push(Kept {
            digest: digest(id.as_bytes()),
            email: Arc::clone(email),
            password,
            session,
            csrf: secret().into(),
            begun: now,
            used: now,
        });
        id
    }

    /// Returns the session with this digest, which is used now.
    pub(super) fn used(&mut self, digest: &blake3::Hash, now: Instant) -> Option<&Kept> {
        self.end_old(now);
        let kept = self.0.iter_mut().find(|kept| kept.digest == *digest)?;
        kept.used = now;
        Some(kept)
    }

    /// Ends the session with this digest.
    pub(super) fn end(&mut self, digest: &blake3::Hash) {
        self.0.retain(|kept| kept.digest != *digest);
    }

    fn end_old(&mut self, now: Instant) {
        self.0.retain(|kept| {
            now.saturating_duration_since(kept.begun) < LIFETIME
                && now.saturating_duration_since(kept.used) < IDLE_TIME
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn begin(sessions: &mut Sessions, now: Instant) -> blake3::Hash {
        let password = PasswordVersion::try_from("7".to_owned()).expect("a version");
        let session = Session::begin(SystemTime::now());
        let id = sessions.begin(&"root@example.com".into(), password, session, now);
        digest(id.as_bytes())
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_session_ends_an_hour_after_its_last_request() {
        let (mut sessions, begun) = (Sessions::default(), Instant::now());
        let id = begin(&mut sessions, begun);
        let later = begun + MINUTE;
        assert!(sessions.used(&id, later).is_some());
        assert!(sessions.used(&id, later + 59 * MINUTE).is_some());
        assert!(sessions.used(&id, later + 2 * IDLE_TIME).is_none());
        assert!(sessions.0.is_empty());
    }

    #[test]
    fn a_session_ends_however_much_it_is_used() {
        let (mut sessions, begun) = (Sessions::default(), Instant::now());
        let id = begin(&mut sessions, begun);
        let mut now = begun;
        while now + MINUTE < begun + LIFETIME {
            now += MINUTE;
            assert!(sessions.used(&id, now).is_some());
        }
        assert!(sessions.used(&id, begun + LIFETIME).is_none());
    }

    #[test]
    fn one_session_more_ends_the_longest_unused() {
        let (mut sessions, begun) = (Sessions::default(), Instant::now());
        let ids: Vec<_> = (0..SESSIONS_MAX)
            .map(|_| begin(&mut sessions, begun))
            .collect();
        for (index, id) in ids.iter().enumerate().filter(|(index, _)| *index != 7) {
            let now = begun + Duration::from_secs(index as u64 + 1);
            assert!(sessions.used(id, now).is_some());
        }
        let now = begun + MINUTE * 2;
        let new = begin(&mut sessions, now);
        assert!(sessions.used(&ids[7], now).is_none());
        assert!(sessions.used(&ids[8], now).is_some() && sessions.used(&new, now).is_some());
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
    }

    #[test]
    fn a_session_that_is_ended_is_gone_and_no_other() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (one, other) = (begin(&mut sessions, now), begin(&mut sessions, now));
        sessions.end(&one);
        assert!(sessions.used(&one, now).is_none() && sessions.used(&other, now).is_some());
        assert!(sessions.used(&digest(b""), now).is_none());
    }
}
