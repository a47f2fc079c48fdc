//! The measurements of one turn of one side.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::profile::Profile;

#[derive(Default)]
pub struct Window {
    pub requests: u64,
    pub records: u64,
    pub elapsed: Duration,
    /// CPU time of all threads of the measured process.
    pub cpu: Duration,
    /// How long each answer took, in nanoseconds.
    pub waits: Option<Histogram<u64>>,
    /// The mean number of records in one write of the gateway.
    pub batch: Option<f64>,
    /// The mean number of records in one commit of the gateway's journal.
    pub commit: Option<f64>,
    /// The samples that `perf` took, if it ran.
    pub profile: Option<Profile>,
}

impl Window {
    /// Returns the CPU time of a record, in microseconds.
    pub fn record_micros(&self) -> f64 {
        micros(self.cpu) / self.records as f64
    }

    /// Returns the records a second.
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns where a request's CPU time went, in microseconds.
    pub fn request_profile(&self) -> Option<Profile> {
        let micros = micros(self.cpu) / self.requests as f64;
        self.profile.as_ref().map(|profile| profile.scaled(micros))
    }

    /// Returns the 99th percentile of the waits, in nanoseconds.
    pub fn p99(&self) -> Option<f64> {
        self.waits
            .as_ref()
            .map(|waits| waits.value_at_quantile(0.99) as f64)
    }
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
