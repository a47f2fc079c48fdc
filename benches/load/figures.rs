//! What a case came to: figures of each side, ratios of turns, goals.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::case::{Case, Goal, Group, Part};
use super::client::waits;
use super::process::Resident;
use super::profile::Profile;
use super::turns::Measured;
use super::window::{Window, micros};

#[derive(Serialize)]
pub struct Report {
    pub group: Group,
    pub name: String,
    pub at: Option<f64>,
    pub sides: Vec<Figures>,
    /// The subject's CPU time a record as a multiple of the base's, by turns.
    pub cpu: Option<Spread>,
    /// What 99 in 100 waited, likewise.
    pub p99: Option<Spread>,
    pub verdicts: Vec<Verdict>,
}

#[derive(Serialize)]
pub struct Figures {
    pub name: String,
    pub part: Part,
    pub requests: u64,
    pub requests_per_second: f64,
    pub records_per_second: f64,
    pub request_cpu_micros: f64,
    pub record_cpu_micros: f64,
    pub waits: Option<Waits>,
    /// Requests a second that were asked for.
    pub rate: Option<f64>,
    pub batch_records: Option<f64>,
    pub connections: usize,
    pub idle: Resident,
    pub loaded: Resident,
    /// The subject's CPU time a record as a multiple of this side's, by turns.
    pub times: Option<Spread>,
    /// Of each turn.
    pub turns_record_cpu_micros: Vec<f64>,
    /// Where a request's CPU time goes, in microseconds.
    pub profile: Option<Profile>,
}

/// In microseconds.
#[derive(Clone, Copy, Serialize)]
pub struct Waits {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[derive(Clone, Copy, Serialize)]
pub struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

#[derive(Serialize)]
pub struct Verdict {
    pub goal: Goal,
    pub measured: f64,
    pub met: bool,
}

impl Report {
    pub fn new(case: &Case, measured: &[Measured]) -> Self {
        let (subject, bases) = (
            &measured[0],
            measured.iter().filter(|side| side.side.part == Part::Base),
        );
        let bases: Vec<_> = bases.collect();
        let times = |side: &Measured| {
            (side.side.part != Part::Subject)
                .then(|| ratio(subject, &[side], |w| Some(w.record_micros())))
        };
        let figures =
            |side: &Measured| Figures::new(side.name(subject), side, times(side).flatten());
        let sides: Vec<_> = measured.iter().map(figures).collect();
        let cpu = ratio(subject, &bases, |window| Some(window.record_micros()));
        let served: Vec<_> = bases
            .into_iter()
            .filter(|base| base.windows[0].waits.is_some())
            .collect();
        let p99 = ratio(subject, &served, Window::p99);
        let verdict = |goal: &Goal| {
            let (measured, met) = judge(*goal, &sides[0], cpu, p99);
            Verdict {
                goal: *goal,
                measured,
                met,
            }
        };
        let verdicts = case.goals.iter().map(verdict).collect();
        Self {
            group: case.group,
            name: case.name.clone(),
            at: case.at,
            sides,
            cpu,
            p99,
            verdicts,
        }
    }

    pub fn subject(&self) -> &Figures {
        &self.sides[0]
    }

    /// How many sides are added up to compare with.
    pub fn bases(&self) -> usize {
        self.sides
            .iter()
            .filter(|side| side.part == Part::Base)
            .count()
    }
}

fn judge(goal: Goal, subject: &Figures, cpu: Option<Spread>, p99: Option<Spread>) -> (f64, bool) {
    let at_most = |measured: Option<f64>, bound: f64| {
        let measured = measured.unwrap_or(f64::NAN);
        (measured, measured <= bound)
    };
    match goal {
        Goal::Cpu(bound) => at_most(cpu.map(|spread| spread.median), bound),
        Goal::P99(bound) => at_most(p99.map(|spread| spread.median), bound),
        Goal::RecordMicros(bound) => at_most(Some(subject.record_cpu_micros), bound),
        Goal::Seconds(bound) => at_most(subject.waits.map(|waits| waits.p50 / 1e6), bound),
        Goal::RecordsPerSecond(bound) => (
            subject.records_per_second,
            subject.records_per_second >= bound,
        ),
    }
}

/// How a figure of the subject compares with the sum of the bases', turn by turn.
fn ratio(
    subject: &Measured,
    bases: &[&Measured],
    figure: impl Fn(&Window) -> Option<f64>,
) -> Option<Spread> {
    let turn = |turn: usize| {
        let sum = bases
            .iter()
            .map(|base| figure(&base.windows[turn]))
            .sum::<Option<f64>>()?;
        figure(&subject.windows[turn]).map(|figure| figure / sum)
    };
    let ratios: Option<Vec<f64>> = (0..subject.windows.len()).map(turn).collect();
    ratios.filter(|_| !bases.is_empty()).map(Spread::of)
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
        Self {
            median: f64::midpoint(values[low], values[high]),
            lowest: values[0],
            highest: values[values.len() - 1],
        }
    }
}

impl Figures {
    fn new(name: String, measured: &Measured, times: Option<Spread>) -> Self {
        let windows = &measured.windows;
        let requests: u64 = windows.iter().map(|window| window.requests).sum();
        let records: u64 = windows.iter().map(|window| window.records).sum();
        let seconds: f64 = windows
            .iter()
            .map(|window| window.elapsed.as_secs_f64())
            .sum();
        let cpu: f64 = windows.iter().map(|window| micros(window.cpu)).sum();
        let batches: Vec<f64> = windows.iter().filter_map(|window| window.batch).collect();
        Self {
            name,
            part: measured.side.part,
            requests,
            requests_per_second: requests as f64 / seconds,
            records_per_second: records as f64 / seconds,
            request_cpu_micros: cpu / requests as f64,
            record_cpu_micros: cpu / records as f64,
            waits: Waits::of(windows),
            rate: measured.rate,
            batch_records: (!batches.is_empty())
                .then(|| batches.iter().sum::<f64>() / batches.len() as f64),
            connections: measured.connections,
            idle: measured.idle,
            loaded: measured.loaded,
            times,
            turns_record_cpu_micros: windows.iter().map(Window::record_micros).collect(),
            profile: measured.profile.as_ref().and_then(Window::request_profile),
        }
    }

    /// What a connection adds to the process's memory.
    pub fn bytes_a_connection(&self) -> Option<f64> {
        let grown = self.loaded.now.saturating_sub(self.idle.now) as f64;
        (self.connections > 0).then(|| grown / self.connections as f64)
    }
}

impl Waits {
    fn of(windows: &[Window]) -> Option<Self> {
        let mut all: Histogram<u64> = waits();
        for window in windows {
            all.add(window.waits.as_ref()?)
                .expect("bounds that are the same");
        }
        let at = |quantile| all.value_at_quantile(quantile) as f64 / 1e3;
        Some(Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: all.max() as f64 / 1e3,
        })
    }
}
