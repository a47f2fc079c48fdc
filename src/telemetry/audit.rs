//! The audit log: who did what to whom. One JSON object a line, on a target of its own, bounded in
//! rate. It never holds a secret or anything of a record.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tracing_appender::non_blocking::ErrorCounter;

/// The target of its events.
pub(super) const TARGET: &str = "audit";

/// Entries of one kind a second, on average.
const RATE: NonZeroU32 = NonZeroU32::new(50).expect("not 0");
/// Entries of one kind at once, after a pause.
const BURST: NonZeroU32 = NonZeroU32::new(500).expect("not 0");
/// Changes that one entry names.
const CHANGES_MAX: usize = 100;

/// The kinds of entries that strangers can cause. Each has a rate of its own, so that a flood of one
/// hides none of another.
static ACCEPTED_LOG_INS: LazyLock<Pace> = LazyLock::new(Pace::new);
static REFUSED_LOG_INS: LazyLock<Pace> = LazyLock::new(Pace::new);
static TOKENS: LazyLock<Pace> = LazyLock::new(Pace::new);
static REFUSALS: LazyLock<Pace> = LazyLock::new(Pace::new);
static CONSOLE: LazyLock<Pace> = LazyLock::new(Pace::new);
static SESSIONS: LazyLock<Pace> = LazyLock::new(Pace::new);
static REVOCATIONS: LazyLock<Pace> = LazyLock::new(Pace::new);

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// The lines that the log's thread was too slow for.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Returns the number of entries that were left out since the start, because too many came at once.
pub fn left_out() -> u64 {
    let dropped = DROPPED.get().map_or(0, ErrorCounter::dropped_lines);
    LEFT_OUT.load(Ordering::Relaxed) + dropped as u64
}

/// Has the lines counted that the log's thread was too slow for.
pub(super) fn count_dropped(lines: ErrorCounter) {
    let _ = DROPPED.set(lines);
}

/// The request that an entry is about.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The id that its answer has, too.
    pub id: &'a str,
    /// The address of the client.
    pub peer: IpAddr,
    /// The email of the user that it is of. A name that is no user's is left out: it may be a
    /// password that was typed in the wrong place.
    pub user: Option<&'a str>,
    /// The id of the client's trace that it belongs to, if the client has told one.
    pub trace_id: Option<&'a str>,
}

/// Writes that credentials were accepted, or why they were not.
pub fn log_in(request: Request<'_>, refusal: Option<&str>) {
    let Request {
        id,
        peer,
        user,
        trace_id,
    } = request;
    let (pace, outcome) = match refusal {
        None => (&ACCEPTED_LOG_INS, "accepted"),
        Some(reason) => (&REFUSED_LOG_INS, reason),
    };
    if let Some(left_out) = pace.pass() {
        tracing::info!(
            target: TARGET, event = "log_in", outcome, user, %peer, request = id, trace_id, left_out
        );
    }
}

/// Writes that a user has new tokens.
pub fn tokens_issued(request: Request<'_>) {
    let Request {
        id,
        peer,
        user,
        trace_id,
    } = request;
    if let Some(left_out) = TOKENS.pass() {
        tracing::info!(
            target: TARGET, event = "tokens_issued", user, %peer, request = id, trace_id, left_out
        );
    }
}

/// Writes that a request at this endpoint was refused because its user may not make it.
pub fn refused(request: Request<'_>, endpoint: &str, reason: &str) {
    let Request {
        id,
        peer,
        user,
        trace_id,
    } = request;
    if let Some(left_out) = REFUSALS.pass() {
        tracing::info!(
            target: TARGET,
            event = "refused",
            reason,
            endpoint,
            user,
            %peer,
            request = id,
            trace_id,
            left_out
        );
    }
}

/// Writes that the dead letters of a topic are sent again.
pub fn replayed(request: Request<'_>, topic: &str) {
    console("dead_letters_replayed", request, topic);
}

/// Writes that a sample of a topic's records is shown.
pub fn records_shown(request: Request<'_>, topic: &str) {
    console("records_shown", request, topic);
}

fn console(event: &'static str, request: Request<'_>, topic: &str) {
    let Request {
        id,
        peer,
        user,
        trace_id,
    } = request;
    if let Some(left_out) = CONSOLE.pass() {
        tracing::info!(
            target: TARGET, event, topic, user, %peer, request = id, trace_id, left_out
        );
    }
}

/// Writes that sessions of a user have ended before their time, and by what.
pub fn sessions_ended(user: &str, which: &str) {
    if let Some(left_out) = SESSIONS.pass() {
        tracing::info!(target: TARGET, event = "sessions_ended", user, which, left_out);
    }
}

/// Writes that a user has ended a session of its own.
pub fn session_revoked(request: Request<'_>) {
    let Request {
        id,
        peer,
        user,
        trace_id,
    } = request;
    if let Some(left_out) = REVOCATIONS.pass() {
        let which = "one, revoked by its user";
        tracing::info!(
            target: TARGET, event = "sessions_ended", user, which, %peer, request = id, trace_id, left_out
        );
    }
}

/// Writes that this process has changed the directory file: by the operating system's user that runs
/// it, and by the one that logged in to the machine, where the kernel knows that.
pub fn directory_changed(path: &Path, changes: &[String]) {
    changed("directory_changed", path, changes);
}

/// Writes the same of the keys that sign tokens.
pub fn keys_changed(path: &Path, changes: &[String]) {
    changed("keys_changed", path, changes);
}

fn changed(event: &'static str, path: &Path, changes: &[String]) {
    let uid = std::fs::metadata("/proc/self").ok().map(|own| own.uid());
    let login_uid = std::fs::read_to_string("/proc/self/loginuid").ok();
    let login_uid = login_uid
        .and_then(|text| text.trim().parse::<u32>().ok())
        .filter(|uid| *uid != u32::MAX);
    tracing::info!(
        target: TARGET,
        event,
        path = %path.display(),
        uid,
        login_uid,
        changes = list(changes),
    );
}

/// Writes that files were read again, and what changed in them.
pub fn reloaded(name: &str, changes: &[String]) {
    tracing::info!(target: TARGET, event = "reloaded", name, changes = list(changes));
}

/// Writes that files that changed are not in use, because of a fault in them.
pub fn not_reloaded(name: &str, error: &str) {
    tracing::info!(target: TARGET, event = "not_reloaded", name, error);
}

fn list(changes: &[String]) -> String {
    match changes.split_at_checked(CHANGES_MAX) {
        Some((named, more)) if !more.is_empty() => {
            format!("{}; and {} more", named.join("; "), more.len())
        }
        _ => changes.join("; "),
    }
}

/// The rate of entries of one kind.
struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Instant>>,
    left_out: AtomicU64,
}

type Instant = <MonotonicClock as governor::clock::Clock>::Instant;

impl Pace {
    fn new() -> Self {
        let quota = Quota::per_second(RATE).allow_burst(BURST);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, MonotonicClock),
            left_out: AtomicU64::new(0),
        }
    }

    /// Returns how many entries were left out before this one, or `None` if it is left out too.
    fn pass(&self) -> Option<u64> {
        if self.limiter.check().is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_beyond_the_burst_are_left_out_and_counted() {
        let pace = Pace::new();
        let passed = (0..2 * BURST.get()).filter_map(|_| pace.pass());
        let passed = passed.collect::<Vec<_>>();
        // A few more pass while the test runs.
        assert!((BURST.get() as usize..2 * BURST.get() as usize).contains(&passed.len()));
        assert_eq!(passed[..BURST.get() as usize], [0; 500]);
        let told: u64 = passed.iter().sum();
        let all = told + pace.left_out.load(Ordering::Relaxed);
        assert_eq!(all + passed.len() as u64, u64::from(2 * BURST.get()));
        assert!(left_out() >= told);
    }

    /// No other unit test sets the global counter of lines.
    #[test]
    fn lines_that_the_thread_was_too_slow_for_are_left_out_too() {
        struct Stuck;
        impl std::io::Write for Stuck {
            fn write(&mut self, _line: &[u8]) -> std::io::Result<usize> {
                std::thread::park();
                Ok(0)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let builder = tracing_appender::non_blocking::NonBlockingBuilder::default();
        let (mut writer, guard) = builder.buffered_lines_limit(1).finish(Stuck);
        // Dropping it would wait for the writer.
        std::mem::forget(guard);
        count_dropped(writer.error_counter());
        let before = left_out();
        for _ in 0..10 {
            std::io::Write::write_all(&mut writer, b"line\n").expect("it never blocks");
        }
        // One is with the writer, and one waits.
        assert!(left_out() >= before + 8);
    }

    #[test]
    fn a_long_list_of_changes_ends_with_their_number() {
        let changes: Vec<String> = (0..CHANGES_MAX + 5).map(|n| format!("user {n}")).collect();
        assert_eq!(list(&changes[..2]), "user 0; user 1");
        assert!(list(&changes).ends_with("user 99; and 5 more"));
        assert_eq!(list(&[]), "");
    }
}
