//! Metrics of requests with an idempotency key.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::register::Register;
use super::totals::{raise, signed};
use crate::idempotency::WindowCounts;

/// The metrics of the window in which repeats are known.
pub(super) struct IdempotencyMetrics {
    keys: IntGauge,
    repeats: IntCounterVec,
    forgotten: IntCounter,
    no_place: IntCounter,
}

impl IdempotencyMetrics {
    pub(super) fn new(register: &Register) -> Result<Self, prometheus::Error> {
        Ok(Self {
            keys: register.gauge(
                "idempotency_keys",
                "Idempotency keys that are known, of at most idempotency.keys.",
            )?,
            repeats: register.counters(
                "idempotency_repeats_total",
                "Requests with an idempotency key that was known.",
                &["outcome"],
            )?,
            forgotten: register.counter(
                "idempotency_keys_forgotten_total",
                "Idempotency keys that were forgotten before their time.",
            )?,
            no_place: register.counter(
                "idempotency_keys_not_kept_total",
                "Requests whose idempotency key found no place.",
            )?,
        })
    }

    pub(super) fn set(&self, counts: &WindowCounts) {
        self.keys.set(signed(counts.keys));
        for (outcome, count) in [
            ("replayed", counts.replayed),
            ("waited", counts.waited),
            ("resumed", counts.resumed),
            ("reused", counts.reused),
        ] {
            raise(&self.repeats.with_label_values(&[outcome]), count);
        }
        raise(&self.forgotten, counts.evicted);
        raise(&self.no_place, counts.no_place);
    }
}
