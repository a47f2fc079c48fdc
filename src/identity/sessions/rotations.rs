//! The refresh tokens that were used, by which a stolen one shows.
//!
//! Each refresh counts the session's generation up by one, and the new tokens carry it. A refresh
//! token of a generation that was used before comes from a thief, or from the owner after a thief:
//! either way the session must end. A client that lost an answer may send the newest used token
//! again within [`GRACE_MS`], and gets a token of the same next generation; whichever of the two is
//! used first, the other shows.
//!
//! Known since the gateway's start; with a shared directory, whichever gateway it was. A user has a bounded number of sessions here, so that a user
//! who begins many displaces none of another user's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;

use super::session::{SessionId, milliseconds};

/// The time for which the newest used token may be sent again.
const GRACE_MS: u64 = 10_000;
/// The sessions of one user that are known; beyond it those refreshed longest ago are forgotten.
const SESSIONS_PER_USER: usize = 64;

/// The uses that are kept for other gateways, which cannot be told while the database is away; about
/// 10 MB. Counts in the memory ceiling.
const UNTOLD_MAX: usize = 100_000;

/// The result of looking at a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The token may be exchanged.
    Next,
    /// The token was used before: its session must end.
    Reused,
}

/// The newest used refresh token of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Used {
    session: SessionId,
    generation: u64,
    /// The time of its first use, in milliseconds of Unix time.
    first_ms: u64,
}

/// The newest used refresh token of each session that was refreshed.
#[derive(Debug)]
pub struct Rotations {
    known: Cache<Arc<str>, Arc<[Used]>>,
    /// The uses here of which other gateways are to be told, if there are others.
    untold: Option<Mutex<Vec<UsedHere>>>,
}

/// The use of a refresh token at this gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedHere {
    /// The email of the session's user.
    pub email: Arc<str>,
    /// The session.
    pub session: SessionId,
    /// The generation of the token.
    pub generation: u64,
    /// The time of its first use, in milliseconds of Unix time.
    pub first_ms: u64,
}

impl Rotations {
    /// Knows `sessions` sessions in all, and none for longer than a refresh token lives.
    pub fn new(sessions: usize, refresh_lifetime: Duration) -> Self {
        Self {
            known: Cache::builder()
                .max_capacity(sessions as u64)
                .weigher(|_, used: &Arc<[Used]>| u32::try_from(used.len()).unwrap_or(u32::MAX))
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(refresh_lifetime)
                .build(),
            untold: None,
        }
    }

    /// Returns them in such a way that other gateways are told of each use.
    #[must_use]
    pub fn shared(self) -> Self {
        Self {
            untold: Some(Mutex::default()),
            ..self
        }
    }

    /// Notes the use of a session's refresh token of this generation.
    pub fn turn(
        &self,
        email: &Arc<str>,
        session: SessionId,
        generation: u64,
        now: SystemTime,
    ) -> Turn {
        let now_ms = milliseconds(now);
        let mut turn = Turn::Next;
        let mut is_first = false;
        self.change(email, |used| {
            let before = generation_of(used, session);
            turn = take_turn(used, session, generation, now_ms);
            is_first = generation_of(used, session) != before;
        });
        if let Some(untold) = self.untold.as_ref().filter(|_| is_first) {
            let mut untold = untold.lock();
            if untold.len() < UNTOLD_MAX {
                untold.push(UsedHere {
                    email: Arc::clone(email),
                    session,
                    generation,
                    first_ms: now_ms,
                });
            }
        }
        turn
    }

    /// Returns the uses here of which other gateways were not told yet.
    pub fn take_untold(&self) -> Vec<UsedHere> {
        let untold = self.untold.as_ref();
        untold.map_or_else(Vec::new, |untold| std::mem::take(&mut *untold.lock()))
    }

    /// Puts back uses of which nobody could be told.
    pub fn put_back(&self, uses: Vec<UsedHere>) {
        if let Some(untold) = &self.untold {
            let mut untold = untold.lock();
            untold.splice(0..0, uses);
            untold.truncate(UNTOLD_MAX);
        }
    }

    /// Notes the use of a refresh token at another gateway.
    pub fn merge(&self, email: &Arc<str>, session: SessionId, generation: u64, first_ms: u64) {
        self.change(email, |used| {
            if generation_of(used, session).is_none_or(|known| known < generation) {
                take_turn(used, session, generation, first_ms);
            }
        });
    }

    fn change(&self, email: &Arc<str>, change: impl FnOnce(&mut Vec<Used>)) {
        self.known
            .entry(Arc::clone(email))
            .and_compute_with(|entry| {
                let mut used = entry.map_or_else(Vec::new, |entry| entry.value().to_vec());
                change(&mut used);
                Op::Put(used.into())
            });
    }
}

fn generation_of(used: &[Used], session: SessionId) -> Option<u64> {
    let mut used = used.iter();
    used.find(|used| used.session == session)
        .map(|used| used.generation)
}

fn take_turn(used: &mut Vec<Used>, session: SessionId, generation: u64, now_ms: u64) -> Turn {
    let newest = Used {
        session,
        generation,
        first_ms: now_ms,
    };
    match used.iter_mut().find(|used| used.session == session) {
        Some(known) if generation > known.generation => *known = newest,
        Some(known) => {
            let is_within_grace = now_ms.saturating_sub(known.first_ms) <= GRACE_MS;
            return if generation == known.generation && is_within_grace {
                Turn::Next
            } else {
                Turn::Reused
            };
        }
        None => {
            if used.len() == SESSIONS_PER_USER
                && let Some(oldest) = (0..used.len()).min_by_key(|index| used[*index].first_ms)
            {
                used.swap_remove(oldest);
            }
            used.push(newest);
        }
    }
    Turn::Next
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    /// Uses tokens of one session: their generation, the time in milliseconds, and the result.
    #[track_caller]
    fn check(turns: &[(u64, u64, Turn)]) {
        let (mut used, session) = (Vec::new(), SessionId::random());
        for (generation, now_ms, expected) in turns {
            let turn = take_turn(&mut used, session, *generation, *now_ms);
            assert_eq!(turn, *expected, "generation {generation} at {now_ms} ms");
        }
    }

    #[test]
    fn each_generation_is_used_once() {
        check(&[
            (0, 0, Turn::Next),
            (1, 1, Turn::Next),
            (2, 2, Turn::Next),
            (1, 3, Turn::Reused),
            (0, 4, Turn::Reused),
        ]);
    }

    #[test]
    fn a_lost_answer_is_asked_for_again_within_the_grace_that_counts_from_the_first_use() {
        check(&[
            (0, 1_000, Turn::Next),
            (0, 1_000, Turn::Next),
            (0, 9_000, Turn::Next),
            (0, 11_000, Turn::Next),
            (0, 11_001, Turn::Reused),
        ]);
    }

    #[test]
    fn two_tokens_of_one_generation_show_when_the_second_is_used() {
        check(&[
            (0, 0, Turn::Next),
            (0, 5_000, Turn::Next),
            (1, 6_000, Turn::Next),
            (1, 60_000, Turn::Reused),
        ]);
    }

    #[test]
    fn a_clock_that_steps_back_ends_nothing_within_the_grace() {
        check(&[(0, 50_000, Turn::Next), (0, 1_000, Turn::Next)]);
    }

    #[test]
    fn a_session_that_is_not_known_goes_on_at_any_generation() {
        check(&[(7, 0, Turn::Next), (6, 1, Turn::Reused), (8, 2, Turn::Next)]);
    }

    #[test]
    fn a_user_with_many_sessions_displaces_no_other_users() {
        let rotations = Rotations::new(1_000, DAY);
        let (alice, mallory): (Arc<str>, Arc<str>) = ("alice".into(), "mallory".into());
        let at = |second| UNIX_EPOCH + Duration::from_secs(second);
        let session = SessionId::random();
        assert_eq!(rotations.turn(&alice, session, 0, at(0)), Turn::Next);
        for second in 0..10_000 {
            rotations.turn(&mallory, SessionId::random(), 0, at(second));
        }
        rotations.known.run_pending_tasks();
        assert!(rotations.known.weighted_size() <= 1 + SESSIONS_PER_USER as u64);
        assert_eq!(rotations.turn(&alice, session, 0, at(60)), Turn::Reused);
    }
}
