//! The sessions that ended before their time, as a value: what is added stays until the last token
//! of such a session has expired.
//!
//! All sessions of a user that began before a moment are one entry, and so are all of a user who
//! ends many one by one: the size is bounded by the number of users. A copy shares its users with
//! the original, so an end costs little however many users there are.

mod text;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::session::{Session, SessionId};
use crate::config::REFRESH_LIFETIME_MAX;
use crate::identity::directory::PasswordVersion;

/// The difference between an external issuer's clock and ours that is forgiven, in seconds.
pub(in crate::identity) const EXTERNAL_LEEWAY_S: u64 = 30;

/// Sessions of one user that are kept one by one; with one more, all of the user's end.
const SINGLE_SESSIONS_MAX: usize = 256;
/// Sessions of all users that are kept one by one, about 17 MB in the file. With more, all sessions
/// of the users who have ended most one by one end.
const ALL_SINGLE_SESSIONS_MAX: usize = 100_000;
/// Passwords of one user of which the ends are kept. Sessions of older ones end by their password.
const PASSWORDS_MAX: usize = 16;

/// The sessions that ended before their time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended(HashMap<Arc<str>, Arc<OfUser>>);

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

    /// Returns whether a session of the user has ended that began then by no password, as by an
    /// external token: every end of all sessions counts, whatever the password was. The issuer's clock
    /// may have been ahead when it said when that was.
    pub fn contains_external(&self, email: &str, begun_ms: u64) -> bool {
        let Some(user) = self.0.get(email) else {
            return false;
        };
        let earliest_ms = begun_ms.saturating_sub(EXTERNAL_LEEWAY_S * 1_000);
        let mut ends = user.passwords.iter();
        ends.any(|(_, until_ms)| *until_ms >= earliest_ms)
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

    /// Returns them without those of some users.
    #[must_use]
    pub fn without(&self, is_left_out: impl Fn(&str) -> bool) -> Self {
        let users = self.0.iter().filter(|(email, _)| !is_left_out(email));
        Self(
            users
                .map(|(email, user)| (Arc::clone(email), Arc::clone(user)))
                .collect(),
        )
    }

    /// Returns what all sessions of each user that had a password have ended until.
    pub fn passwords(&self) -> impl Iterator<Item = (&Arc<str>, PasswordVersion, u64)> {
        self.0.iter().flat_map(|(email, user)| {
            let passwords = user.passwords.iter();
            passwords.map(move |(password, until_ms)| (email, *password, *until_ms))
        })
    }

    /// Returns the sessions that ended alone, each with its user and the time of its end.
    pub fn single(&self) -> impl Iterator<Item = (&Arc<str>, PasswordVersion, SessionId, u64)> {
        self.0.iter().flat_map(|(email, user)| {
            let single = user.single.iter();
            single.map(move |one| (email, one.password, one.session, one.ended_ms))
        })
    }

    /// Ends all sessions of the user with this password that began until then.
    pub fn end_until(&mut self, email: &Arc<str>, password: PasswordVersion, until_ms: u64) {
        let user = self.user(email);
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
        let user = self.user(email);
        user.end_one(Single {
            session,
            password,
            ended_ms,
        });
        user.keep_bound();
    }

    fn user(&mut self, email: &Arc<str>) -> &mut OfUser {
        Arc::make_mut(self.0.entry(Arc::clone(email)).or_default())
    }

    /// Adds what ended elsewhere; returns whether that changes anything.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (email, theirs) in &other.0 {
            let ours = self.0.entry(Arc::clone(email)).or_default();
            if ours == theirs {
                continue;
            }
            let before = Arc::clone(ours);
            let ours = Arc::make_mut(ours);
            for (password, until_ms) in &theirs.passwords {
                ours.end_until(*password, *until_ms);
            }
            for single in &theirs.single {
                ours.end_one(*single);
            }
            ours.keep_bound();
            changed |= *ours != *before;
        }
        self.keep_bound(ALL_SINGLE_SESSIONS_MAX);
        changed
    }

    /// Keeps at most so many sessions one by one.
    fn keep_bound(&mut self, single_max: usize) {
        let mut single: usize = self.0.values().map(|user| user.single.len()).sum();
        if single <= single_max {
            return;
        }
        let mut users: Vec<_> = self.0.values_mut().collect();
        users.sort_by_key(|user| Reverse(user.single.len()));
        for user in users {
            if single <= single_max {
                break;
            }
            single -= user.single.len();
            Arc::make_mut(user).keep_single(0);
        }
    }

    /// Removes what no token can belong to any longer.
    pub fn prune(&mut self, now_ms: u64) {
        let kept_ms = u64::try_from(REFRESH_LIFETIME_MAX.as_millis()).unwrap_or(u64::MAX);
        let is_recent = |time_ms: u64| time_ms.saturating_add(kept_ms) > now_ms;
        self.0.retain(|_, user| {
            let passwords = user.passwords.iter().map(|(_, until_ms)| *until_ms);
            let mut times = passwords.chain(user.single.iter().map(|single| single.ended_ms));
            if times.all(is_recent) {
                return true;
            }
            let user = Arc::make_mut(user);
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

    /// Keeps at most so many sessions one by one; with more, all end.
    fn keep_single(&mut self, single_max: usize) {
        let mut single = std::mem::take(&mut self.single);
        single.retain(|single| self.until(single.password) < Some(single.ended_ms));
        if single.len() > single_max {
            for single in single.drain(..) {
                self.end_until(single.password, single.ended_ms);
            }
        }
        self.single = single;
    }

    fn keep_bound(&mut self) {
        self.keep_single(SINGLE_SESSIONS_MAX);
        if self.passwords.len() > PASSWORDS_MAX {
            self.passwords
                .sort_by_key(|(_, until_ms)| Reverse(*until_ms));
            self.passwords.truncate(PASSWORDS_MAX);
        }
    }
}

#[cfg(test)]
mod tests;
