//! The oracle: conditions that hold after every run.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use iem_sink::Outcome;

use super::plan::{DEADLINE, Fault, Model, Plan, RECOVERY};
use super::world::{Request, Run};

/// The share of answers 200 of those whom the fault does not concern.
const UNCONCERNED: f64 = 0.99;
/// The share of answers 200 once service is back.
const RECOVERED: f64 = 0.95;
/// The latency that a fault may add to those whom it does not concern.
const ADDED: Duration = Duration::from_millis(100);

/// Examines a run.
pub(super) fn examine(plan: &Plan, run: &Run) {
    nothing_acknowledged_is_lost(run);
    if plan.model != Model::Disk {
        workers_answer_in_time(run);
    }
    the_last_outcomes_are_true(plan, run);
    the_budget_is_free(run);
    if plan.model != Model::Calls {
        keys_are_in_order(run);
    }
    service_is_back(plan, run);
    if plan.model == Model::Partitions && plan.disturbance.fault != Fault::Replace {
        others_are_not_concerned(plan, run);
    }
}

fn nothing_acknowledged_is_lost(run: &Run) {
    let stored: HashSet<&[u8]> = run.stored.iter().map(|stored| &stored.data[..]).collect();
    for request in &run.requests {
        for (data, outcome) in request.data.iter().zip(&request.outcomes) {
            assert!(
                *outcome != Outcome::Delivered || stored.contains(&data[..]),
                "an acknowledged record is not stored"
            );
        }
    }
}

/// Checks that the last outcomes tell what is stored, and that it is stored once, where the sink knows:
/// Kafka's client gives up what may have arrived, and a panic loses what is in flight.
fn the_last_outcomes_are_true(plan: &Plan, run: &Run) {
    if plan.model == Model::Partitions || plan.disturbance.fault == Fault::Panic {
        return;
    }
    let mut stored: HashMap<&[u8], usize> = HashMap::new();
    for one in &run.stored {
        *stored.entry(&one.data[..]).or_default() += 1;
    }
    for request in &run.requests {
        for (index, data) in request.data.iter().enumerate() {
            let is_delivered = request.last.get(index) == Some(&Outcome::Delivered);
            let times = stored.get(&data[..]).copied().unwrap_or_default();
            assert_eq!(times, usize::from(is_delivered), "of a last outcome");
        }
    }
}

/// Checks that no client waited for more than its worker: one whose sink never blocks answers at the
/// deadline.
fn workers_answer_in_time(run: &Run) {
    for request in &run.requests {
        assert!(!request.is_unanswered, "a worker does not answer");
        assert!(request.answered <= request.at + DEADLINE);
    }
}

fn the_budget_is_free(run: &Run) {
    assert_eq!((run.budget.records(), run.budget.bytes()), (0, 0));
}

/// Checks that the records of each key were stored in the order in which they were accepted, by
/// their first and by their last appearances.
fn keys_are_in_order(run: &Run) {
    let mut appearances: HashMap<&str, Vec<&[u8]>> = HashMap::new();
    for stored in &run.stored {
        appearances
            .entry(&stored.key)
            .or_default()
            .push(&stored.data);
    }
    for (key, all) in &mut appearances {
        let first = firsts(all);
        assert!(first.is_sorted(), "first appearances of {key}");
        all.reverse();
        let last = firsts(all);
        assert!(last.is_sorted_by(|a, b| a > b), "last appearances of {key}");
    }
}

fn firsts<'a>(all: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut seen = HashSet::new();
    all.iter()
        .filter(|data| seen.insert(**data))
        .copied()
        .collect()
}

fn service_is_back(plan: &Plan, run: &Run) {
    let back = run.begin + plan.disturbance.time.end + RECOVERY;
    let after = |request: &&Request| request.at >= back && !request.is_bad;
    let share = share_accepted(run.requests.iter().filter(after));
    assert!(share >= RECOVERED, "{share} accepted after the fault");
}

/// Checks the requests for units that the fault does not concern, while it lasts.
fn others_are_not_concerned(plan: &Plan, run: &Run) {
    let fault = &plan.disturbance;
    let times = |request: &&Request| {
        let at = request.at - run.begin;
        at >= fault.time.start && at < fault.time.end + RECOVERY
    };
    let others = |request: &&Request| {
        let unit = request.unit;
        !request.is_bad && unit.is_some_and(|unit| !fault.units.contains(&unit))
    };
    let during: Vec<_> = run.requests.iter().filter(times).filter(others).collect();
    if during.is_empty() {
        return;
    }
    let share = share_accepted(during.iter().copied());
    assert!(share >= UNCONCERNED, "{share} of the others accepted");
    let before = run
        .requests
        .iter()
        .filter(|request| request.at - run.begin < fault.time.start && others(request));
    let usual = latency(before);
    let now = latency(during.into_iter()).unwrap_or_default();
    assert!(
        now <= usual.unwrap_or_default().max(plan.round_trip * 3) + ADDED,
        "p99 of the others is {now:?} after {usual:?}"
    );
}

fn share_accepted<'a>(requests: impl Iterator<Item = &'a Request>) -> f64 {
    let (mut accepted, mut all) = (0_u32, 0_u32);
    for request in requests {
        let is_accepted = !request.outcomes.is_empty()
            && request
                .outcomes
                .iter()
                .all(|outcome| *outcome == Outcome::Delivered);
        accepted += u32::from(is_accepted);
        all += 1;
    }
    if all == 0 {
        1.0
    } else {
        f64::from(accepted) / f64::from(all)
    }
}

/// Returns the 99th percentile of the time to the answer.
fn latency<'a>(requests: impl Iterator<Item = &'a Request>) -> Option<Duration> {
    let mut times: Vec<Duration> = requests
        .map(|request| request.answered - request.at)
        .collect();
    times.sort_unstable();
    let index = times.len().checked_sub(1)? * 99 / 100;
    Some(times[index])
}
