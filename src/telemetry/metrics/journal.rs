//! Metrics of the topics' journals. A topic without a journal has none of them.

use std::time::Duration;

use prometheus::{CounterVec, IntCounterVec, IntGaugeVec};

use super::register::Register;
use super::totals::{raise, signed};
use crate::pipeline::{Balance, JournalVitals};

/// The metrics of all journals, by topic.
pub(super) struct JournalMetrics {
    records: IntGaugeVec,
    bytes: IntGaugeVec,
    limit_bytes: IntGaugeVec,
    oldest_seconds: IntGaugeVec,
    limit_seconds: IntGaugeVec,
    segments: IntGaugeVec,
    full: IntGaugeVec,
    commits: IntCounterVec,
    committed: IntCounterVec,
    commit_seconds: CounterVec,
    forwarded: IntCounterVec,
    retried: IntCounterVec,
    damaged: IntCounterVec,
    recovered: IntCounterVec,
}

impl JournalMetrics {
    pub(super) fn new(register: &Register) -> Result<Self, prometheus::Error> {
        let topic = &["topic"];
        let gauges = |name, help| register.gauges(name, help, topic);
        let counters = |name, help| register.counters(name, help, topic);
        Ok(Self {
            records: gauges(
                "journal_records",
                "Records in the journal that the sink does not have.",
            )?,
            bytes: gauges("journal_bytes", "Bytes of the journal's files on the disk.")?,
            limit_bytes: gauges("journal_limit_bytes", "The bound on journal_bytes.")?,
            oldest_seconds: gauges(
                "journal_oldest_seconds",
                "Age of the oldest record that the sink does not have; 0 if there is none.",
            )?,
            limit_seconds: gauges(
                "journal_limit_seconds",
                "The bound on journal_oldest_seconds.",
            )?,
            segments: gauges("journal_segments", "Segments of the journal.")?,
            full: gauges("journal_full", "1 while the journal takes no records.")?,
            commits: counters("journal_commits_total", "Commits written and synced.")?,
            committed: counters(
                "journal_committed_records_total",
                "Records of these commits.",
            )?,
            commit_seconds: register.seconds(
                "journal_commit_seconds_total",
                "Time that writing and syncing them took.",
                topic,
            )?,
            forwarded: counters(
                "journal_forwarded_total",
                "Records that went from the journal to the sink.",
            )?,
            retried: counters(
                "journal_retried_total",
                "Records that were sent again, because a part of the sink was away.",
            )?,
            damaged: counters(
                "journal_damaged_total",
                "Records lost by damage to the journal's files, since the journal was made.",
            )?,
            recovered: counters(
                "journal_recovered_total",
                "Records that the sink did not have when the gateway started.",
            )?,
        })
    }

    pub(super) fn set(&self, topic: &str, journal: &JournalVitals, balance: &Balance) {
        let topic = &[topic];
        let status = &journal.status;
        let gauges = [
            (&self.records, balance.backlog),
            (&self.bytes, status.bytes),
            (&self.limit_bytes, status.bytes_max),
            (&self.oldest_seconds, journal.oldest_age.as_secs()),
            (&self.limit_seconds, journal.age_max.as_secs()),
            (&self.segments, status.segments as u64),
            (&self.full, u64::from(journal.is_full)),
        ];
        for (gauge, value) in gauges {
            let value = usize::try_from(value).unwrap_or(usize::MAX);
            gauge.with_label_values(topic).set(signed(value));
        }
        let counters = [
            (&self.commits, journal.commits),
            (&self.committed, journal.committed_records),
            (&self.forwarded, journal.forwarded),
            (&self.retried, journal.retried),
            (&self.damaged, balance.damaged),
            (&self.recovered, journal.recovered),
        ];
        for (counter, value) in counters {
            raise(&counter.with_label_values(topic), value);
        }
        let seconds = self.commit_seconds.with_label_values(topic);
        let more = journal.commit_time.as_secs_f64() - seconds.get();
        seconds.inc_by(more.max(Duration::ZERO.as_secs_f64()));
    }
}
