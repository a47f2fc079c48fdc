//! The workers of one topic.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use iem_sink::SinkError;

use super::backend::Backend;
use super::channel::Receiver;
use super::health::Health;
use super::worker::{Reports, Surroundings, Worker};
use crate::config::Topic;
use crate::threads::all_ended;

/// The threads of a topic's workers. Each ends once its channel is closed.
pub(super) struct Workers {
    pub(super) health: Arc<Health>,
    threads: Vec<JoinHandle<()>>,
    /// The results of their first attempts to open the topic.
    pub(super) opened: crossbeam_channel::Receiver<Result<(), SinkError>>,
}

impl Workers {
    /// Starts a worker for each receiver.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(
        topic: &Topic,
        receivers: Vec<Receiver>,
        backend: &Arc<Backend>,
        reports: Reports,
    ) -> io::Result<Self> {
        let (sender, opened) = crossbeam_channel::unbounded();
        let threads = receivers
            .into_iter()
            .enumerate()
            .map(|(index, receiver)| {
                let worker = Worker::new(
                    index,
                    topic,
                    receiver,
                    backend,
                    reports.clone(),
                    Surroundings::default(),
                );
                let sender = sender.clone();
                worker.spawn(move |result| drop(sender.send(result)))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            health: reports.health,
            threads,
            opened,
        })
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Waits until all have ended, at most until `deadline`. Returns whether they have.
    pub(super) fn have_ended(&self, deadline: Instant) -> bool {
        all_ended(&self.threads, deadline)
    }
}
