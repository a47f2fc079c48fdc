//! `journal export`: the records of a journal as lines of JSON, as the file sink writes them.

use std::io::Write;

use iem_journal::{Export, OpenError, Selection};
use iem_sink_file::Lines;
use serde_json::json;

use super::damage;
use super::error::JournalError;
use super::folders::Which;
use super::progress::Progress;
use super::verdict::Verdict;

/// The bytes of lines that are written in one go.
const BUFFER_BYTES: usize = 256 << 10;

/// Runs the command.
pub(super) fn run(
    which: &Which,
    all: bool,
    json: bool,
    out: &mut dyn Write,
    progress: &mut Progress<'_>,
) -> Result<Verdict, JournalError> {
    let found = which.find_one()?;
    let selection = if all {
        Selection::All
    } else {
        Selection::Unsettled
    };
    let mut export = Export::open(&found.folder, selection)?;
    progress.begin(&found.topic);
    let mut lines = Lines::default();
    let mut records: u64 = 0;
    while let Some(next) = export.next() {
        let (_, record) = next.map_err(OpenError::from)?;
        lines.append(&record);
        records += 1;
        if lines.bytes().len() >= BUFFER_BYTES {
            out.write_all(lines.bytes())?;
            lines.clear(BUFFER_BYTES);
            progress.tell(export.progress());
        }
    }
    out.write_all(lines.bytes())?;
    out.flush()?;
    progress.end();
    let damages = export.damages();
    if json {
        let damages: Vec<_> = damages.iter().map(damage::value).collect();
        let sum = json!({ "topic": found.topic, "records": records, "damages": damages });
        progress.say(&sum.to_string());
    } else {
        for damage in damages {
            progress.say(&format!("{}: {damage}", found.topic));
        }
        progress.say(&format!("{}: exported {records} records", found.topic));
    }
    Ok(if damages.is_empty() {
        Verdict::Sound
    } else {
        Verdict::Damaged
    })
}
