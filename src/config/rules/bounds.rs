//! Units in which the rules state their bounds, and values as they are written in the
//! configuration.

use std::time::Duration;

pub(super) const KIB: usize = 1 << 10;
pub(super) const MIB: usize = 1 << 20;
pub(super) const GIB: usize = 1 << 30;
pub(super) const TIB: usize = 1 << 40;
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Formats a size in the largest unit that gives a whole number, so that nothing is rounded.
pub(super) fn size(bytes: usize) -> String {
    let units = [("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];
    let whole = units
        .into_iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(("B", 1));
    format!("{} {name}", bytes / unit)
}

/// Formats a duration; whole days as days.
pub(super) fn duration(duration: Duration) -> String {
    let seconds_a_day = DAY.as_secs();
    if duration >= DAY && duration.as_secs().is_multiple_of(seconds_a_day) {
        return format!("{}d", duration.as_secs() / seconds_a_day);
    }
    humantime::format_duration(duration).to_string()
}
