//! The report as Markdown tables, aligned so that they read well in a terminal too.

use std::fmt::Write as _;

use super::case::{Goal, Group, Part};
use super::machine::Machine;
use super::statistics::{Report, Spread, Statistics, Verdict, Waits};

/// The width of the first column.
const WIDTH: usize = 54;
/// The rule under the head of a column of numbers.
const RULE: &str = "-----------:|";
/// The least CPU time that a profile shows, in microseconds a request.
const PROFILE_MICROS_MIN: f64 = 0.05;
const HEADS: [&str; 9] = [
    "req/s",
    "records/s",
    "CPU/req",
    "CPU/record",
    "p50",
    "p99",
    "p99.9",
    "max",
    "memory",
];

/// Returns the text before all tables.
pub fn preamble(machine: &Machine, quick: bool) -> String {
    let length = if quick { "short" } else { "full" };
    format!(
        "# Load, a {length} run\n\n{machine}\n\n\
         CPU is the CPU time of the server's process alone, in all its threads. `×` is the CPU\n\
         time a record of the case's first side as a multiple of this side's: the median of the\n\
         turns, with the lowest and the highest. Several sides together are their sum.\n"
    )
}

/// Returns a group's title and the head of its table.
pub fn head(group: Group) -> String {
    let line = format!(
        "|:{}|{}:{}|",
        "-".repeat(WIDTH + 1),
        RULE.repeat(HEADS.len()),
        "-".repeat(21)
    );
    format!(
        "\n## {group}\n\n{}\n{line}",
        columns("", HEADS.map(str::to_owned), "×")
    )
}

/// Returns a case's rows.
pub fn rows(report: &Report) -> String {
    let empty = || [const { String::new() }; HEADS.len()];
    let mut rows = vec![columns(&format!("**{}**", report.name), empty(), "")];
    rows.extend(report.sides.iter().map(row));
    if let Some(sum) = report.cpu.filter(|_| report.bases() > 1) {
        rows.push(columns("these together", empty(), &spread(sum)));
    }
    rows.join("\n")
}

fn columns(name: &str, cells: [String; HEADS.len()], times: &str) -> String {
    let cells = cells.map(|cell| format!(" {cell:>10} |")).concat();
    format!("| {name:WIDTH$} |{cells} {times:20} |")
}

fn row(side: &Statistics) -> String {
    let name = match side.rate {
        Some(rate) => format!("{}, {}/s intended", side.name, count(rate)),
        None => side.name.clone(),
    };
    let waits = side.waits.map_or(
        [const { String::new() }; 4],
        |Waits {
             p50,
             p99,
             p999,
             max,
         }| { [p50, p99, p999, max].map(time) },
    );
    let [p50, p99, p999, max] = waits;
    let memory = if side.loaded.peak == 0 {
        String::new()
    } else {
        format!("{} MiB", side.loaded.peak >> 20)
    };
    let cells = [
        count(side.requests_per_second),
        count(side.records_per_second),
        time(side.request_cpu_micros),
        time(side.record_cpu_micros),
        p50,
        p99,
        p999,
        max,
        memory,
    ];
    columns(&name, cells, &side.times.map(spread).unwrap_or_default())
}

/// Returns a case's notes, if it has any: memory a connection, records a write, waits compared.
pub fn notes(report: &Report) -> Option<String> {
    let mut notes = Vec::new();
    for side in report.sides.iter().filter(|side| side.connections >= 1000) {
        if let Some(bytes) = side.bytes_a_connection() {
            let name = &side.name;
            notes.push(format!(
                "{name}: {:.1} KiB of memory a connection",
                bytes / 1024.0
            ));
        }
    }
    let subject = report.subject();
    let batch = subject.batch_records;
    notes.extend(batch.map(|batch| format!("{batch:.1} records a write")));
    let commit = subject.commit_records;
    notes.extend(commit.map(|commit| format!("{commit:.1} records a commit")));
    if report.group == Group::Journal {
        let more = report.more_micros;
        notes.extend(more.map(|more| format!("{} µs more CPU a record", spread(more))));
        let rate = report.rate.filter(|_| subject.rate.is_none());
        notes.extend(rate.map(|rate| format!("{} times the base's records/s", spread(rate))));
    }
    let base = report.sides.iter().find(|side| side.part == Part::Base);
    let p99 = report.p99.zip(base).filter(|_| subject.rate.is_some());
    notes.extend(p99.map(|(p99, base)| format!("p99 {} times that of {}", spread(p99), base.name)));
    (!notes.is_empty()).then(|| format!("{}: {}.", report.name, notes.join("; ")))
}

/// Returns a table of the places where the CPU time of a request goes, by side, or `None` if no
/// side was sampled.
pub fn profile(report: &Report) -> Option<String> {
    let profiles: Vec<_> = report
        .sides
        .iter()
        .filter_map(|side| Some((side.name.as_str(), side.profile.as_ref()?)))
        .collect();
    if profiles.is_empty() {
        return None;
    }
    let mut places: Vec<_> = profiles
        .iter()
        .flat_map(|(_, profile)| profile.places.keys())
        .collect();
    places.sort();
    places.dedup();
    let mut rows: Vec<(&str, Vec<f64>)> = places
        .into_iter()
        .map(|place| {
            let cells = profiles
                .iter()
                .map(|(_, profile)| profile.places.get(place).map_or(0.0, |micros| *micros))
                .collect();
            (place.as_str(), cells)
        })
        .collect();
    let most = |cells: &[f64]| cells.iter().copied().fold(0.0, f64::max);
    rows.sort_by(|(_, a), (_, b)| most(b).total_cmp(&most(a)));
    rows.retain(|(_, cells)| most(cells) >= PROFILE_MICROS_MIN);

    let names = profiles.iter().map(|(name, _)| (*name).to_owned());
    let mut lines = vec![
        format!("\nCPU time of a request, {}:\n", report.name),
        profile_line("", names),
        format!(
            "|:{}|{}",
            "-".repeat(WIDTH + 1),
            format!("{}:|", "-".repeat(25)).repeat(profiles.len())
        ),
    ];
    lines.extend(
        rows.iter()
            .map(|(place, cells)| profile_line(place, cells.iter().copied().map(time))),
    );
    Some(lines.join("\n"))
}

fn profile_line(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.map(|cell| format!(" {cell:>24} |")).collect();
    format!("| {first:WIDTH$} |{}", cells.concat())
}

/// Returns a table of all goals with the measured values.
pub fn goals(reports: &[Report]) -> String {
    let mut text = format!(
        "\n## Goals\n\n| {:60} | {:24} | {:>10} | met |\n",
        "case", "goal", "measured"
    );
    let _ = writeln!(
        text,
        "|:{}|:{}|{}:|:----|",
        "-".repeat(61),
        "-".repeat(25),
        "-".repeat(11)
    );
    for report in reports {
        for Verdict {
            goal,
            measured,
            met,
        } in &report.verdicts
        {
            let (goal, measured) = goal_text(*goal, *measured);
            let met = if *met { "yes" } else { "**no**" };
            let _ = writeln!(
                text,
                "| {:60} | {goal:24} | {measured:>10} | {met} |",
                report.name
            );
        }
    }
    text
}

fn goal_text(goal: Goal, measured: f64) -> (String, String) {
    match goal {
        Goal::Cpu(bound) => (
            format!("CPU at most {bound:.2} ×"),
            format!("{measured:.2} ×"),
        ),
        Goal::P99(bound) => (
            format!("p99 at most {bound:.2} ×"),
            format!("{measured:.2} ×"),
        ),
        Goal::MoreMicros(bound) => (
            format!("at most {} more CPU a record", time(bound)),
            time(measured),
        ),
        Goal::RecordMicros(bound) => (
            format!("at most {} CPU a record", time(bound)),
            time(measured),
        ),
        Goal::RecordsPerSecond(bound) => (
            format!("at least {} records/s", count(bound)),
            count(measured),
        ),
        Goal::Rate(bound) => (
            format!("records/s at least {bound:.2} ×"),
            format!("{measured:.2} ×"),
        ),
        Goal::Seconds(bound) => (format!("at most {bound} s"), time(measured * 1e6)),
    }
}

fn spread(
    Spread {
        median,
        lowest,
        highest,
    }: Spread,
) -> String {
    format!("{median:.2} ({lowest:.2}–{highest:.2})")
}

fn count(count: f64) -> String {
    match count {
        1e6.. => format!("{:.2} M", count / 1e6),
        1e4.. => format!("{:.1} k", count / 1e3),
        _ => format!("{count:.0}"),
    }
}

/// Returns a time with its unit.
fn time(micros: f64) -> String {
    match micros {
        1e6.. => format!("{:.2} s", micros / 1e6),
        1e4.. => format!("{:.1} ms", micros / 1e3),
        1e3.. => format!("{:.2} ms", micros / 1e3),
        100.0.. => format!("{micros:.0} µs"),
        10.0.. => format!("{micros:.1} µs"),
        _ => format!("{micros:.2} µs"),
    }
}
