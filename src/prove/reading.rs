//! Reads the sink until everything that was acknowledged has come, or nothing more comes.

use std::time::{Duration, Instant};

use iem_sink::{Found, Reached, Reader, SinkError, SinkErrorKind};

use super::mark::MarkFinder;
use super::oracle::{Oracle, Verdict};
use super::progress::Progress;

/// The time that one call of a reader may take.
const SLICE: Duration = Duration::from_millis(500);

/// The time for which a reader goes on after everything has come, because a record may come again.
const SETTLE: Duration = Duration::from_secs(2);

/// The pause after a reader's error.
const PAUSE: Duration = Duration::from_millis(200);

/// The time that the backend has to say whether everything has been read.
const CHECK_TIME: Duration = Duration::from_secs(30);

/// Reads until everything that was acknowledged has come, or `wait` has passed since the last new
/// record.
///
/// # Errors
/// The sink could not be read to its end: nothing is known of what is missing.
pub fn read_back(
    reader: &mut dyn Reader,
    oracle: &mut Oracle,
    finder: &MarkFinder,
    wait: Duration,
    progress: &Progress,
) -> Result<Verdict, SinkError> {
    let mut patience = Patience::new(wait, Instant::now());
    let mut trouble;
    loop {
        let read = reader.read(Instant::now() + SLICE, &mut |found| match found {
            Found::Anew => oracle.begin_anew(),
            Found::Record(record) => {
                if let Some(mark) = finder.find(record) {
                    oracle.see(mark);
                }
            }
        });
        let now = Instant::now();
        let is_at_end = matches!(read, Ok(Reached::End));
        match read {
            Ok(_) => trouble = None,
            Err(error) if error.kind == SinkErrorKind::Permanent => return Err(error),
            Err(error) => {
                trouble = Some(error);
                std::thread::sleep(PAUSE);
            }
        }
        let is_over = patience.is_over(oracle, is_at_end, now);
        progress.show(now, || patience.line(oracle, now));
        if is_over {
            break;
        }
    }
    progress.end();
    if !oracle.is_complete() {
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        reader.check_end(Instant::now() + CHECK_TIME)?;
    }
    Ok(oracle.verdict())
}

/// The rule by which a reading ends.
struct Patience {
    wait: Duration,
    /// The time of the last new record, and how many there were then.
    newest: Instant,
    most: u64,
    /// The time since which everything has come, and the topic has been read to its end.
    complete_since: Option<Instant>,
}

impl Patience {
    fn new(wait: Duration, now: Instant) -> Self {
        Self {
            wait,
            newest: now,
            most: 0,
            complete_since: None,
        }
    }

    /// Takes note of what was found, and returns whether the reading is over.
    fn is_over(&mut self, oracle: &Oracle, is_at_end: bool, now: Instant) -> bool {
        if oracle.found() > self.most {
            self.most = oracle.found();
            self.newest = now;
        }
        if !(is_at_end && oracle.is_complete()) {
            self.complete_since = None;
            return now.duration_since(self.newest) >= self.wait;
        }
        let since = *self.complete_since.get_or_insert(now);
        now.duration_since(since) >= SETTLE.min(self.wait)
    }

    /// Returns a line about the progress.
    fn line(&self, oracle: &Oracle, now: Instant) -> String {
        format!(
            "reading: {} of {} records, the last one {} s ago",
            self.most,
            oracle.acknowledged(),
            now.duration_since(self.newest).as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::mark::{Batch, Mark};
    use super::super::oracle::Limits;
    use super::*;

    /// A reader whose calls do as they are told, and at last nothing.
    struct Scripted {
        calls: VecDeque<Result<Vec<u32>, SinkError>>,
        end: Result<(), SinkError>,
    }

    impl Reader for Scripted {
        fn read(
            &mut self,
            _until: Instant,
            each: &mut dyn FnMut(Found<'_>),
        ) -> Result<Reached, SinkError> {
            let Some(call) = self.calls.pop_front() else {
                std::thread::sleep(Duration::from_millis(1));
                return Ok(Reached::End);
            };
            for number in call? {
                each(Found::Record(
                    format!(r#"{{"prove":"r/0/{number}"}}"#).as_bytes(),
                ));
            }
            Ok(Reached::Middle)
        }

        fn check_end(&mut self, _deadline: Instant) -> Result<(), SinkError> {
            self.end.clone()
        }
    }

    fn read(
        calls: impl IntoIterator<Item = Result<Vec<u32>, SinkError>>,
        end: Result<(), SinkError>,
    ) -> Result<Verdict, SinkError> {
        let mut oracle = oracle();
        let mut reader = Scripted {
            calls: calls.into_iter().collect(),
            end,
        };
        let progress = Progress::new(Instant::now());
        let wait = Duration::from_millis(300);
        read_back(
            &mut reader,
            &mut oracle,
            &MarkFinder::new("r"),
            wait,
            &progress,
        )
    }

    fn oracle() -> Oracle {
        let mut oracle = Oracle::new(Limits {
            keys: 1,
            numbers: 10,
        });
        assert!(oracle.acknowledge(&Batch {
            key: 0,
            numbers: 0..3
        }));
        oracle
    }

    #[test]
    fn a_reading_ends_some_time_after_the_last_new_record() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut oracle = oracle();
        let mut patience = Patience::new(Duration::from_mins(1), begin);
        assert!(!patience.is_over(&oracle, true, after(59)));
        oracle.see(Mark { key: 0, number: 1 });
        assert!(!patience.is_over(&oracle, true, after(59)), "a new record");
        oracle.see(Mark { key: 0, number: 1 });
        assert!(!patience.is_over(&oracle, true, after(118)), "no new one");
        assert!(patience.is_over(&oracle, true, after(119)));
    }

    #[test]
    fn a_reading_in_which_everything_has_come_settles() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut oracle = oracle();
        for number in 0..3 {
            oracle.see(Mark { key: 0, number });
        }
        let mut patience = Patience::new(Duration::from_mins(1), begin);
        assert!(
            !patience.is_over(&oracle, false, after(1)),
            "more may follow"
        );
        assert!(!patience.is_over(&oracle, true, after(2)));
        assert!(patience.is_over(&oracle, true, after(4)));
        oracle.begin_anew();
        assert!(
            !patience.is_over(&oracle, false, after(5)),
            "it is read again"
        );
    }

    #[test]
    fn what_is_missing_at_the_end_is_lost() {
        let verdict = read([Ok(vec![0]), Ok(vec![2])], Ok(())).expect("a verdict");
        assert_eq!((verdict.lost, verdict.acknowledged), (1, 3));
    }

    #[test]
    fn what_is_missing_before_the_end_is_not_known() {
        let away = SinkError::transient("no broker answers");
        assert_eq!(read([Ok(vec![0])], Err(away.clone())), Err(away));
    }

    #[test]
    fn an_error_that_lasts_is_the_result() {
        let gone = SinkError::permanent("no such topic");
        assert_eq!(
            read([Ok(vec![0, 1, 2]), Err(gone.clone())], Ok(())),
            Err(gone)
        );
    }

    #[test]
    fn an_error_that_passes_is_none() {
        let away = SinkError::transient("no broker answers");
        let verdict = read([Err(away), Ok(vec![0, 1, 2, 1])], Ok(())).expect("a verdict");
        assert_eq!((verdict.lost, verdict.twice), (0, 1));
    }
}
