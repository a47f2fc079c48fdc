//! The turns of a case: starts the sides, warms them up and measures them alternately, so that
//! other work of the machine slows all of them. It judges no result.

use std::time::Duration;

use super::case::{Case, Load, Rate, Side, Task};
use super::measured::Measured;
use super::running::{Running, Turn};
use super::site::Site;

/// The number and the length of a case's turns.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub turns: usize,
    pub window: Duration,
    /// How long `perf` samples each side after all turns, if it does.
    pub profile: Option<Duration>,
}

/// Records of a worker's batch until the gateway's batch size is known.
const BATCH_RECORDS: usize = 100;

/// Measures all sides of a case.
///
/// # Panics
/// Panics if a side does not start, stops, or answers anything but 200.
pub fn run(case: &Case, site: &Site, effort: Effort) -> Vec<Measured> {
    let keep_connections = connections(case) <= site.connections_max();
    let mut sides: Vec<_> = case
        .sides
        .iter()
        .map(|side| {
            let mut running = Running::start(*side, site, keep_connections);
            // Before the next side starts: a gateway closes a connection that sends nothing.
            running.warm_up(BATCH_RECORDS, effort.window);
            running
        })
        .collect();
    let saturating = needs_saturating_rate(&case.sides[0])
        .then(|| sides[0].saturating_rate(2 * effort.window))
        .flatten();
    let mut turn = Turn {
        time: effort.window,
        saturating,
        batch: BATCH_RECORDS,
        is_sampled: false,
    };
    for _ in 0..effort.turns {
        for (index, side) in sides.iter_mut().enumerate() {
            let window = side.measure(site, turn);
            if index == 0 {
                turn.batch = window
                    .batch
                    .map_or(turn.batch, |batch| batch.round().max(1.0) as usize);
            }
            side.windows.push(window);
        }
    }
    if let Some(time) = effort.profile {
        let turn = Turn {
            time,
            is_sampled: true,
            ..turn
        };
        for side in &mut sides {
            side.profile = Some(side.measure(site, turn));
        }
    }
    sides.into_iter().map(|side| side.end(saturating)).collect()
}

/// Returns how many connections all sides have together.
fn connections(case: &Case) -> usize {
    case.sides
        .iter()
        .map(|side| {
            if let Task::Served(_, load) = side.task {
                load.connections
            } else {
                0
            }
        })
        .sum()
}

/// Returns whether the side's rate is a share of the rate that saturates it.
fn needs_saturating_rate(subject: &Side) -> bool {
    matches!(
        subject.task,
        Task::Served(
            _,
            Load {
                rate: Rate::Share(_),
                ..
            }
        )
    )
}
