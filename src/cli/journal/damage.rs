//! Damage and its sequence numbers, for programs.

use std::ops::Range;

use iem_journal::{Damage, DamageKind};
use serde_json::{Value, json};

/// Formats damage as JSON.
pub(super) fn value(damage: &Damage) -> Value {
    let kind = match damage.kind {
        DamageKind::SegmentHeader => "segment_header",
        DamageKind::Commit => "commit",
        DamageKind::MissingSegment => "missing_segment",
        DamageKind::TornCommit => "torn_commit",
    };
    json!({
        "file": damage.path,
        "kind": kind,
        "bytes": range(&damage.bytes),
        "lost": damage.lost.iter().map(range).collect::<Vec<_>>(),
        "lost_records": damage.lost_records(),
    })
}

/// Formats a range as its first and last number; `null` if it is empty.
pub(super) fn range(range: &Range<u64>) -> Value {
    if range.is_empty() {
        return Value::Null;
    }
    json!([range.start, range.end - 1])
}
