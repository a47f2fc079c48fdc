//! The pipeline on a virtual clock: queue, channels, workers and receipts as they are, before a
//! simulated backend that fails as a seed says.
//!
//! Requests arrive at a constant rate, whether they are answered or not, so a stall shows. A run
//! that fails prints its seed; `SIMULATION_SEED=<seed>` runs that one alone, and
//! `SIMULATION_RUNS=<number>` makes so many in each of the four tests.

mod backend;
mod clock;
mod oracle;
mod plan;
mod world;

use std::sync::Arc;

use plan::Plan;

/// The runs of a test, unless the environment says otherwise.
const RUNS: u64 = 150;

/// Makes the runs of one of the tests, which have the numbers 0 to 3.
fn run_seeds(test: u64) {
    let number = |name| Some(std::env::var(name).ok()?.parse().expect("a number"));
    if let Some(seed) = number("SIMULATION_SEED") {
        eprintln!("{:?}", Plan::draw(seed));
        return run_seed(seed);
    }
    let runs = number("SIMULATION_RUNS").unwrap_or(RUNS);
    for seed in test * runs..(test + 1) * runs {
        let run = std::panic::catch_unwind(|| run_seed(seed));
        let plan = Plan::draw(seed);
        assert!(run.is_ok(), "the run of seed {seed} failed: {plan:?}");
    }
}

fn run_seed(seed: u64) {
    let plan = Arc::new(Plan::draw(seed));
    let run = world::run(&plan);
    oracle::examine(&plan, &run);
}

#[test]
fn bad_weather_costs_those_whom_it_concerns_1() {
    run_seeds(0);
}

#[test]
fn bad_weather_costs_those_whom_it_concerns_2() {
    run_seeds(1);
}

#[test]
fn bad_weather_costs_those_whom_it_concerns_3() {
    run_seeds(2);
}

#[test]
fn bad_weather_costs_those_whom_it_concerns_4() {
    run_seeds(3);
}
