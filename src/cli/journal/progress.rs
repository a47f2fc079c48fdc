//! The progress of long work: a line that is rewritten on a terminal, and elsewhere a line every ten
//! seconds. Never fails the work: if nobody reads it, nobody is told.

use std::io::Write;
use std::time::{Duration, Instant};

use iem_journal::PassProgress;

use crate::size;

/// The time between two lines on a terminal, and elsewhere.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Moves to the begin of a terminal's line, and clears it.
const CLEAR: &str = "\r\x1b[K";

/// A writer of progress.
pub(super) struct Progress<'a> {
    out: &'a mut dyn Write,
    is_terminal: bool,
    name: String,
    began: Instant,
    told: Instant,
    has_line: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(out: &'a mut dyn Write, is_terminal: bool) -> Self {
        let now = Instant::now();
        Self {
            out,
            is_terminal,
            name: String::new(),
            began: now,
            told: now,
            has_line: false,
        }
    }

    /// Begins work on what has this name.
    pub(super) fn begin(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        self.began = Instant::now();
        self.told = self.began;
    }

    /// Tells how far the work is, if it is time to.
    pub(super) fn tell(&mut self, done: PassProgress) {
        self.tell_with(done, || None);
    }

    /// As [`tell`](Self::tell), with what is in its way.
    pub(super) fn tell_with(
        &mut self,
        done: PassProgress,
        trouble: impl FnOnce() -> Option<String>,
    ) {
        self.tell_at(done, trouble, Instant::now());
    }

    fn tell_at(
        &mut self,
        done: PassProgress,
        trouble: impl FnOnce() -> Option<String>,
        now: Instant,
    ) {
        let interval = if self.is_terminal {
            TERMINAL_INTERVAL
        } else {
            LOG_INTERVAL
        };
        if now.duration_since(self.told) < interval {
            return;
        }
        self.told = now;
        let line = line(done, now.duration_since(self.began));
        let line = match trouble() {
            Some(trouble) => format!("{line}; {trouble}"),
            None => line,
        };
        let name = &self.name;
        let _ = if self.is_terminal {
            write!(self.out, "{CLEAR}{name}: {line}").and_then(|()| self.out.flush())
        } else {
            writeln!(self.out, "{name}: {line}")
        };
        self.has_line = self.is_terminal;
    }

    /// Ends the work, and clears its line.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.has_line) {
            let _ = write!(self.out, "{CLEAR}").and_then(|()| self.out.flush());
        }
    }

    /// Tells something else.
    #[cfg(feature = "file")]
    pub(super) fn say(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }
}

fn line(done: PassProgress, elapsed: Duration) -> String {
    let PassProgress {
        bytes,
        bytes_total,
        records,
    } = done;
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let rate = bytes.saturating_mul(1_000) / millis.max(1);
    let left = bytes_total.saturating_sub(bytes) / rate.max(1);
    format!(
        "{} of {}, {records} records, {}/s, {} left",
        size::text(bytes),
        size::text(bytes_total),
        size::text(rate),
        humantime::format_duration(Duration::from_secs(left))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: PassProgress = PassProgress {
        bytes: 256 << 20,
        bytes_total: 1 << 30,
        records: 1_234,
    };

    fn told(is_terminal: bool, after: &[Duration], trouble: Option<&str>) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, is_terminal);
        progress.begin("events");
        let began = progress.began;
        for after in after {
            progress.tell_at(DONE, || trouble.map(str::to_owned), began + *after);
        }
        progress.end();
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_terminal_has_one_line_that_is_rewritten() {
        let after = [0, 100, 2_000, 2_100, 4_000].map(Duration::from_millis);
        assert_eq!(
            told(true, &after, None),
            "\r\x1b[Kevents: 256.0 MiB of 1.0 GiB, 1234 records, 128.0 MiB/s, 6s left\
             \r\x1b[Kevents: 256.0 MiB of 1.0 GiB, 1234 records, 64.0 MiB/s, 12s left\
             \r\x1b[K"
        );
    }

    #[test]
    fn a_log_has_a_line_every_ten_seconds() {
        let after = [1, 9, 16, 17, 25].map(Duration::from_secs);
        assert_eq!(
            told(false, &after, Some("the sink is away")),
            "events: 256.0 MiB of 1.0 GiB, 1234 records, 16.0 MiB/s, 48s left; the sink is away\n"
        );
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let nothing = PassProgress::default();
        assert!(line(nothing, Duration::ZERO).contains("0 records"));
    }
}
