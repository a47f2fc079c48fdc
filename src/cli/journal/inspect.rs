//! `journal inspect`: the state of journals as the disk has it.

use std::io::{self, Write};
use std::time::SystemTime;

use iem_journal::{Inspection, SegmentSummary};
use serde_json::{Value, json};

use super::damage;
use super::error::JournalError;
use super::folders::{Found, Which};
use super::verdict::Verdict;
use crate::size;

/// Runs the command.
pub(super) fn run(which: &Which, json: bool, out: &mut dyn Write) -> Result<Verdict, JournalError> {
    let mut values = Vec::new();
    for (index, found) in which.find()?.iter().enumerate() {
        let inspection = iem_journal::inspect(&found.folder)?;
        if json {
            values.push(value(found, &inspection));
            continue;
        }
        if index > 0 {
            writeln!(out)?;
        }
        write(found, &inspection, SystemTime::now(), out)?;
    }
    if json {
        writeln!(out, "{:#}", Value::from(values))?;
    }
    Ok(Verdict::Sound)
}

fn value(found: &Found, inspection: &Inspection) -> Value {
    let Inspection {
        folder,
        holder,
        segments,
        spare_bytes,
        low,
        end,
        settled,
        counts,
        backlog_bytes,
        oldest,
        damages,
        is_being_written,
    } = inspection;
    let oldest = oldest.map(|time| humantime::format_rfc3339_millis(time).to_string());
    let segments = segments.iter().map(|segment| {
        json!({
            "first_sequence": segment.first_sequence,
            "end_sequence": segment.end_sequence,
            "bytes": segment.bytes,
            "bytes_used": segment.bytes_used,
            "commits": segment.commits,
        })
    });
    json!({
        "topic": found.topic,
        "folder": folder,
        "held_by": holder,
        "being_written": is_being_written,
        "backlog": {
            "records": counts.backlog(),
            "bytes": backlog_bytes,
            "oldest": oldest,
        },
        "counts": {
            "accepted": counts.accepted,
            "delivered": counts.delivered,
            "dead_lettered": counts.dead_lettered,
            "damaged": counts.damaged,
        },
        "low": low,
        "end": end,
        "settled": settled.iter().map(damage::range).collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
        "spare_bytes": spare_bytes,
        "damages": damages.iter().map(damage::value).collect::<Vec<_>>(),
    })
}

fn write(
    found: &Found,
    inspection: &Inspection,
    now: SystemTime,
    out: &mut dyn Write,
) -> io::Result<()> {
    let counts = inspection.counts;
    writeln!(out, "{}: {}", found.topic, inspection.folder.display())?;
    match &inspection.holder {
        Some(holder) => writeln!(out, "  open in {holder}")?,
        None => writeln!(out, "  no process has it open")?,
    }
    writeln!(
        out,
        "  backlog       {} records, {} on the disk",
        counts.backlog(),
        size::text(inspection.backlog_bytes)
    )?;
    if let Some(oldest) = inspection.oldest {
        let age = now.duration_since(oldest).unwrap_or_default();
        let age = std::time::Duration::from_secs(age.as_secs());
        writeln!(
            out,
            "  oldest        {}, {} ago",
            humantime::format_rfc3339_millis(oldest),
            humantime::format_duration(age)
        )?;
    }
    writeln!(
        out,
        "  records       {} accepted, {} delivered, {} dead-lettered, {} lost by damage",
        counts.accepted, counts.delivered, counts.dead_lettered, counts.damaged
    )?;
    writeln!(
        out,
        "  sequence      settled below {}, and {} ranges above; the next is {}",
        inspection.low,
        inspection.settled.len(),
        inspection.end
    )?;
    write_segments(inspection, out)?;
    if inspection.is_being_written {
        writeln!(out, "  a commit was being written at this moment")?;
    }
    for damage in &inspection.damages {
        writeln!(out, "  DAMAGE        {damage}")?;
    }
    Ok(())
}

fn write_segments(inspection: &Inspection, out: &mut dyn Write) -> io::Result<()> {
    let lengths = inspection.segments.iter().map(|segment| segment.bytes);
    let bytes: u64 = lengths.sum();
    writeln!(
        out,
        "  segments      {}, {} on the disk, and {} for the next one",
        inspection.segments.len(),
        size::text(bytes),
        size::text(inspection.spare_bytes)
    )?;
    for segment in &inspection.segments {
        let SegmentSummary {
            first_sequence,
            end_sequence,
            bytes_used,
            commits,
            ..
        } = segment;
        let commits = commits.map_or("?".to_owned(), |commits| commits.to_string());
        let used = size::text(*bytes_used);
        writeln!(
            out,
            "    {first_sequence:020}  up to {end_sequence}, {commits} commits, {used} used"
        )?;
    }
    Ok(())
}
