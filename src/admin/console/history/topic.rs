//! A topic's row of the first screen.

use super::{History, Span};
use crate::admin::console::figures::real;
use crate::admin::console::moment::Moment;
use crate::admin::console::overview::{Fill, JournalPart, SinkError, TopicPart};
use crate::admin::console::quantile::quantile;
use crate::pipeline::JournalVitals;
use crate::telemetry::{EndpointCounts, TopicSnapshot};

/// A channel that is less full, in percent, is not said to be filling up: it rises and falls.
const CHANNEL_PERCENT_MIN: u64 = 5;
/// A topic that fills up more slowly, in seconds until it is full, is not said to.
const FULL_IN_MAX: f64 = 86_400.0;

impl History {
    pub(super) fn topics(&self, span: &Span<'_>) -> Vec<TopicPart> {
        let topics = span.now.snapshot.topics.iter().enumerate();
        let part = |(index, topic)| TopicPart {
            line: self.line(index),
            ..part(span, index, topic)
        };
        topics.map(part).collect()
    }

    /// Returns the records a second between each two moments.
    fn line(&self, topic: usize) -> Vec<f64> {
        let accepted = |moment: &Moment| moment.of_topic(topic, accepted);
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let rate = |(before, after): (&Moment, &Moment)| {
            let seconds = after.at.duration_since(before.at).as_secs_f64();
            let records = accepted(after).saturating_sub(accepted(before));
            // A tenth of a record a second is more than a line of pixels shows.
            (real(records) / seconds.max(0.001) * 10.0).round() / 10.0
        };
        pairs.map(rate).collect()
    }
}

fn part(span: &Span<'_>, index: usize, topic: &TopicSnapshot) -> TopicPart {
    let sink = span.now.sinks.get(index).cloned().unwrap_or_default();
    let of = |moment: &Moment| requests(moment, topic.topic);
    let (oldest, before, now) = (of(span.oldest), of(span.before), of(span.now));
    let within = now.within.iter().zip(&before.within);
    let within: Vec<_> = within
        .map(|(now, before)| now.saturating_sub(*before))
        .collect();
    let answered = now.answered.saturating_sub(before.answered);
    let time = |share| quantile(share, EndpointCounts::LATENCY_BOUNDS, &within, answered);
    TopicPart {
        name: topic.topic.to_owned(),
        sink: topic.sink.to_owned(),
        trouble: sink.trouble,
        last_error: sink.last_error.map(|error| SinkError {
            ago_s: span.now.at.saturating_duration_since(error.at).as_secs(),
            message: error.message,
        }),
        rate: span.rate(span.before.of_topic(index, accepted), accepted(topic)),
        line: Vec::new(),
        p50_s: time(0.5),
        p99_s: time(0.99),
        records: Fill {
            used: topic.records as u64,
            limit: topic.records_max as u64,
        },
        bytes: Fill {
            used: topic.bytes as u64,
            limit: topic.bytes_max as u64,
        },
        journal: topic
            .journal
            .as_ref()
            .map(|journal| journal_part(topic, journal)),
        full_in_s: full_in(span, index, topic),
        requests: now.answered.saturating_sub(oldest.answered),
        unavailable: now.unavailable.saturating_sub(oldest.unavailable),
        dead_lettered: topic.dead_lettered,
        dead_lettered_lately: span
            .recent(|moment| moment.of_topic(index, |topic| topic.dead_lettered))
            .lately,
        dead_letters_lost: topic.dead_letters_lost,
    }
}

fn accepted(topic: &TopicSnapshot) -> u64 {
    topic.balance.accepted
}

/// Returns the requests of a topic's own endpoint.
fn requests(moment: &Moment, topic: &str) -> EndpointCounts {
    let mut endpoints = moment.counts.endpoints.iter();
    let found = endpoints.find(|counts| counts.endpoint == topic);
    found.cloned().unwrap_or_default()
}

fn journal_part(topic: &TopicSnapshot, journal: &JournalVitals) -> JournalPart {
    JournalPart {
        bytes: Fill {
            used: journal.status.bytes,
            limit: journal.status.bytes_max,
        },
        age_s: Fill {
            used: journal.oldest_age.as_secs(),
            limit: journal.age_max.as_secs(),
        },
        backlog: topic.balance.backlog,
        is_full: journal.is_full,
    }
}

/// Returns the seconds until a bound of the channel or of the journal is reached, if what is used
/// goes on to grow as it did in the last minute.
fn full_in(span: &Span<'_>, index: usize, now: &TopicSnapshot) -> Option<f64> {
    let then = span.oldest.snapshot.topics.get(index)?;
    let seconds = span.now.at.duration_since(span.oldest.at).as_secs_f64();
    if seconds <= 0.0 {
        return None;
    }
    let until = |then: f64, now: f64, limit: f64| {
        let growth = (now - then) / seconds;
        (growth > 0.0).then(|| (limit - now).max(0.0) / growth)
    };
    let mut times = Vec::new();
    for (then, used, limit) in [
        (then.records, now.records, now.records_max),
        (then.bytes, now.bytes, now.bytes_max),
    ] {
        let fill = Fill {
            used: used as u64,
            limit: limit as u64,
        };
        if fill.percent() >= CHANNEL_PERCENT_MIN {
            times.extend(until(real(then as u64), real(fill.used), real(fill.limit)));
        }
    }
    if let (Some(before), Some(journal)) = (&then.journal, &now.journal)
        && now.balance.backlog > then.balance.backlog
    {
        let [then, used, limit] = [
            before.status.bytes,
            journal.status.bytes,
            journal.status.bytes_max,
        ];
        times.extend(until(real(then), real(used), real(limit)));
        let age = |age: std::time::Duration| age.as_secs_f64();
        times.extend(until(
            age(before.oldest_age),
            age(journal.oldest_age),
            age(journal.age_max),
        ));
    }
    times
        .into_iter()
        .reduce(f64::min)
        .filter(|time| *time <= FULL_IN_MAX)
}
