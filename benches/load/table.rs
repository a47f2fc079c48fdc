//! The report as Markdown, aligned so that a terminal shows a table too.

use std::fmt::Write as _;

use super::case::{Goal, Group, Part};
use super::figures::{Figures, Report, Spread, Waits, Verdict};
use super::machine::Machine;

const WIDTH: usize = 46;
const HEADS: [&str; 9] = ["req/s", "records/s", "CPU/req", "CPU/record", "p50", "p99", "p99.9", "max", "memory"];

/// What stands before all tables.
pub fn preamble(machine: &Machine, quick: bool) -> String {
    let length = if quick { "short" } else { "full" };
    format!(
        "# Load, a {length} run\n\n{machine}\n\nCPU is the server's process alone, all its threads. `×` is how many \
         times a side's CPU time a record the first\nside of its case takes: the median of turns, with the lowest and \
         the highest. Several sides together: their sum.\n"
    )
}

/// A group's title, and the head of its table.
pub fn head(group: Group) -> String {
    let mut text = format!("\n## {group}\n\n| {:WIDTH$} |", "");
    HEADS.iter().for_each(|head| write!(text, " {head:>10} |").expect("a string takes text"));
    let _ = writeln!(text, " {:18} |", "×");
    write!(text, "|:{}|", "-".repeat(WIDTH + 1)).expect("a string takes text");
    text.push_str(&format!("{}:|", "-".repeat(11)).repeat(HEADS.len()));
    text + &format!(":{}|", "-".repeat(19))
}

/// A case's rows.
pub fn rows(report: &Report) -> String {
    let mut text = format!("| {:WIDTH$} |", format!("**{}**", report.name));
    text.push_str(&format!(" {:10} |", "").repeat(HEADS.len()));
    let _ = writeln!(text, " {:18} |", "");
    let rows: Vec<String> = report.sides.iter().map(row).collect();
    text.push_str(&rows.join("\n"));
    if let Some(sum) = report.cpu.filter(|_| report.bases() > 1) {
        let _ = write!(text, "\n| {:WIDTH$} |", "these together");
        text.push_str(&format!(" {:>10} |", "").repeat(HEADS.len()));
        let _ = write!(text, " {:18} |", spread(sum));
    }
    text
}

fn row(side: &Figures) -> String {
    let name = side.name.split(", ").next().unwrap_or_default();
    let name = match (side.part, side.rate, side.connections) {
        (_, Some(rate), _) => format!("{name}, {}/s asked for", count(rate)),
        (Part::Base, _, connections) if connections > 0 => format!("{}", side.name),
        _ => side.name.clone(),
    };
    let name: String = name.chars().take(WIDTH).collect();
    let waits = side.waits.map_or([const { String::new() }; 4], |Waits { p50, p99, p999, max }| {
        [p50, p99, p999, max].map(time)
    });
    let [p50, p99, p999, max] = waits;
    let memory =
        if side.loaded.peak == 0 { String::new() } else { format!("{} MiB", side.loaded.peak >> 20) };
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
    let mut text = format!("| {name:WIDTH$} |");
    cells.iter().for_each(|cell| write!(text, " {cell:>10} |").expect("a string takes text"));
    let times = side.times.map(spread).unwrap_or_default();
    text + &format!(" {times:18} |")
}

/// What else a case says: memory a connection, records a write, waits compared.
pub fn notes(report: &Report) -> Option<String> {
    let mut notes = Vec::new();
    for side in report.sides.iter().filter(|side| side.connections >= 1000) {
        if let Some(bytes) = side.bytes_a_connection() {
            let name = &side.name;
            notes.push(format!("{name}: {:.1} KiB of memory a connection", bytes / 1024.0));
        }
    }
    let batch = report.subject().batch_records.map(|batch| format!("{batch:.1} records a write"));
    notes.extend(batch);
    notes.extend(report.p99.map(|p99| format!("p99 {} that of what it is compared with", spread(p99))));
    (!notes.is_empty()).then(|| format!("{}: {}.", report.name, notes.join("; ")))
}

/// All goals with what was measured.
pub fn goals(reports: &[Report]) -> String {
    let mut text = format!("\n## Goals\n\n| {:60} | {:24} | {:>10} | met |\n", "case", "goal", "measured");
    let _ = writeln!(text, "|:{}|:{}|{}:|:----|", "-".repeat(61), "-".repeat(25), "-".repeat(11));
    for report in reports {
        for Verdict { goal, measured, met } in &report.verdicts {
            let (goal, measured) = goal_text(*goal, *measured);
            let met = if *met { "yes" } else { "**no**" };
            let _ = writeln!(text, "| {:60} | {goal:24} | {measured:>10} | {met} |", report.name);
        }
    }
    text
}

fn goal_text(goal: Goal, measured: f64) -> (String, String) {
    match goal {
        Goal::Cpu(bound) => (format!("CPU at most {bound:.2} ×"), format!("{measured:.2} ×")),
        Goal::P99(bound) => (format!("p99 at most {bound:.2} ×"), format!("{measured:.2} ×")),
        Goal::RecordMicros(bound) => (format!("at most {} CPU a record", time(bound)), time(measured)),
        Goal::RecordsPerSecond(bound) => (format!("at least {} records/s", count(bound)), count(measured)),
        Goal::Seconds(bound) => (format!("at most {bound} s"), time(measured * 1e6)),
    }
}

fn spread(Spread { median, lowest, highest }: Spread) -> String {
    format!("{median:.2} ({lowest:.2}–{highest:.2})")
}

fn count(count: f64) -> String {
    match count {
        1e6.. => format!("{:.2} M", count / 1e6),
        1e4.. => format!("{:.1} k", count / 1e3),
        _ => format!("{count:.0}"),
    }
}

/// Of microseconds.
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
