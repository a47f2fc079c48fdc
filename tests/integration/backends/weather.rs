//! Bad weather: a part of a backend hangs, dies, fills up or is not there yet, under clients that
//! send at a constant rate. What does not need that part does not notice, and service is back at
//! full rate seconds after the part is.

pub(crate) mod dead_partition;
mod full_disk;
mod late_records;
mod order;
mod outage;
mod start;

use std::thread::sleep;
use std::time::{Duration, Instant};

use iem_test_support::{Calls, Gateway, Home, eventually};

const EVENTS: &str = "/publish/allevents/";
const METRICS: &str = "/publish/metrics/";
const RECORD: &str = r#"{"envcustomerid":"acme","splitby":"probe","test_id":"probe-0"}"#;

/// Calls a second. A gateway that is not optimized takes fewer.
const HIGH_RATE: u32 = if cfg!(debug_assertions) { 300 } else { 2000 };
/// The connections of a client at that rate: one for each call that waits for its answer.
const CONNECTIONS: i64 = 10_000;

/// The time for which service is watched before and after a fault.
const WATCH: Duration = Duration::from_secs(2);
/// The time after a fault's end in which service returns.
const RECOVERY: Duration = Duration::from_secs(5);
/// The time that answers may take more during a fault than before it, on a machine that is busy with
/// other tests. The stalls that the tests look for take most of a deadline.
const NOISE: Duration = Duration::from_secs(2);

/// Returns ordering values.
fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("key-{number}")).collect()
}

/// Fails the test unless nearly all calls that were due between these times were answered 200.
#[track_caller]
fn accepted(calls: &Calls, share: f64, from: Instant, to: Instant) {
    let calls = calls.between(from, to);
    assert!(!calls.0.is_empty(), "nothing was sent");
    let accepted = calls.accepted();
    eprintln!(
        "{:.2} % of {} were answered 200",
        accepted * 100.0,
        calls.0.len()
    );
    assert!(accepted >= share, "{accepted} of {} calls", calls.0.len());
}

/// Fails the test unless service was back in time after a fault that ended at `end`.
#[track_caller]
fn recovered(calls: &Calls, end: Instant) {
    accepted(calls, 0.95, end + RECOVERY, end + RECOVERY + WATCH);
}

/// Fails the test unless calls between `began` and `end` were served as those before.
#[track_caller]
pub(crate) fn undisturbed(calls: &Calls, began: Instant, end: Instant) {
    accepted(calls, 0.99, began, end);
    let first = calls.0.first().expect("some calls").due;
    let before = calls.between(first, began).slow();
    let during = calls.between(began, end).slow();
    eprintln!("p99: {before:?} before the fault, {during:?} during it");
    assert!(during <= before + NOISE, "{before:?}, then {during:?}");
}

/// Waits until the gateway holds nothing more.
#[track_caller]
fn holds_nothing(gateway: &Gateway) {
    eventually(Duration::from_secs(30), "no record is held", || {
        let held = ["queue_records", "queue_bytes", "memory_bytes"]
            .map(|name| gateway.metric(&format!("iem_gateway_{name}"), &[]));
        held.iter().all(|held| *held < 1.0)
    });
}
