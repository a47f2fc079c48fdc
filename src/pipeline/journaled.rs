//! A topic with a journal in front of its sink: records are synced in the journal, answered, and
//! forwarded to the sink's workers afterwards.
//!
//! ```text
//! queue → writer (append, sync, answer) → journal → forwarder → queue → workers → sink
//! ```
//!
//! The split by key comes behind the journal, so that another number of workers after a restart
//! keeps the order of each key.

mod forwarder;
mod fresh;
mod parked;
mod rate;
mod rounds;
mod shared;
mod traced;
mod waiting;
mod window;
mod writer;

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use iem_journal::{Journal, KeptLimit};

pub(super) use rate::Rate;
pub(super) use shared::Shared;

use forwarder::Forwarder;
use traced::RecordTraces;
use window::Window;
use writer::Writer;

use super::books::Books;
use super::dead_letters::{DeadLetterPlace, DeadLetters};
use super::delivery::Load;
use super::queue::Queue;
use super::size_limit::SizeLimit;
use crate::config::{self, Topic};
use crate::telemetry::traces::Tracer;
use crate::threads::all_ended;

/// A topic's journal, and the parts that belong to it.
pub struct JournalParts<'a> {
    /// The open journal.
    pub journal: Journal,
    /// The largest record that the sink takes, as far as it was known before.
    pub kept_limit: KeptLimit,
    /// The bounds of all journals.
    pub config: &'a config::Journal,
    /// The place of records that the sink will never take.
    pub dead_letters: DeadLetterPlace,
    /// Begins the traces of records on their way to the sink.
    pub tracer: Option<Arc<Tracer>>,
}

/// Returns a topic with the bounds on what is on its way from a journal to the sink: the window, and
/// as much of units that settle nothing.
pub(super) fn forwarded(topic: &Topic, config: &config::Journal) -> Topic {
    Topic {
        queue_records: 2 * config.window_records,
        queue_bytes: 2 * config.window_bytes,
        ..topic.clone()
    }
}

/// The threads of a topic's journal.
pub(super) struct Stage {
    shared: Arc<Shared>,
    /// Ends after the forwarder.
    writer: JoinHandle<()>,
    /// Ends after the writer.
    spare_maker: JoinHandle<()>,
}

impl Stage {
    /// Starts the threads of a topic. Records leave by `forward`. Returns the queue in front of the
    /// journal.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(
        name: &'static str,
        sink: &'static str,
        topic: &Topic,
        parts: JournalParts<'_>,
        forward: Queue,
        books: &Arc<Books>,
    ) -> io::Result<(Queue, Self)> {
        let config = parts.config;
        let Journal {
            appender,
            reader,
            progress,
            spare_maker,
            damages,
        } = parts.journal;
        for damage in &damages {
            tracing::error!(topic = name, %damage, "the journal is damaged");
        }
        let (events, received) = crossbeam_channel::unbounded();
        let limit = SizeLimit::new(parts.kept_limit.bytes());
        let shared = Arc::new(Shared::new(
            name, progress, books, limit, config.age, events,
        ));
        let spare_maker = std::thread::Builder::new()
            .name(format!("{name}-spare"))
            .spawn(move || spare_maker.run())?;
        let now = Instant::now();
        let forwarder = Forwarder::new(
            &shared,
            reader,
            forward,
            received,
            Window::new(Load::new(config.window_records, config.window_bytes)),
            Rate::new(config.drain_rate.map(NonZeroU32::get), now),
            DeadLetters::new(parts.dead_letters),
        );
        let traces = parts.tracer;
        let traces = traces.map(|tracer| RecordTraces::new(tracer, name, sink));
        let forwarder = forwarder.traced_by(traces).spawn()?;
        let (queue, mut receivers) = Queue::new(topic, 1, books);
        let requests = receivers.pop().expect("one was asked for");
        let writer = Writer::new(
            &shared,
            requests,
            appender,
            parts.kept_limit,
            topic.deadline,
        );
        let writer = writer.spawn(forwarder)?;
        let stage = Self {
            shared,
            writer,
            spare_maker,
        };
        Ok((queue, stage))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Has the forwarder end when all is forwarded, or before `deadline`.
    pub(super) fn stop(&self, deadline: Instant) {
        // The cursor is written within the deadline.
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        *self.shared.stop.lock() = Some(now + left * 9 / 10);
        let _ = self.shared.events.send(super::forwarded::Event::More);
    }

    /// Waits until the forwarder has [stopped](Self::stop), the cursor is written and the threads
    /// have ended, at most until `deadline`. What is left stays in the journal. Returns whether they
    /// have ended.
    pub(super) fn close(self, deadline: Instant) -> bool {
        all_ended([&self.writer, &self.spare_maker], deadline)
    }
}
