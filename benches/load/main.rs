//! The whole gateway under load over loopback, beside bare hyper: `cargo bench --bench load --
//! --quick`, or without `--quick` for all cases at length.
//!
//! Every server is a process of its own, so that its CPU time can be read, to the nanosecond; sides
//! take turns, and what counts is the median of the turns' ratios. Requests are fixed bytes. At a
//! constant rate a wait counts from when its request was due. Prints Markdown; writes it, with all
//! figures in JSON and plots, to `target/load`.

#![allow(missing_docs)]
#![allow(
    clippy::cast_precision_loss,
    reason = "counts and times are far below 2^53"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, and small"
)]

mod body;
mod case;
mod cases;
mod client;
mod figures;
mod folder;
mod machine;
mod plot;
mod process;
mod profile;
mod requests;
mod role;
mod server;
mod site;
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
use figures::Report;
use machine::Machine;
use site::Site;
use turns::Effort;

/// The whole gateway under load, beside bare hyper.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Arguments {
    /// Fewer cases, and each in seconds: under two minutes in all.
    #[arg(long)]
    quick: bool,
    /// Only the cases whose names contain this.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Names the cases and runs none.
    #[arg(long)]
    list: bool,
    /// Samples each side of a case once more, with Linux's perf, and says where its CPU time goes.
    #[arg(long)]
    profile: bool,
    /// Serving threads of every server; by default one a core.
    #[arg(long)]
    threads: Option<usize>,
    /// Says that this is a benchmark, not a test: cargo does.
    #[arg(long, hide = true)]
    bench: bool,
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
/// How long a side is sampled.
const PROFILE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().collect();
    if role::play(&words.split_off(1.min(words.len()))) {
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("This is a benchmark: `cargo bench --bench load`.");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} cases failed; why stands above.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("no report: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for. Gives back how many cases failed.
fn run(arguments: &Arguments) -> Result<usize, Box<dyn Error>> {
    let wanted = |case: &Case| {
        let named = || arguments.only.iter().any(|text| case.name.contains(text));
        (case.quick || !arguments.quick) && (arguments.only.is_empty() || named())
    };
    let cases: Vec<Case> = cases::all().into_iter().filter(wanted).collect();
    if cases.is_empty() {
        return Err("no case is named so; --list names them all".into());
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
    let machine = Machine::look(site.threads, &date);
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

/// Prints, and keeps what it has printed.
#[derive(Default)]
struct Text(String);

impl Text {
    fn say(&mut self, text: &str) {
        println!("{text}");
        self.0.push_str(text);
        self.0.push('\n');
    }
}

/// A case that fails has said why; the others go on.
fn measure(cases: &[Case], site: &Site, effort: Effort, text: &mut Text) -> Vec<Report> {
    let mut reports = Vec::new();
    for group in cases.chunk_by(|a, b| a.group == b.group) {
        text.say(&table::head(group[0].group));
        let mut notes = Vec::new();
        for case in group {
            let measured = catch_unwind(AssertUnwindSafe(|| turns::run(case, site, effort)));
            let Ok(measured) = measured else {
                eprintln!("failed: {}", case.name);
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
