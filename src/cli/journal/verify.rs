//! `journal verify`: whether every checksum of journals matches.

use std::io::{self, Write};

use iem_journal::Verification;
use serde_json::{Value, json};

use super::damage;
use super::error::JournalError;
use super::folders::{Found, Which};
use super::progress::Progress;
use super::verdict::Verdict;
use crate::size;

/// Runs the command.
pub(super) fn run(
    which: &Which,
    json: bool,
    out: &mut dyn Write,
    progress: &mut Progress<'_>,
) -> Result<Verdict, JournalError> {
    let mut verdict = Verdict::Sound;
    let mut values = Vec::new();
    for found in which.find()? {
        progress.begin(&found.topic);
        let verification = iem_journal::verify(&found.folder, |done| progress.tell(done));
        progress.end();
        let verification = verification?;
        if !verification.is_sound() {
            verdict = Verdict::Damaged;
        }
        if json {
            values.push(value(&found, &verification));
        } else {
            write(&found, &verification, out)?;
        }
    }
    if json {
        writeln!(out, "{:#}", Value::from(values))?;
    }
    Ok(verdict)
}

fn value(found: &Found, verification: &Verification) -> Value {
    let damages = verification.damages.iter().map(damage::value);
    json!({
        "topic": found.topic,
        "folder": found.folder,
        "sound": verification.is_sound(),
        "held_by": verification.holder,
        "being_written": verification.is_being_written,
        "segments": verification.segments,
        "commits": verification.commits,
        "records": verification.records,
        "bytes": verification.bytes,
        "damages": damages.collect::<Vec<_>>(),
    })
}

fn write(found: &Found, verification: &Verification, out: &mut dyn Write) -> io::Result<()> {
    let topic = &found.topic;
    let verdict = if verification.is_sound() {
        "sound"
    } else {
        "DAMAGED"
    };
    writeln!(
        out,
        "{topic}: {verdict}; {} segments, {} commits, {} records, {}",
        verification.segments,
        verification.commits,
        verification.records,
        size::text(verification.bytes)
    )?;
    if verification.is_being_written {
        writeln!(out, "{topic}: a commit was being written at this moment")?;
    }
    for damage in &verification.damages {
        writeln!(out, "{topic}: {damage}")?;
    }
    Ok(())
}
