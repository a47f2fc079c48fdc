//! The refresh tokens that were used, by which a stolen one shows.
//!
//! Each refresh counts the session's generation up by one, and the new tokens carry it. A refresh
//! token of a generation that was used before comes from a thief, or from the owner after a thief:
//! either way the session must end. A client that lost an answer may send the newest used token
//! again within [`GRACE_MS`], and gets a token of the same next generation; whichever of the two is
//! used first, the other shows.
//!
//! Known since the gateway's start. A user has a bounded number of sessions here, so that a user
//! who begins many displaces none of another user's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::session::{SessionId, milliseconds};

/// The time for which the newest used token may be sent again.
const GRACE_MS: u64 = 10_000;
/// The sessions of one user that are known; beyond it those refreshed longest ago are forgotten.
const SESSIONS_PER_USER: usize = 64;

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

/// The newest used refresh token of each session that was refreshed here.
#[derive(Debug)]
pub struct Rotations(Cache<Arc<str>, Arc<[Used]>>);

impl Rotations {
    /// Knows `sessions` sessions in all, and none for longer than a refresh token lives.
    pub fn new(sessions: usize, refresh_lifetime: Duration) -> Self {
        Self(
            Cache::builder()
                .max_capacity(sessions as u64)
                .weigher(|_, used: &Arc<[Used]>| u32::try_from(used.len()).unwrap_or(u32::MAX))
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(refresh_lifetime)
                .build(),
        )
    }

    /// Notes the use of a session's refresh token of this generation.
    pub fn turn(
        &self,
        email: &Arc<str>,
        session: SessionId,
        generation: u64,
        now: SystemTime,
    ) -> Turn {
        let mut turn = Turn::Next;
        self.0.entry(Arc::clone(email)).and_compute_with(|entry| {
            let mut used = entry.map_or_else(Vec::new, |entry| entry.value().to_vec());
            turn = take_turn(&mut used, session, generation, milliseconds(now));
            Op::Put(used.into())
        });
        turn
    }
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
        rotations.0.run_pending_tasks();
        assert!(rotations.0.weighted_size() <= 1 + SESSIONS_PER_USER as u64);
        assert_eq!(rotations.turn(&alice, session, 0, at(60)), Turn::Reused);
    }
}
