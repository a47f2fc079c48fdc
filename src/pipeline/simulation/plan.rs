//! The plan of one run, drawn from its seed.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

/// The time from a request's acceptance to its answer.
pub(super) const DEADLINE: Duration = Duration::from_secs(1);
/// The time before the first fault.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);
/// The time after a fault within which service is back.
pub(super) const RECOVERY: Duration = Duration::from_secs(2);
/// The time for which service is watched after that.
pub(super) const WATCHED: Duration = Duration::from_secs(1);
/// The records of a large request.
pub(super) const LARGE: u32 = 100;
/// The most requests of most runs, and of one in [`LONG`].
const REQUESTS_MAX: f64 = 1500.0;
const LONG_REQUESTS_MAX: f64 = 8000.0;
const LONG: u64 = 16;

/// The kind of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    /// Blocks until a batch is synced: a file.
    Disk,
    /// Stores each unit's records in order, reports them one by one, and cannot take one back: Kafka.
    Partitions,
    /// Answers calls in any order: Pub/Sub.
    Calls,
}

/// A disturbance of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is answered.
    Stop,
    /// Everything fails at once; of records of a partition, half of them.
    Fail,
    /// Everything takes longer by this factor.
    Slow(u32),
    /// The writer panics at the begin.
    Panic,
    /// Records are sent over something new from the begin on, while the old has some in flight.
    Replace,
}

/// A fault, the units that it concerns, and its time.
#[derive(Clone, Debug)]
pub(super) struct Disturbance {
    pub(super) fault: Fault,
    pub(super) units: Vec<usize>,
    pub(super) time: Range<Duration>,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) model: Model,
    pub(super) units: usize,
    pub(super) workers: usize,
    pub(super) round_trip: Duration,
    /// Requests a second, of all clients together.
    pub(super) rate: f64,
    /// Requests of a hundred with many records, and those with a record that is rejected.
    pub(super) large: u32,
    pub(super) rejected: u32,
    pub(super) queue_records: usize,
    pub(super) batch_records: usize,
    pub(super) disturbance: Disturbance,
    pub(super) end: Duration,
}

impl Plan {
    pub(super) fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let model = [
            Model::Disk,
            Model::Partitions,
            Model::Partitions,
            Model::Calls,
        ][random.random_range(0..4)];
        let units = if model == Model::Partitions {
            random.random_range(1..=8)
        } else {
            1
        };
        let fault = draw_fault(model, &mut random);
        let length = match fault {
            Fault::Panic | Fault::Replace => Duration::from_millis(1),
            _ => DEADLINE.mul_f64(random.random_range(0.05..3.0)),
        };
        let concerned = draw_units(fault, units, &mut random);
        let end = WARM_UP + length + RECOVERY + WATCHED;
        let requests_max = if seed.is_multiple_of(LONG) {
            LONG_REQUESTS_MAX
        } else {
            REQUESTS_MAX
        };
        let round_trip = Duration::from_micros(random.random_range(200..40_000));
        let batches: [u32; 3] = if model == Model::Partitions {
            [128, 512, 4096]
        } else {
            [8, 128, 4096]
        };
        let batch_records = batches[random.random_range(0..3)];
        let large = if batch_records < LARGE {
            0
        } else {
            random.random_range(0..6)
        };
        // What one worker can deliver, if it has all keys: the worst round trip for each batch.
        let records_max = f64::from(batch_records) / (1.5 * round_trip.as_secs_f64());
        let records_of_100 = f64::from(100 + large * (LARGE - 1));
        let rate = random
            .random_range(100.0..2000.0_f64)
            .min(requests_max / end.as_secs_f64())
            .min(records_max / records_of_100 * 100.0);
        Self {
            seed,
            model,
            units,
            workers: random.random_range(1..=2),
            round_trip,
            rate,
            large,
            rejected: random.random_range(0..3),
            queue_records: random.random_range(4_000..20_000),
            batch_records: batch_records as usize,
            disturbance: Disturbance {
                fault,
                units: concerned,
                time: WARM_UP..WARM_UP + length,
            },
            end,
        }
    }

    /// Returns whether the fault concerns a unit at the time.
    pub(super) fn is_disturbed(&self, unit: usize, at: Duration) -> bool {
        self.disturbance.time.contains(&at) && self.disturbance.units.contains(&unit)
    }
}

fn draw_fault(model: Model, random: &mut StdRng) -> Fault {
    let slow = Fault::Slow(random.random_range(2..50));
    let faults: &[Fault] = match model {
        Model::Disk => &[Fault::Stop, Fault::Fail, slow, Fault::Panic],
        Model::Partitions => &[Fault::Stop, Fault::Stop, Fault::Fail, slow, Fault::Replace],
        Model::Calls => &[Fault::Stop, Fault::Fail, slow],
    };
    faults[random.random_range(0..faults.len())]
}

/// Draws the units that a fault concerns: all, or some.
fn draw_units(fault: Fault, units: usize, random: &mut StdRng) -> Vec<usize> {
    let all = matches!(fault, Fault::Panic | Fault::Replace) || random.random_bool(0.3);
    let first = random.random_range(0..units);
    let count = if all {
        units
    } else {
        random.random_range(1..=units)
    };
    (0..count).map(|step| (first + step) % units).collect()
}
