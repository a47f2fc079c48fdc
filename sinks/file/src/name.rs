//! The names of a topic's files, such as `20261122T182840.123Z-0000000001.ndjson`. They never
//! decrease.
//!
//! The time is that of the file's first record, in UTC (ISO 8601 basic format, so that it sorts as
//! text), but never earlier than that of the previous file. The sequence number increases by one
//! for each file.

use std::time::{Duration, SystemTime};

/// The ending of a file of lines.
pub(crate) const LINES: &str = ".ndjson";
/// The ending of a compressed file, called an archive.
pub(crate) const ARCHIVE: &str = ".ndjson.zst";
/// The ending of an unfinished file. No reader's pattern matches it.
pub(crate) const TEMPORARY: &str = ".ndjson.zst.tmp";

/// The format of the time. A zero stands for any digit.
const TIME_FORMAT: &str = "00000000T000000.000Z";
const SEQUENCE_DIGITS: usize = 10;
/// The last second that the format can express: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// The form of a file, which its ending tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Lines,
    Archive,
    Temporary,
}

impl Form {
    /// Returns the ending of such a file's name.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Lines => LINES,
            Self::Archive => ARCHIVE,
            Self::Temporary => TEMPORARY,
        }
    }
}

/// Splits a file's name into its stem and its form. Returns `None` for a file that is not the
/// sink's own.
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

/// Returns whether this is the stem of one of the sink's own names.
pub(crate) fn is_stem(text: &str) -> bool {
    split(text).is_some()
}

/// The last name in use, which is the lower bound of the next one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    time: String,
    sequence: u64,
}

impl Names {
    /// Raises the lower bound to a stem that is in use.
    pub(crate) fn observe(&mut self, stem: &str) {
        if let Some((time, sequence)) = split(stem) {
            self.sequence = self.sequence.max(sequence);
            if *time > *self.time {
                time.clone_into(&mut self.time);
            }
        }
    }

    /// Returns the stem of a new file whose first record was received at `first`.
    pub(crate) fn next(&mut self, first: SystemTime) -> String {
        let time = format_time(first);
        if time > self.time {
            self.time = time;
        }
        self.sequence += 1;
        format!("{}-{:0SEQUENCE_DIGITS$}", self.time, self.sequence)
    }
}

/// Splits a stem into time and sequence number. Returns `None` if it is not well-formed.
fn split(stem: &str) -> Option<(&str, u64)> {
    let (time, sequence) = stem.split_once('-')?;
    let is_sequence =
        sequence.len() == SEQUENCE_DIGITS && sequence.bytes().all(|byte| byte.is_ascii_digit());
    if !is_time(time) || !is_sequence {
        return None;
    }
    Some((time, sequence.parse().ok()?))
}

fn is_time(text: &str) -> bool {
    text.len() == TIME_FORMAT.len()
        && text
            .bytes()
            .zip(TIME_FORMAT.bytes())
            .all(|(byte, format)| match format {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
}

/// Formats a time. A time outside the format's range becomes the nearest one inside.
fn format_time(time: SystemTime) -> String {
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
    fn a_name_contains_time_and_sequence_number() {
        let mut names = Names::default();
        assert_eq!(
            names.next(at(1_795_372_120_123)),
            "20261122T182840.123Z-0000000001"
        );
    }

    #[test]
    fn names_increase_even_if_the_clock_is_set_back() {
        let mut names = Names::default();
        names.observe("20261122T182840.123Z-0000000041");
        names.observe("20251122T182840.123Z-0000000007");
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
