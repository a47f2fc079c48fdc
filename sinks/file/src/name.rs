//! The names of a topic's files, which rise for ever: `20261122T182840.123Z-0000000001.ndjson`.
//!
//! The time is that of the file's first record, in UTC (ISO 8601 basic format, so that it sorts as
//! text), but never earlier than that of the file before; the sequence number rises by one a file.

use std::time::{Duration, SystemTime};

/// How a file of lines ends.
pub(crate) const LINES: &str = ".ndjson";
/// How a compressed file ends.
pub(crate) const ARCHIVE: &str = ".ndjson.zst";
/// How a file ends that is being compressed. No reader's pattern takes it.
pub(crate) const TEMPORARY: &str = ".ndjson.zst.tmp";

const TIME_DIGITS: &str = "00000000T000000.000Z";
const SEQUENCE_DIGITS: usize = 10;
/// The last second that the format has digits for: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// What a file's name says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Lines,
    Archive,
    Temporary,
}

/// Splits a file's name into its stem and its form; `None` for a file that is not the sink's.
pub(crate) fn parse(name: &str) -> Option<(&str, Form)> {
    let forms = [
        (LINES, Form::Lines),
        (ARCHIVE, Form::Archive),
        (TEMPORARY, Form::Temporary),
    ];
    forms.iter().find_map(|(ending, form)| {
        let stem = name.strip_suffix(ending)?;
        split(stem).map(|_| (stem, *form))
    })
}

/// Whether this is the stem of a name of the sink's.
pub(crate) fn is_stem(text: &str) -> bool {
    split(text).is_some()
}

/// The last name that was given, and so the lower bound of the next one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    time: String,
    sequence: u64,
}

impl Names {
    /// Takes note of a stem that is in use.
    pub(crate) fn saw(&mut self, stem: &str) {
        if let Some((time, sequence)) = split(stem) {
            self.sequence = self.sequence.max(sequence);
            if *time > *self.time {
                time.clone_into(&mut self.time);
            }
        }
    }

    /// The stem of the file whose first record was received at `first`.
    pub(crate) fn next(&mut self, first: SystemTime) -> String {
        let time = digits(first);
        if time > self.time {
            self.time = time;
        }
        self.sequence += 1;
        format!("{}-{:0SEQUENCE_DIGITS$}", self.time, self.sequence)
    }
}

/// The parts of a well-formed stem.
fn split(stem: &str) -> Option<(&str, u64)> {
    let (time, sequence) = stem.split_once('-')?;
    let digit = |byte: u8, like: u8| {
        if like == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == like
        }
    };
    let is_time = time.len() == TIME_DIGITS.len()
        && time
            .bytes()
            .zip(TIME_DIGITS.bytes())
            .all(|(a, b)| digit(a, b));
    let is_sequence =
        sequence.len() == SEQUENCE_DIGITS && sequence.bytes().all(|byte| byte.is_ascii_digit());
    (is_time && is_sequence).then(|| Some((time, sequence.parse().ok()?)))?
}

/// Times that the format cannot express become the nearest one that it can.
fn digits(time: SystemTime) -> String {
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let within = since_epoch.min(Duration::from_secs(LAST_SECOND));
    let text = humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + within).to_string();
    text.replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_name_tells_time_and_sequence() {
        let mut names = Names::default();
        assert_eq!(
            names.next(at(1_795_372_120_123)),
            "20261122T182840.123Z-0000000001"
        );
    }

    #[test]
    fn names_rise_even_if_the_clock_steps_back() {
        let mut names = Names::default();
        names.saw("20261122T182840.123Z-0000000041");
        names.saw("20251122T182840.123Z-0000000007");
        assert_eq!(names.next(at(0)), "20261122T182840.123Z-0000000042");
        assert_eq!(
            names.next(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
            "20261122T182840.123Z-0000000043"
        );
        assert_eq!(
            names.next(at(u64::MAX / 2)),
            "99991231T235959.000Z-0000000044"
        );
        assert_eq!(names.next(at(0)), "99991231T235959.000Z-0000000045");
    }

    #[test]
    fn only_the_sinks_own_names_are_parsed() {
        let stem = "20261122T182840.123Z-0000000001";
        let own = [
            (LINES, Form::Lines),
            (ARCHIVE, Form::Archive),
            (TEMPORARY, Form::Temporary),
        ];
        for (ending, form) in own {
            assert_eq!(parse(&format!("{stem}{ending}")), Some((stem, form)));
        }
        let others = [
            "",
            ".ndjson",
            "20261122T182840.123Z-0000000001",
            "20261122T182840.123Z-0000000001.json",
            "20261122T182840.123Z-000000001.ndjson",
            "20261122T182840.123Z-+000000001.ndjson",
            "20261122T182840,123Z-0000000001.ndjson",
            "copy-0000000001.ndjson",
            "20261122T182840.123Z-0000000001.ndjson.gz",
        ];
        for other in others {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
