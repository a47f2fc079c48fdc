//! The names of a journal's files.

use std::path::{Path, PathBuf};

use crate::format::NUMBER_MAX;

/// The zeroed file that becomes the next segment.
pub(crate) const SPARE: &str = "next";
/// The spare file while it is being made.
pub(crate) const SPARE_UNFINISHED: &str = "next.tmp";

/// The file that keeps the size of the largest record that the sink takes.
pub(crate) const LIMIT: &str = "limit";
/// The same file while it is being written.
pub(crate) const LIMIT_UNFINISHED: &str = "limit.tmp";

const SUFFIX: &str = ".journal";
const DIGITS: usize = 20;

/// Returns the path of the segment whose first record has this sequence number.
pub(crate) fn segment(folder: &Path, first_sequence: u64) -> PathBuf {
    folder.join(format!("{first_sequence:0DIGITS$}{SUFFIX}"))
}

/// Returns the first sequence number of the segment with this name, if it is one.
pub(crate) fn parse(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let first = is_number.then(|| digits.parse().ok()).flatten();
    first.filter(|first| *first <= NUMBER_MAX)
}

/// Returns the path of the copy of damaged bytes of a segment.
pub(crate) fn copy(folder: &Path, first_sequence: u64, offset: u64) -> PathBuf {
    folder.join(format!("{first_sequence:0DIGITS$}-{offset}.damaged"))
}

/// Returns whether a file with this name is a part of a journal: a segment, or the file that becomes
/// one. A folder that has one is a journal's.
pub fn is_file(name: &str) -> bool {
    parse(name).is_some() || name == SPARE
}
