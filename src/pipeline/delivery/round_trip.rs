//! The time that the sink needs from a record's hand-over to its outcome, measured as TCP measures
//! its retransmission timeout.
//!
//! Source: RFC 6298, <https://www.rfc-editor.org/rfc/rfc6298#section-2>.

use std::time::Duration;

/// The bounds of the time after which a batch without an outcome no longer holds up the next one.
const PATIENCE_MIN: Duration = Duration::from_millis(100);
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// The smoothed round trip of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundTrip {
    /// The smoothed time and its variation; `None` before the first measurement.
    measured: Option<(Duration, Duration)>,
    max: Duration,
}

impl RoundTrip {
    /// `max` bounds the estimate: an outage is no round trip.
    pub(super) fn new(max: Duration) -> Self {
        Self {
            measured: None,
            max,
        }
    }

    /// Takes a measurement.
    pub(super) fn measure(&mut self, time: Duration) {
        let time = time.min(self.max);
        self.measured = Some(match self.measured {
            None => (time, time / 2),
            Some((smoothed, variation)) => (
                (smoothed * 7 + time) / 8,
                (variation * 3 + smoothed.abs_diff(time)) / 4,
            ),
        });
    }

    /// Returns the time within which an outcome is to be expected; zero while none was measured.
    pub(super) fn estimate(&self) -> Duration {
        self.measured
            .map_or(Duration::ZERO, |(smoothed, variation)| {
                (smoothed + variation * 4).min(self.max)
            })
    }

    /// Returns the time after which a batch without an outcome no longer holds up the next one.
    pub(super) fn patience(&self) -> Duration {
        self.estimate().clamp(PATIENCE_MIN, PATIENCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn the_estimate_leaves_room_for_the_variation() {
        let mut round_trip = RoundTrip::new(MAX);
        assert_eq!(round_trip.estimate(), Duration::ZERO);
        round_trip.measure(Duration::from_millis(30));
        assert_eq!(round_trip.estimate(), Duration::from_millis(90));
        for _ in 0..50 {
            round_trip.measure(Duration::from_millis(30));
        }
        assert!(round_trip.estimate() < Duration::from_millis(31));
    }

    #[test]
    fn an_outage_is_forgotten_within_some_measurements() {
        let mut round_trip = RoundTrip::new(MAX);
        for _ in 0..20 {
            round_trip.measure(Duration::from_mins(1));
        }
        assert_eq!(round_trip.estimate(), MAX);
        for _ in 0..50 {
            round_trip.measure(Duration::from_millis(10));
        }
        assert!(round_trip.estimate() < Duration::from_millis(200));
    }
}
