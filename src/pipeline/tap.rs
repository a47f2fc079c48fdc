//! A sample of a topic's records as they come, for a superadmin who asks for it. While nobody does, a
//! request costs one load of a flag.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use iem_sink::Record;
use parking_lot::Mutex;

/// The samples that are kept.
const SAMPLES_MAX: usize = 20;
/// The time between two samples.
const INTERVAL: Duration = Duration::from_millis(200);
/// The bytes of a record's data that are kept.
const DATA_MAX: usize = 2048;

/// A tap of a topic.
#[derive(Default)]
pub struct Tap {
    is_open: AtomicBool,
    samples: Mutex<Samples>,
}

#[derive(Default)]
struct Samples {
    latest: VecDeque<Sample>,
    /// The time until which it is open.
    until: Option<Instant>,
    /// The time from which another sample is taken.
    next: Option<Instant>,
}

/// A record that was taken as a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The time at which it came.
    pub time: SystemTime,
    /// Its id.
    pub id: String,
    /// Its customer.
    pub customer: String,
    /// The email of the user who sent it.
    pub user: String,
    /// The bytes of its data.
    pub bytes: usize,
    /// The begin of its data.
    pub data: String,
}

impl Tap {
    /// Takes samples from now on until `until`.
    pub fn open(&self, until: Instant) {
        let mut samples = self.samples.lock();
        samples.until = Some(until);
        samples.next = None;
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// Takes no more samples, and forgets those that it has.
    pub fn close(&self) {
        self.forget(&mut self.samples.lock());
    }

    fn forget(&self, samples: &mut Samples) {
        self.is_open.store(false, Ordering::Relaxed);
        *samples = Samples::default();
    }

    /// Returns the time for which it is still open, and the latest samples, the last one first; `None`
    /// if it is not open. One whose time is over is closed.
    pub fn samples(&self, now: Instant) -> Option<(Duration, Vec<Sample>)> {
        let mut samples = self.samples.lock();
        let left = samples.until?.saturating_duration_since(now);
        if left > Duration::ZERO {
            return Some((left, samples.latest.iter().rev().cloned().collect()));
        }
        self.forget(&mut samples);
        None
    }

    /// Takes one of these records if it is open and it is time to. Never waits.
    pub(super) fn take(&self, records: &[Record], now: Instant) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let (Some(record), Some(mut samples)) = (records.first(), self.samples.try_lock()) else {
            return;
        };
        if samples.next.is_some_and(|next| now < next) {
            return;
        }
        if samples.until.is_none_or(|until| now >= until) {
            return self.forget(&mut samples);
        }
        samples.next = Some(now + INTERVAL);
        if samples.latest.len() >= SAMPLES_MAX {
            samples.latest.pop_front();
        }
        samples.latest.push_back(sample(record));
    }
}

fn sample(record: &Record) -> Sample {
    let data = &record.data[..record.data.len().min(DATA_MAX)];
    Sample {
        time: record.context.time,
        id: record.id.to_string(),
        customer: record.customer.to_string(),
        user: record.context.user.to_string(),
        bytes: record.data.len(),
        data: String::from_utf8_lossy(data).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use iem_sink::testing::record;

    use super::*;

    fn taken(tap: &Tap, now: Instant) -> Vec<String> {
        let samples = tap.samples(now).map(|(_, samples)| samples);
        let samples = samples.unwrap_or_default().into_iter();
        samples.map(|sample| sample.data).collect()
    }

    #[test]
    fn a_tap_takes_samples_at_its_pace_until_its_time_is_over() {
        let (tap, begin) = (Tap::default(), Instant::now());
        let take = |data: &'static str, millis| {
            let now = begin + Duration::from_millis(millis);
            tap.take(&[record("a", data), record("b", "{}")], now);
        };
        take(r#"{"n":0}"#, 0);
        assert_eq!(tap.samples(begin), None, "it is not open");
        tap.open(begin + Duration::from_secs(1));
        take(r#"{"n":1}"#, 0);
        take(r#"{"n":2}"#, 199);
        take(r#"{"n":3}"#, 200);
        assert_eq!(taken(&tap, begin), [r#"{"n":3}"#, r#"{"n":1}"#]);
        take(r#"{"n":4}"#, 1_000);
        assert!(!tap.is_open.load(Ordering::Relaxed), "it closes by itself");
        assert_eq!(tap.samples(begin), None, "and forgets what it had");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (tap, begin) = (Tap::default(), Instant::now());
        tap.open(begin + Duration::from_mins(1));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2 * DATA_MAX));
        for number in 0..30 {
            tap.take(&[record("a", large.clone())], begin + number * INTERVAL);
        }
        let (left, samples) = tap.samples(begin).expect("it is open");
        assert_eq!((left, samples.len()), (Duration::from_mins(1), SAMPLES_MAX));
        assert_eq!(samples[0].data.len(), DATA_MAX);
        assert_eq!(samples[0].bytes, large.len());
        tap.close();
        assert_eq!(tap.samples(begin), None);
    }
}
