//! The report of a case: the statistics of each side, the ratios of the turns, and the verdicts on
//! the goals.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::case::{Case, Goal, Group, Part};
use super::client::waits;
use super::measured::Measured;
use super::process::Resident;
use super::profile::Profile;
use super::window::{Window, micros};

#[derive(Serialize)]
pub struct Report {
    pub group: Group,
    pub name: String,
    pub at: Option<f64>,
    pub sides: Vec<Statistics>,
    /// The subject's CPU time a record as a multiple of the bases' sum, over the turns.
    pub cpu: Option<Spread>,
    /// The subject's 99th percentile of the waits as a multiple of the bases', over the turns.
    pub p99: Option<Spread>,
    /// The subject's records a second as a multiple of the bases', over the turns.
    pub rate: Option<Spread>,
    /// The subject's CPU time a record beyond the bases' sum, in microseconds, over the turns.
    pub more_micros: Option<Spread>,
    pub verdicts: Vec<Verdict>,
}

/// The statistics of a side over all its turns.
#[derive(Serialize)]
pub struct Statistics {
    pub name: String,
    pub part: Part,
    pub requests: u64,
    pub requests_per_second: f64,
    pub records_per_second: f64,
    pub request_cpu_micros: f64,
    pub record_cpu_micros: f64,
    pub waits: Option<Waits>,
    /// The intended requests a second, if the arrival rate is constant.
    pub rate: Option<f64>,
    pub batch_records: Option<f64>,
    pub commit_records: Option<f64>,
    pub connections: usize,
    pub idle: Resident,
    pub loaded: Resident,
    /// The subject's CPU time a record as a multiple of this side's, over the turns.
    pub times: Option<Spread>,
    /// CPU time a record in each turn, in microseconds.
    pub turns_record_cpu_micros: Vec<f64>,
    /// The places where a request's CPU time goes, in microseconds.
    pub profile: Option<Profile>,
}

/// The percentiles of the waits, in microseconds.
#[derive(Clone, Copy, Serialize)]
pub struct Waits {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// The median of the turns with the lowest and the highest.
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
        let subject = &measured[0];
        let bases: Vec<_> = measured
            .iter()
            .filter(|side| side.side.part == Part::Base)
            .collect();
        let sides: Vec<_> = measured
            .iter()
            .map(|side| Statistics::new(side, subject))
            .collect();
        let micros = |window: &Window| Some(window.record_micros());
        let cpu = ratio(subject, &bases, micros);
        let more_micros = compare(subject, &bases, micros, |subject, sum| subject - sum);
        let rate = ratio(subject, &bases, |window| Some(window.rate()));
        let served: Vec<_> = bases
            .into_iter()
            .filter(|base| base.windows[0].waits.is_some())
            .collect();
        let p99 = ratio(subject, &served, Window::p99);
        let mut report = Self {
            group: case.group,
            name: case.name.clone(),
            at: case.at,
            sides,
            cpu,
            p99,
            rate,
            more_micros,
            verdicts: Vec::new(),
        };
        report.verdicts = case.goals.iter().map(|goal| report.judge(*goal)).collect();
        report
    }

    fn judge(&self, goal: Goal) -> Verdict {
        let median = |spread: Option<Spread>| spread.map_or(f64::NAN, |spread| spread.median);
        let at_most = |measured: f64, bound: f64| Verdict {
            goal,
            measured,
            met: measured <= bound,
        };
        let at_least = |measured: f64, bound: f64| Verdict {
            goal,
            measured,
            met: measured >= bound,
        };
        let subject = self.subject();
        match goal {
            Goal::Cpu(bound) => at_most(median(self.cpu), bound),
            Goal::P99(bound) => at_most(median(self.p99), bound),
            Goal::MoreMicros(bound) => at_most(median(self.more_micros), bound),
            Goal::RecordMicros(bound) => at_most(subject.record_cpu_micros, bound),
            Goal::Seconds(bound) => {
                let waits = subject.waits.map_or(f64::NAN, |waits| waits.p50 / 1e6);
                at_most(waits, bound)
            }
            Goal::RecordsPerSecond(bound) => at_least(subject.records_per_second, bound),
            Goal::Rate(bound) => at_least(median(self.rate), bound),
        }
    }

    pub fn subject(&self) -> &Statistics {
        &self.sides[0]
    }

    /// Returns how many bases are added up.
    pub fn bases(&self) -> usize {
        self.sides
            .iter()
            .filter(|side| side.part == Part::Base)
            .count()
    }
}

/// Returns a statistic of the subject as a multiple of the bases' sum, turn by turn. It is `None`
/// if there is no base, or a side lacks the statistic.
fn ratio(
    subject: &Measured,
    bases: &[&Measured],
    statistic: impl Fn(&Window) -> Option<f64>,
) -> Option<Spread> {
    compare(subject, bases, statistic, |subject, sum| subject / sum)
}

/// Compares a statistic of the subject with the bases' sum, turn by turn. It is `None` if there is no
/// base, or a side lacks the statistic.
fn compare(
    subject: &Measured,
    bases: &[&Measured],
    statistic: impl Fn(&Window) -> Option<f64>,
    with: impl Fn(f64, f64) -> f64,
) -> Option<Spread> {
    if bases.is_empty() {
        return None;
    }
    let turns: Option<Vec<f64>> = (0..subject.windows.len())
        .map(|turn| {
            let sum = bases
                .iter()
                .map(|base| statistic(&base.windows[turn]))
                .sum::<Option<f64>>()?;
            Some(with(statistic(&subject.windows[turn])?, sum))
        })
        .collect();
    turns.map(Spread::of)
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        // The two in the middle, which are one if their number is odd.
        let low = values[(values.len() - 1) / 2];
        let high = values[values.len() / 2];
        Self {
            median: f64::midpoint(low, high),
            lowest: values[0],
            highest: values[values.len() - 1],
        }
    }
}

impl Statistics {
    fn new(measured: &Measured, subject: &Measured) -> Self {
        let windows = &measured.windows;
        let requests: u64 = windows.iter().map(|window| window.requests).sum();
        let records: u64 = windows.iter().map(|window| window.records).sum();
        let seconds: f64 = windows
            .iter()
            .map(|window| window.elapsed.as_secs_f64())
            .sum();
        let cpu: f64 = windows.iter().map(|window| micros(window.cpu)).sum();
        let times = (measured.side.part != Part::Subject)
            .then(|| ratio(subject, &[measured], |window| Some(window.record_micros())))
            .flatten();
        Self {
            name: measured.name(subject),
            part: measured.side.part,
            requests,
            requests_per_second: requests as f64 / seconds,
            records_per_second: records as f64 / seconds,
            request_cpu_micros: cpu / requests as f64,
            record_cpu_micros: cpu / records as f64,
            waits: Waits::of(windows),
            rate: measured.rate,
            batch_records: mean(windows, |window| window.batch),
            commit_records: mean(windows, |window| window.commit),
            connections: measured.connections,
            idle: measured.idle,
            loaded: measured.loaded,
            times,
            turns_record_cpu_micros: windows.iter().map(Window::record_micros).collect(),
            profile: measured.profile.as_ref().and_then(Window::request_profile),
        }
    }

    /// Returns the memory that a connection adds to the process, in bytes.
    pub fn bytes_a_connection(&self) -> Option<f64> {
        let grown = self.loaded.now.saturating_sub(self.idle.now) as f64;
        (self.connections > 0).then(|| grown / self.connections as f64)
    }
}

/// Returns the mean of a statistic over the windows that have it.
fn mean(windows: &[Window], statistic: impl Fn(&Window) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = windows.iter().filter_map(statistic).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl Waits {
    fn of(windows: &[Window]) -> Option<Self> {
        let mut all: Histogram<u64> = waits();
        for window in windows {
            all.add(window.waits.as_ref()?)
                .expect("all histograms have the same bounds");
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
