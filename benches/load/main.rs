//! A benchmark of the whole gateway under load over loopback, beside bare hyper:
//! `cargo bench --bench load -- --quick`, or without `--quick` for all cases at length.
//!
//! Each server is a process of its own, so that its CPU time can be read to the nanosecond. Sides
//! take turns, and the result is the median of the turns' ratios. Requests are fixed bytes. At a
//! constant rate, a wait counts from the time at which its request was due. The report is printed
//! as Markdown, and written to `target/load` together with all statistics in JSON and plots.

#![allow(missing_docs)]
#![allow(
    clippy::cast_precision_loss,
    reason = "counts and times are far below 2^53"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the values are rounded and small"
)]

mod backlog;
mod body;
mod case;
mod cases;
mod client;
mod folder;
mod loaded_server;
mod machine;
mod measured;
mod plot;
mod process;
mod profile;
mod requests;
mod role;
mod running;
mod server;
mod site;
mod statistics;
mod table;
mod turns;
mod users;
mod window;
mod worker;

use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use serde_json::json;

use case::Case;
use machine::Machine;
use site::Site;
use statistics::Report;
use turns::Effort;

/// Measures the whole gateway under load, beside bare hyper.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Arguments {
    /// Runs fewer cases, each in seconds: under two minutes in all.
    #[arg(long)]
    quick: bool,
    /// Runs only the cases whose names contain TEXT.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Prints the names of the cases and runs none.
    #[arg(long)]
    list: bool,
    /// Samples each side once more with Linux's perf, and prints where its CPU time goes.
    #[arg(long)]
    profile: bool,
    /// Sets the serving threads of each server; by default one a core.
    #[arg(long)]
    threads: Option<usize>,
    /// Tells a benchmark run from a test run. `cargo bench` sets it.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn select(&self, case: &Case) -> bool {
        (case.quick || !self.quick)
            && (self.only.is_empty() || self.only.iter().any(|text| case.name.contains(text)))
    }
}

const QUICK: Effort = Effort {
    turns: 3,
    window: Duration::from_millis(400),
    profile: None,
};
const FULL: Effort = Effort {
    turns: 15,
    window: Duration::from_millis(450),
    profile: None,
};
/// The time for which `perf` samples a side.
const PROFILE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if role::play(&words) {
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("This is a benchmark. Run it with `cargo bench --bench load`.");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} cases failed. The reasons are printed above.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("The benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases that the arguments select. Returns how many of them failed.
fn run(arguments: &Arguments) -> Result<usize, Box<dyn Error>> {
    let cases: Vec<Case> = cases::all()
        .into_iter()
        .filter(|case| arguments.select(case))
        .collect();
    if cases.is_empty() {
        return Err("no case matches; --list prints the names of all".into());
    }
    if arguments.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return Ok(0);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let site = Site::new(arguments.threads.unwrap_or(cores));
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let machine = Machine::read(site.threads, &date);
    let mut text = Text::default();
    text.say(&table::preamble(&machine, arguments.quick));
    let effort = if arguments.quick { QUICK } else { FULL };
    let effort = Effort {
        profile: arguments.profile.then_some(PROFILE),
        ..effort
    };
    let reports = measure(&cases, &site, effort, &mut text);
    text.say(&table::goals(&reports));
    write(&machine, &reports, &text, &date.replace(':', ""))?;
    Ok(cases.len() - reports.len())
}

/// The report's text, printed as it grows.
#[derive(Default)]
struct Text(String);

impl Text {
    fn say(&mut self, text: &str) {
        println!("{text}");
        self.0.push_str(text);
        self.0.push('\n');
    }
}

/// Measures the cases and prints their tables. A case that fails prints its reason, and the others
/// go on.
fn measure(cases: &[Case], site: &Site, effort: Effort, text: &mut Text) -> Vec<Report> {
    let mut reports = Vec::new();
    for group in cases.chunk_by(|a, b| a.group == b.group) {
        text.say(&table::head(group[0].group));
        let mut notes = Vec::new();
        for case in group {
            let measured = catch_unwind(AssertUnwindSafe(|| turns::run(case, site, effort)));
            let Ok(measured) = measured else {
                eprintln!("The case failed: {}", case.name);
                continue;
            };
            let report = Report::new(case, &measured);
            text.say(&table::rows(&report));
            notes.extend(table::notes(&report).map(|note| format!("- {note}")));
            notes.extend(table::profile(&report));
            reports.push(report);
        }
        text.say("");
        for note in notes {
            text.say(&note);
        }
    }
    reports
}

/// Writes the report, the statistics and the plots.
fn write(
    machine: &Machine,
    reports: &[Report],
    text: &Text,
    stem: &str,
) -> Result<(), Box<dyn Error>> {
    let folder = folder::reports();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{stem}.md")), &text.0)?;
    let all = json!({ "machine": machine, "cases": reports });
    fs::write(
        folder.join(format!("{stem}.json")),
        serde_json::to_string_pretty(&all)?,
    )?;
    let plots = plot::all(reports, &folder, stem)?;
    println!(
        "Written to {}: {stem}.md, {stem}.json {}",
        folder.display(),
        plots.join(" ")
    );
    Ok(())
}
