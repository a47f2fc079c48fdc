//! Lines about a run under way, on standard error: one that is rewritten each second on a terminal,
//! a new one every ten seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time between two lines on a terminal.
const ON_TERMINAL: Duration = Duration::from_secs(1);

/// The time between two lines elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// The place for lines about a run.
#[derive(Clone)]
pub struct Progress(Arc<Mutex<Line>>);

struct Line {
    is_terminal: bool,
    next: Instant,
    /// The length of the line that the next one overwrites.
    length: usize,
}

impl Progress {
    /// Makes the place. `now` is the begin of the run.
    pub fn new(now: Instant) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let line = Line {
            is_terminal,
            next: now + interval(is_terminal),
            length: 0,
        };
        Self(Arc::new(Mutex::new(line)))
    }

    /// Writes a line if it is time for one.
    pub fn show(&self, now: Instant, text: impl FnOnce() -> String) {
        let mut line = self.0.lock();
        if now < line.next {
            return;
        }
        line.next = now + interval(line.is_terminal);
        let text = text();
        if line.is_terminal {
            let length = line.length;
            write(&format!("\r{text:<length$}"));
            line.length = text.chars().count();
        } else {
            write(&format!("{text}\n"));
        }
    }

    /// Writes a line that stays.
    pub fn say(&self, text: &str) {
        let mut line = self.0.lock();
        let length = line.length;
        let begin = if length > 0 { "\r" } else { "" };
        write(&format!("{begin}{text:<length$}\n"));
        line.length = 0;
    }

    /// Ends the line that is being rewritten.
    pub fn end(&self) {
        let mut line = self.0.lock();
        if line.length > 0 {
            write("\n");
            line.length = 0;
        }
    }
}

fn interval(is_terminal: bool) -> Duration {
    if is_terminal { ON_TERMINAL } else { ELSEWHERE }
}

fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    // If standard error is closed, no one can be told.
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
