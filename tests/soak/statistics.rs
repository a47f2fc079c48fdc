//! The statistics that the soak takes while it runs, and the table that it prints at the end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::limits::LIMITS;
use super::site::Site;

/// One look at the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) resident_kb: u64,
    pub(super) threads: u64,
    pub(super) descriptors: usize,
}

/// One row of the table: what came up to this moment.
struct Row {
    at: Duration,
    answers: BTreeMap<u16, u64>,
    limits: usize,
    connections: f64,
}

#[derive(Default)]
pub(super) struct Statistics {
    samples: Mutex<Vec<Sample>>,
    rows: Mutex<Vec<Row>>,
}

impl Sample {
    pub(super) fn of(site: &Site, at: Duration) -> Self {
        let (resident_kb, threads) = (site.status("VmRSS"), site.status("Threads"));
        Self {
            at,
            resident_kb,
            threads,
            descriptors: site.descriptors(),
        }
    }
}

impl Statistics {
    /// Looks at the process each second, and at the metrics ten times a row, until the soak is
    /// over.
    pub(super) fn watch(&self, site: &Site, row: Duration, seconds: u64) {
        let begin = Instant::now();
        let (mut next_row, mut next_metrics) = (row, Duration::ZERO);
        while site.tally.goes_on() {
            let at = begin.elapsed();
            self.samples
                .lock()
                .expect("no sampler has panicked")
                .push(Sample::of(site, at));
            if at >= next_metrics {
                // As a scraper does. Where it is refused, the row says so.
                let _ = site.gateway.admin("/metrics");
                next_metrics += Duration::from_secs(10);
            }
            if at >= next_row {
                self.add_row(site, at, seconds);
                next_row += row;
            }
            thread::sleep(Duration::from_secs(1));
        }
        self.add_row(site, begin.elapsed(), seconds);
    }

    fn add_row(&self, site: &Site, at: Duration, seconds: u64) {
        let hit = LIMITS
            .iter()
            .filter(|limit| limit.is_of(site, seconds) && limit.hits(site) > 0);
        let row = Row {
            at,
            answers: site.tally.counts().answers,
            limits: hit.count(),
            connections: site.gateway.metric("iem_gateway_connections_total", &[]),
        };
        self.rows.lock().expect("no sampler has panicked").push(row);
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples
            .lock()
            .expect("no sampler has panicked")
            .clone()
    }

    /// The rows, what each adds to the one before.
    pub(super) fn table(&self, site: &Site) -> String {
        let rows = self.rows.lock().expect("no sampler has panicked");
        let samples = self.samples();
        let mut text = format!(
            "{} gateway\n{:>6} {:>9} {:>8} {:>12} {:>7} {:>12}  answers, 0 for none\n",
            site.label, "to s", "RSS MiB", "threads", "descriptors", "limits", "connections"
        );
        let (mut before, mut answers, mut connections) = (Duration::ZERO, BTreeMap::new(), 0.0);
        for row in rows.iter() {
            let within = || {
                samples
                    .iter()
                    .filter(|sample| sample.at > before && sample.at <= row.at)
            };
            let most = |figure: fn(&Sample) -> u64| within().map(figure).max().unwrap_or_default();
            let added: Vec<String> = row
                .answers
                .iter()
                .map(|(status, count)| {
                    format!("{status}: {}", count - answers.get(status).unwrap_or(&0))
                })
                .collect();
            writeln!(
                text,
                "{:>6} {:>9.1} {:>8} {:>12} {:>7} {:>12}  {}",
                row.at.as_secs(),
                mebibytes(most(|sample| sample.resident_kb)),
                most(|sample| sample.threads),
                most(|sample| sample.descriptors as u64),
                row.limits,
                row.connections - connections,
                added.join(", ")
            )
            .expect("a string takes text");
            (before, answers, connections) = (row.at, row.answers.clone(), row.connections);
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes of a process")]
pub(super) fn mebibytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}

/// The middle one of what the process held resident between two moments.
pub(super) fn median_resident_kb(samples: &[Sample], from: Duration, to: Duration) -> u64 {
    let within = samples
        .iter()
        .filter(|sample| sample.at >= from && sample.at < to);
    let mut sizes: Vec<u64> = within.map(|sample| sample.resident_kb).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().unwrap_or_default()
}
