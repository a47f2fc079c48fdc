//! The ends of a command that sends records: all are sent, somebody stops it, or the sink takes
//! nothing any more, or never did.

use std::fmt;
use std::time::{Duration, Instant};

/// The reason why a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is left to send.
    Done,
    /// A signal has come.
    Stopped,
    /// The sink has taken nothing for this time.
    TimedOut(Duration),
    /// The sink will not have a topic until an operator changes something.
    #[cfg_attr(
        not(feature = "file"),
        allow(dead_code, reason = "replay alone has it")
    )]
    Refused,
}

impl Ending {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::TimedOut(_) => "timed_out",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("done"),
            Self::Stopped => formatter.write_str("stopped by a signal"),
            Self::TimedOut(time) => write!(
                formatter,
                "given up: the sink has taken nothing for {}",
                humantime::format_duration(*time)
            ),
            Self::Refused => formatter.write_str("given up: the sink does not take a topic"),
        }
    }
}

/// The time for which a sink may take nothing.
pub struct Patience {
    timeout: Option<Duration>,
    taken: u64,
    since: Instant,
}

impl Patience {
    pub fn new(timeout: Option<Duration>, now: Instant) -> Self {
        Self {
            timeout,
            taken: 0,
            since: now,
        }
    }

    /// Notes how many records the sink has taken in all, and whether it has any to take now. Returns
    /// the end, if it has taken none for too long.
    pub fn note(&mut self, taken: u64, has_any: bool, now: Instant) -> Option<Ending> {
        if taken != self.taken || !has_any {
            self.taken = taken;
            self.since = now;
        }
        let timeout = self.timeout?;
        let is_over = now.saturating_duration_since(self.since) >= timeout;
        (has_any && is_over).then_some(Ending::TimedOut(timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sink_that_has_records_and_takes_none_is_given_up() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let timeout = Duration::from_secs(10);
        let mut patience = Patience::new(Some(timeout), begin);
        assert_eq!(patience.note(0, true, at(9)), None);
        assert_eq!(patience.note(1, true, at(9)), None);
        assert_eq!(patience.note(1, true, at(18)), None);
        assert_eq!(patience.note(1, false, at(100)), None);
        assert_eq!(patience.note(1, true, at(109)), None);
        let end = Some(Ending::TimedOut(timeout));
        assert_eq!(patience.note(1, true, at(110)), end);
        let mut endless = Patience::new(None, begin);
        assert_eq!(endless.note(0, true, at(1_000_000)), None);
    }
}
