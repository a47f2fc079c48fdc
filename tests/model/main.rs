//! Random sequences of calls, changes of the directory, faults of the sink and restarts, against a
//! small model of the contract: every answer is the model's, and so is what the sink holds.
//!
//! `PROPTEST_CASES` sets how many sequences; a failing one is printed as it was shrunk, a step a
//! line.

mod account;
mod body;
mod callers;
mod change;
mod contract;
mod generate;
mod outcome;
mod record;
mod run;
mod setup;
mod verdict;
mod words;
mod world;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use generate::{For, sequence};
use run::Run;
use world::World;

/// As many sequences as the environment says, else `cases`; shrinking takes no longer than a person
/// waits.
fn config(cases: u32) -> Config {
    let default = Config {
        max_shrink_time: 30_000,
        max_shrink_iters: 10_000,
        ..Config::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => Config { cases, ..default },
    }
}

fn check(target: For, cases: u32, world: fn(words::Setup) -> World) {
    let all = RefCell::new(Run::default());
    let config = Config {
        source_file: Some(file!()),
        test_name: Some("model"),
        ..config(cases)
    };
    let result = TestRunner::new(config).run(&sequence(target), |sequence| {
        all.borrow_mut().add(
            world(sequence.setup)
                .run(&sequence)
                .map_err(TestCaseError::fail)?,
        );
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    eprintln!("{target:?}: {:?}", all.borrow());
}

#[test]
fn answers_and_scripted_sink_match_the_model() {
    check(For::Script, 40, World::scripted);
}

#[test]
fn answers_and_files_match_the_model_through_drains_and_kills() {
    check(For::Files, 15, World::with_files);
}

/// Each change is made while another writer makes one, too.
#[test]
fn answers_match_the_model_over_a_directory_in_a_database() {
    check(For::Script, 15, World::on_database);
}
