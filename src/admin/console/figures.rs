//! Figures as people read them: numbers in groups of three, rates, times and dates. The page and
//! `iem-gateway top` write them the same way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The sign for a figure that is not known.
pub const UNKNOWN: &str = "—";

/// Returns a count as a real number.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people need no more than 52 bits"
)]
pub fn real(count: u64) -> f64 {
    count as f64
}

/// Formats a whole number: `1,204,331`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a whole number that may be below zero.
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}", count(number.unsigned_abs()))
}

/// Formats what happens in a second: whole numbers from 10 on, one digit behind the point below.
pub fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.to_owned(),
        Some(rate) if rate < 0.05 => "0".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => count(whole(rate)),
    }
}

/// Formats a time that a request takes: two digits that count, and a unit.
pub fn latency(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return UNKNOWN.to_owned();
    };
    let (value, unit) = if seconds < 0.000_995 {
        (seconds * 1e6, "µs")
    } else if seconds < 0.995 {
        (seconds * 1e3, "ms")
    } else {
        (seconds, "s")
    };
    if value < 9.95 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// Formats a time in its two largest units: `3 d 4 h`, `12 min`, `5 s`.
pub fn time(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let largest = UNITS.iter().position(|(unit, _)| seconds >= *unit);
    let Some(largest) = largest else {
        return "0 s".to_owned();
    };
    let (unit, name) = UNITS[largest];
    let rest = UNITS.get(largest + 1);
    let rest = rest.map(|(smaller, name)| (seconds % unit / smaller, name));
    match rest {
        // Minutes and seconds are more than people need.
        Some((more, smaller)) if more > 0 && unit > 60 => {
            format!("{} {name} {more} {smaller}", seconds / unit)
        }
        _ => format!("{} {name}", seconds / unit),
    }
}

/// Formats the date of a second of Unix time, in UTC.
pub fn date(second: u64) -> String {
    let text = moment(second);
    text.get(..10).map_or(text.clone(), str::to_owned)
}

/// Formats a second of Unix time, in UTC.
pub fn moment(second: u64) -> String {
    /// The first second of the year 10,000.
    const END: u64 = 253_402_300_800;
    if second >= END {
        return UNKNOWN.to_owned();
    }
    let time = UNIX_EPOCH + Duration::from_secs(second);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Returns the second of Unix time.
pub fn unix_second(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Formats how much of a quota, in records a second, is used: `38 % of 50/s`.
pub fn of_quota(rate: Option<f64>, quota: Option<u32>) -> String {
    let Some(quota) = quota else {
        return "no quota".to_owned();
    };
    let percent = rate.unwrap_or_default() * 100.0 / f64::from(quota.max(1));
    format!("{} % of {}/s", whole(percent), count(u64::from(quota)))
}

/// Returns the whole number nearest to a real one that is not below zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is beyond the numbers becomes the last one"
)]
pub fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_groups_of_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(signed(-1_234), "−1,234");
    }

    #[test]
    fn rates_and_times_have_the_digits_that_count() {
        assert_eq!(rate(None), UNKNOWN);
        for (number, text) in [
            (0.01, "0"),
            (0.4, "0.4"),
            (9.94, "9.9"),
            (10.4, "10"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(rate(Some(number)), text);
        }
        for (seconds, text) in [
            (0.000_05, "50 µs"),
            (0.000_999, "1.0 ms"),
            (0.0123, "12 ms"),
            (0.999, "1.0 s"),
            (14.6, "15 s"),
        ] {
            assert_eq!(latency(Some(seconds)), text);
        }
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (119, "1 min"),
            (3_600, "1 h"),
            (3_660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn a_date_is_a_day_in_utc() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(1_795_372_120), "2026-11-22");
        assert_eq!(moment(1_795_372_120), "2026-11-22T18:28:40Z");
        assert_eq!(date(u64::MAX), UNKNOWN);
    }
}
