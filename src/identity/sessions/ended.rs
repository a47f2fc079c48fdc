//! The sessions that ended before their time, as a value: what is added stays until the last token
//! of such a session has expired.
//!
//! All sessions of a user that began before a moment are one entry, and so are all of a user who
//! ends many one by one: the size is bounded by the number of users.

mod text;

use std::collections::HashMap;
use std::sync::Arc;

use super::session::{Session, SessionId};
use crate::config::REFRESH_LIFETIME_MAX;
use crate::identity::directory::PasswordVersion;

/// Sessions of one user that are kept one by one; with one more, all of the user's end.
const SINGLE_SESSIONS_MAX: usize = 16;
/// Passwords of one user of which the ends are kept. Sessions of older ones end by their password.
const PASSWORDS_MAX: usize = 16;

/// The sessions that ended before their time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended(HashMap<Arc<str>, OfUser>);

/// Ended sessions of one user. All times are in milliseconds of Unix time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfUser {
    /// The time until which sessions that had this password have ended.
    passwords: Vec<(PasswordVersion, u64)>,
    single: Vec<Single>,
}

/// A session that ended alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Single {
    session: SessionId,
    password: PasswordVersion,
    ended_ms: u64,
}

impl Ended {
    /// Returns whether the session has ended. It never blocks and never allocates.
    pub fn contains(&self, email: &str, password: PasswordVersion, session: &Session) -> bool {
        // Most of the time there is none.
        if self.0.is_empty() {
            return false;
        }
        self.0.get(email).is_some_and(|user| {
            let mut single = user.single.iter();
            user.until(password) >= Some(session.begun_ms)
                || single.any(|single| session.id == Some(single.session))
        })
    }

    /// Returns the time until which all sessions of the user with this password have ended.
    pub fn until(&self, email: &str, password: PasswordVersion) -> Option<u64> {
        self.0.get(email)?.until(password)
    }

    /// Ends all sessions of the user with this password that have begun until now.
    pub fn end_all(&mut self, email: &Arc<str>, password: PasswordVersion, now_ms: u64) {
        // After an end by a clock that is ahead of ours, sessions begin a millisecond later.
        let last_ms = self.until(email, password);
        let until_ms = last_ms.map_or(now_ms, |last_ms| now_ms.max(last_ms.saturating_add(1)));
        self.end_until(email, password, until_ms);
    }

    /// Ends all sessions of the user with this password that began until then.
    fn end_until(&mut self, email: &Arc<str>, password: PasswordVersion, until_ms: u64) {
        let user = self.0.entry(Arc::clone(email)).or_default();
        user.end_until(password, until_ms);
        user.keep_bound();
    }

    /// Ends one session of the user, which began no later than at `ended_ms`.
    pub fn end_one(
        &mut self,
        email: &Arc<str>,
        password: PasswordVersion,
        session: SessionId,
        ended_ms: u64,
    ) {
        let user = self.0.entry(Arc::clone(email)).or_default();
        user.end_one(Single {
            session,
            password,
            ended_ms,
        });
        user.keep_bound();
    }

    /// Adds what ended elsewhere; returns whether that changes anything.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (email, theirs) in &other.0 {
            let ours = self.0.entry(Arc::clone(email)).or_default();
            let before = ours.clone();
            for (password, until_ms) in &theirs.passwords {
                ours.end_until(*password, *until_ms);
            }
            for single in &theirs.single {
                ours.end_one(*single);
            }
            ours.keep_bound();
            changed |= *ours != before;
        }
        changed
    }

    /// Removes what no token can belong to any longer.
    pub fn prune(&mut self, now_ms: u64) {
        let kept_ms = u64::try_from(REFRESH_LIFETIME_MAX.as_millis()).unwrap_or(u64::MAX);
        let is_recent = |time_ms: u64| time_ms.saturating_add(kept_ms) > now_ms;
        self.0.retain(|_, user| {
            user.passwords.retain(|(_, until_ms)| is_recent(*until_ms));
            user.single.retain(|single| is_recent(single.ended_ms));
            !user.passwords.is_empty() || !user.single.is_empty()
        });
    }
}

impl OfUser {
    fn until(&self, password: PasswordVersion) -> Option<u64> {
        let mut passwords = self.passwords.iter();
        passwords
            .find(|(version, _)| *version == password)
            .map(|(_, until_ms)| *until_ms)
    }

    fn end_until(&mut self, password: PasswordVersion, until_ms: u64) {
        let mut passwords = self.passwords.iter_mut();
        match passwords.find(|(version, _)| *version == password) {
            Some((_, last_ms)) => *last_ms = until_ms.max(*last_ms),
            None => self.passwords.push((password, until_ms)),
        }
    }

    fn end_one(&mut self, single: Single) {
        let mut known = self.single.iter_mut();
        match known.find(|known| known.session == single.session) {
            Some(known) => known.ended_ms = single.ended_ms.max(known.ended_ms),
            None => self.single.push(single),
        }
    }

    fn keep_bound(&mut self) {
        let mut single = std::mem::take(&mut self.single);
        single.retain(|single| self.until(single.password) < Some(single.ended_ms));
        if single.len() > SINGLE_SESSIONS_MAX {
            for single in single.drain(..) {
                self.end_until(single.password, single.ended_ms);
            }
        }
        self.single = single;
        if self.passwords.len() > PASSWORDS_MAX {
            self.passwords
                .sort_by_key(|(_, until_ms)| std::cmp::Reverse(*until_ms));
            self.passwords.truncate(PASSWORDS_MAX);
        }
    }
}

#[cfg(test)]
mod tests;
