//! The thread that reads a topic's journal and sends its records to the workers, in order. The last
//! commits it takes from memory, if it keeps up.
//!
//! It never gives a record up. What a worker refuses, because a unit of the sink settles nothing, is
//! held back by its sequence number with all later records of its key, and sent again in rounds.
//! A record that the sink will never take becomes a dead letter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Receiver;
use iem_journal::{Damage, Place, RANGES_MAX, Reader, Settlement};
use iem_sink::{Outcome, Reason, Record};

use super::parked::{Parked, Parking};
use super::rate::Rate;
use super::rounds::{Rounds, STEP};
use super::shared::{Counters, Shared};
use super::traced::RecordTraces;
use super::window::Window;
use crate::pipeline::channel::WakeGuard;
use crate::pipeline::dead_letters::DeadLetters;
use crate::pipeline::forwarded::{Event, Forwarded};
use crate::pipeline::queue::Queue;
use crate::pipeline::timeline::Timeline;

/// The longest wait for an event: the age of the oldest record, and what is stalled, change without
/// one.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// The wait after a disk has not been read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// The time between two log lines on dead letters that cannot be kept.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// The forwarder of one topic.
pub(super) struct Forwarder {
    shared: Arc<Shared>,
    reader: Reader,
    queue: Queue,
    events: Receiver<Event>,
    /// The records that workers have taken or refused, and those that were sent to them.
    met: Arc<AtomicU64>,
    sent: u64,
    window: Window,
    /// Records of the commit that was read or taken last, which are to be sent next.
    next: VecDeque<(u64, Place, Record)>,
    parking: Parking,
    rounds: Rounds,
    rate: Rate,
    dead_letters: DeadLetters,
    traces: Option<RecordTraces>,
    /// Workers that are woken once the records of a commit are sent.
    parked: Vec<WakeGuard>,
    /// The end of the wait after a failed read.
    pause_until: Option<Instant>,
    /// When a dead letter that cannot be kept is logged again.
    complain_at: Instant,
    /// Since when nothing more is read, because too much is held back.
    blocked_since: Option<SystemTime>,
}

impl Forwarder {
    pub(super) fn new(
        shared: &Arc<Shared>,
        reader: Reader,
        queue: Queue,
        events: Receiver<Event>,
        window: Window,
        rate: Rate,
        dead_letters: DeadLetters,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            reader,
            queue,
            events,
            met: Arc::default(),
            sent: 0,
            window,
            next: VecDeque::new(),
            parking: Parking::default(),
            rounds: Rounds::new(Instant::now()),
            rate,
            dead_letters,
            traces: None,
            parked: Vec::new(),
            pause_until: None,
            complain_at: Instant::now(),
            blocked_since: None,
        }
    }

    /// Has the records traced whose clients sample them.
    pub(super) fn traced_by(self, traces: Option<RecordTraces>) -> Self {
        Self { traces, ..self }
    }

    /// Starts the thread. It ends once the topic is closed, and either all is settled or its time is
    /// over.
    pub(super) fn spawn(mut self) -> std::io::Result<JoinHandle<()>> {
        let name = format!("{}-forward", self.shared.topic);
        std::thread::Builder::new().name(name).spawn(move || {
            loop {
                let now = Instant::now();
                let mut until = self.step(now);
                let stop = *self.shared.stop.lock();
                if let Some(stop) = stop {
                    if stop <= now || self.shared.progress.status().counts.backlog() == 0 {
                        return;
                    }
                    until = until.min(stop);
                }
                let wait = until.saturating_duration_since(now);
                if let Ok(event) = self.events.recv_timeout(wait) {
                    self.take(&event);
                }
            }
        })
    }

    /// Takes what has happened, and sends what may be sent. Returns the time to look again.
    fn step(&mut self, now: Instant) -> Instant {
        // A refusal is told before it counts as met.
        let all_met = self.met.load(Ordering::Acquire) == self.sent;
        while let Ok(event) = self.events.try_recv() {
            self.take(&event);
        }
        self.window.note_stalled(now);
        if self.pause_until.is_some_and(|until| until > now) {
            return self.pause_until.unwrap_or(now);
        }
        self.pause_until = None;
        self.send_again(all_met, now);
        self.send_next(now);
        self.parked.clear();
        self.note_oldest();
        let next = [
            self.rounds.next(!self.parking.is_empty(), now),
            self.rate.next(now),
        ];
        let next = next.into_iter().flatten().chain([now + WAIT_MAX]);
        next.min().unwrap_or(now)
    }

    fn take(&mut self, event: &Event) {
        match *event {
            Event::More => self.shared.is_told.store(false, Ordering::Release),
            Event::Settled(sequence, outcome) => {
                if let Some(record) = self.window.remove(sequence) {
                    self.settle(sequence, record, outcome);
                }
            }
        }
    }

    fn settle(&mut self, sequence: u64, record: Parked, outcome: Outcome) {
        let settlement = match outcome {
            Outcome::Delivered => {
                Counters::add(&self.shared.counters.forwarded, 1);
                Some(Settlement::Delivered)
            }
            Outcome::Rejected(reason) => {
                let is_kept = self.bury(sequence, record.place, reason);
                is_kept.then_some(Settlement::DeadLettered)
            }
            Outcome::Retryable | Outcome::Undeliverable => None,
        };
        if let Some(settlement) = settlement {
            let progress = &self.shared.progress;
            progress.settle(sequence..sequence + 1, settlement);
            self.shared.waiting.settle(sequence, outcome);
        } else {
            self.rounds.refuse(record.key_hash);
            self.parking.add(sequence, record);
        }
    }

    /// Puts a record that the sink will never take among the dead letters. If it cannot be kept
    /// there, its key waits, and is tried again in the next rounds. Returns whether it is kept.
    fn bury(&mut self, sequence: u64, place: Place, reason: Reason) -> bool {
        let topic = self.shared.topic;
        let read = self.reader.read_again(place, &[sequence]);
        let Some((_, record)) = read.ok().and_then(|mut records| records.pop()) else {
            return false;
        };
        if let Err(error) = self.dead_letters.put(&record, reason) {
            let now = Instant::now();
            if self.complain_at <= now {
                self.complain_at = now + COMPLAIN_EVERY;
                tracing::error!(topic, %error, "cannot keep a dead letter; its key waits");
            }
            return false;
        }
        let id = &record.id;
        tracing::warn!(topic, %id, %reason, "the sink will never take a record; it is a dead letter");
        true
    }

    /// Sends records again that were held back, a step of a round at a time.
    fn send_again(&mut self, all_met: bool, now: Instant) {
        let has_parked = !self.parking.is_empty();
        let Some(mut from) = self.rounds.step(has_parked, all_met, now) else {
            return;
        };
        let mut count = 0;
        while count < STEP && self.may_send(0) {
            let rounds = &self.rounds;
            let wanted = |key_hash| !rounds.is_refused(key_hash);
            let Some((place, sequences)) = self.parking.find(from, STEP - count, wanted) else {
                if count == 0 {
                    return self.rounds.end(now);
                }
                // The round ends when it is known what is refused of this step.
                break;
            };
            self.parked.clear();
            match self.reader.read_again(place, &sequences) {
                Ok(records) => {
                    let sent = self.send_some_again(place, &sequences, records, now);
                    count += sent;
                    if let Some(next) = sequences.get(sent) {
                        from = *next;
                        break;
                    }
                    from = sequences.last().map_or(from, |last| last + 1);
                }
                Err(error) => {
                    tracing::warn!(topic = self.shared.topic, %error, "cannot read the journal");
                    self.pause_until = Some(now + READ_AGAIN);
                    break;
                }
            }
        }
        self.rounds.sent(count, from);
        if count > 0 {
            Counters::add(&self.shared.counters.retried, count as u64);
            *self.shared.held_back.lock() = self.parking.since();
        }
    }

    /// Sends these records of one commit again, as far as there is room. Returns how many of
    /// `sequences` are no longer held back: those that could not be read any more are lost.
    fn send_some_again(
        &mut self,
        place: Place,
        sequences: &[u64],
        records: Vec<(u64, Record)>,
        now: Instant,
    ) -> usize {
        let mut records = records.into_iter().peekable();
        for (index, sequence) in sequences.iter().enumerate() {
            if let Some((_, record)) = records.next_if(|(read, _)| read == sequence) {
                if !self.may_send(record.data.len()) || !self.rate.take(now) {
                    return index;
                }
                self.parking.remove(*sequence);
                self.send(*sequence, place, record, None, now);
            } else {
                self.parking.remove(*sequence);
            }
        }
        sequences.len()
    }

    /// Sends records that have not been sent yet, as many as there is room for.
    fn send_next(&mut self, now: Instant) {
        while !self.parking.is_full() {
            if self.next.is_empty() && !(self.may_read() && self.read_next(now)) {
                return;
            }
            let Some((sequence, place, record)) = self.next.pop_front() else {
                continue;
            };
            if self.parking.has_key(record.key_hash()) {
                self.parking.add(sequence, Parked::new(place, &record));
            } else if self.may_send(record.data.len()) && self.rate.take(now) {
                let traces = self.traces.as_mut();
                let timeline = traces.and_then(|traces| traces.begin(&record));
                self.send(sequence, place, record, timeline, now);
            } else {
                return self.next.push_front((sequence, place, record));
            }
        }
    }

    /// Whether one more record of so many bytes may be sent. Only the forwarder adds to the queue: a
    /// record that it sends is never refused for want of room, while a later one of its key is taken.
    fn may_send(&self, bytes: usize) -> bool {
        self.window.has_room(bytes) && self.queue.has_room(bytes)
    }

    fn may_read(&self) -> bool {
        self.shared.progress.status().ranges < RANGES_MAX
    }

    /// Reads one more commit. Returns whether there was one.
    fn read_next(&mut self, now: Instant) -> bool {
        // The disk may take its time.
        self.parked.clear();
        let reader = &mut self.reader;
        if let Some(commit) = self.shared.fresh.take(|written| reader.pass(written)) {
            let place = commit.written.place();
            let records = (place.first()..).zip(commit.into_records());
            self.next
                .extend(records.map(|(sequence, record)| (sequence, place, record)));
            return true;
        }
        match self.reader.read() {
            Ok(Some(read)) => {
                read.damages.iter().for_each(|damage| self.report(damage));
                let place = read.place;
                let records = read.records.into_iter();
                self.next
                    .extend(records.map(|(sequence, record)| (sequence, place, record)));
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(topic = self.shared.topic, %error, "cannot read the journal");
                self.pause_until = Some(now + READ_AGAIN);
                false
            }
        }
    }

    fn report(&self, damage: &Damage) {
        tracing::error!(topic = self.shared.topic, %damage, "the journal is damaged");
        for sequence in damage.lost.iter().cloned().flatten() {
            self.shared.waiting.settle(sequence, Outcome::Retryable);
        }
    }

    fn send(
        &mut self,
        sequence: u64,
        place: Place,
        record: Record,
        timeline: Option<Box<Timeline>>,
        now: Instant,
    ) {
        let (parked, bytes) = (Parked::new(place, &record), record.data.len());
        self.window.add(sequence, parked, bytes, now);
        self.sent += 1;
        let events = self.shared.events.clone();
        let way = Forwarded::new(sequence, events, Arc::clone(&self.met));
        let round = self.rounds.number();
        let guard = self.queue.forward(record, round, way, timeline, now);
        self.parked.extend(guard);
    }

    fn note_oldest(&mut self) {
        let known = [self.window.first(), self.parking.first()];
        let known = known.into_iter().flatten();
        let known = known.map(|(sequence, record)| (sequence, record.time));
        let next = self.next.front();
        let next = next.map(|(sequence, _, record)| (*sequence, record.context.time));
        let oldest = known.chain(next).min();
        self.shared.note_oldest(oldest.map(|(_, time)| time));
        if self.parking.is_full() || !self.may_read() {
            self.blocked_since.get_or_insert_with(SystemTime::now);
        } else {
            self.blocked_since = None;
        }
        self.shared
            .note_unsent(self.blocked_since.or(next.map(|(_, time)| time)));
    }
}
