//! Sends the records of files to a sink, in order, until all are settled or something ends it.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_journal::PassProgress;
use iem_sink::{Outcome, Record, SinkError};

use super::ending::{Ending, Patience};
use super::files::{Files, Place, SentLines, Step};
use super::report::Report;
use crate::config::Config;
use crate::pipeline::{Backend, Feed};
use crate::record::Kind;

/// The longest wait for an outcome between two looks at everything else.
const TICK: Duration = Duration::from_millis(50);
/// The time for records that are on their way when something else ends it.
const STOP_TIME: Duration = Duration::from_secs(1);

/// Takes how far a replay is, and can ask what is in its way.
pub type Tell<'t> = &'t mut dyn FnMut(PassProgress, &dyn Fn() -> Option<String>);

/// A replay under way.
pub struct Sending<'a> {
    config: &'a Config,
    backend: &'a Arc<Backend>,
    feed: Feed,
    /// The feed's route to each topic, by [`Kind`].
    routes: [Option<usize>; Kind::COUNT],
    files: Files,
    /// The record that is sent next.
    next: Option<(Place, Kind, Record)>,
    /// The records that have been sent and not been settled, by the feed's numbers.
    sent: BTreeMap<u64, (Place, Kind)>,
    settled: u64,
    /// The reason why the sink does not take a topic.
    refusal: Option<SinkError>,
    report: Report,
}

impl<'a> Sending<'a> {
    /// `config` has all topics at the sink of `backend`.
    pub fn new(
        config: &'a Config,
        backend: &'a Arc<Backend>,
        rate: Option<NonZeroU32>,
        files: Files,
        report: Report,
    ) -> Self {
        Self {
            config,
            backend,
            feed: Feed::new(&config.journal, rate),
            routes: [None; Kind::COUNT],
            files,
            next: None,
            sent: BTreeMap::new(),
            settled: 0,
            refusal: None,
            report,
        }
    }

    /// Sends all, and ends. `tell` is called again and again. Blocks.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn run(
        mut self,
        timeout: Option<Duration>,
        is_stopped: &dyn Fn() -> bool,
        tell: Tell<'_>,
    ) -> io::Result<(Report, SentLines)> {
        let mut patience = Patience::new(timeout, Instant::now());
        let ending = loop {
            let at = self.send_ready(Instant::now())?;
            if self.next.is_none() && self.sent.is_empty() && at.is_none() {
                break Ending::Done;
            }
            let now = Instant::now();
            self.settle(at.map_or(now + TICK, |at| at.min(now + TICK)));
            let now = Instant::now();
            self.refusal = self.feed.refusal();
            if self.refusal.is_some() {
                break Ending::Refused;
            }
            if is_stopped() {
                break Ending::Stopped;
            }
            if let Some(ending) = patience.note(self.settled, !self.sent.is_empty(), now) {
                break ending;
            }
            tell(self.files.progress(), &|| self.feed.trouble(now));
        };
        if matches!(ending, Ending::Stopped | Ending::Refused) {
            let end = Instant::now() + STOP_TIME;
            while !self.sent.is_empty() && Instant::now() < end {
                self.settle(end);
            }
        }
        Ok(self.end(ending))
    }

    /// Sends what may be sent now. Returns the time to look again, if that does not depend on what
    /// is on its way.
    fn send_ready(&mut self, now: Instant) -> io::Result<Option<Instant>> {
        loop {
            let Some((place, kind, record)) = self.next.take() else {
                match self.files.step(&mut self.report) {
                    Step::Record(place, record) => self.take(place, record),
                    Step::Other => {}
                    Step::End => return Ok(None),
                }
                if self.next.is_none() {
                    // Files may have much that is no record: other things are looked at in between.
                    return Ok(Some(now));
                }
                continue;
            };
            let route = self.route(kind)?;
            match self.feed.ready_at(route, record.data.len(), now) {
                Some(at) if at <= now => {
                    let number = self.feed.send(route, record, now);
                    self.sent.insert(number, (place, kind));
                }
                at => {
                    self.next = Some((place, kind, record));
                    return Ok(at);
                }
            }
        }
    }

    /// Takes a record to be sent next, without the reason for which it was a dead letter.
    fn take(&mut self, place: Place, mut record: Record) {
        let mut kinds = Kind::ALL.into_iter();
        let Some(kind) = kinds.find(|kind| kind.event_type() == record.context.kind) else {
            let reason = format!("its type {} is that of no topic", record.context.kind);
            let entry = self.files.entry(place, reason);
            self.report.problems.add(entry);
            return self.files.settle(place.file, false, &mut self.report);
        };
        if record.context.rejection.is_some() {
            Arc::make_mut(&mut record.context).rejection = None;
        }
        self.next = Some((place, kind, record));
    }

    fn route(&mut self, kind: Kind) -> io::Result<usize> {
        if let Some(route) = self.routes[kind as usize] {
            return Ok(route);
        }
        let topic = &self.config.topics[kind as usize];
        let journal = &self.config.journal;
        let opened = self.feed.open(kind.topic(), topic, journal, self.backend);
        let route = opened?;
        self.routes[kind as usize] = Some(route);
        Ok(route)
    }

    /// Waits for an outcome until `until`, and takes it with all others that have come.
    fn settle(&mut self, until: Instant) {
        let mut settled = self.feed.settled(until);
        while let Some((number, outcome)) = settled {
            if let Some((place, kind)) = self.sent.remove(&number) {
                self.note(place, kind, outcome);
            }
            settled = self.feed.settled(Instant::now());
        }
    }

    fn note(&mut self, place: Place, kind: Kind, outcome: Outcome) {
        self.settled += 1;
        let tally = &mut self.report.topics[kind as usize];
        if let Outcome::Rejected(reason) = outcome {
            tally.refused += 1;
            let entry = self.files.entry(place, format!("refused: {reason}"));
            self.report.refused.add(entry);
        } else {
            tally.delivered += 1;
        }
        let is_delivered = outcome == Outcome::Delivered;
        self.files
            .settle(place.file, is_delivered, &mut self.report);
    }

    /// Ends the workers, and completes the report.
    fn end(mut self, ending: Ending) -> (Report, SentLines) {
        for (_, kind) in self.sent.values() {
            self.report.topics[*kind as usize].not_delivered += 1;
        }
        let refusal = self.refusal.map(|error| error.message);
        let trouble = refusal.or_else(|| self.feed.trouble(Instant::now()));
        let first = self.sent.values().next().map(|(place, _)| *place);
        let first = first.or(self.next.as_ref().map(|(place, _, _)| *place));
        self.report.ending = ending;
        if ending != Ending::Done {
            let trouble = trouble.unwrap_or_default();
            self.report.stopped_at = first.map(|place| self.files.entry(place, trouble));
        }
        self.feed.close(Instant::now() + STOP_TIME);
        (self.report, self.files.sent())
    }
}
