//! The sink: owns the data directory, its topics and the maintenance thread.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use iem_sink::{Sink, SinkError, Statistic, TopicConfig, Writer};
use parking_lot::Mutex;

use crate::config::FileConfig;
use crate::data_directory::{self, DataDirectory};
use crate::error;
use crate::maintenance::MaintenanceThread;
use crate::topic::Topic;
use crate::writer::FileWriter;

/// A sink that writes into rolling files.
pub struct FileSink {
    pub(crate) directory: Arc<DataDirectory>,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
    maintenance: MaintenanceThread,
    /// Held by the probe that is under way, because all probes use the same file.
    probe: Mutex<()>,
}

impl FileSink {
    /// Locks the data directory, and starts the thread that closes idle files and compresses
    /// closed ones.
    ///
    /// # Errors
    /// Permanent if another process owns the directory (the message says which), or if the
    /// directory cannot be created or written.
    pub fn open(config: FileConfig) -> Result<Self, SinkError> {
        let directory = Arc::new(DataDirectory::open(config).map_err(error::from_lock)?);
        let maintenance = MaintenanceThread::start(directory.clone())?;
        Ok(Self {
            directory,
            topics: Mutex::default(),
            maintenance,
            probe: Mutex::default(),
        })
    }

    /// Describes the data directory that a start would find: writable, not created yet, or in use
    /// by another process. Leaves it unchanged.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn inspect(path: &Path) -> Result<String, SinkError> {
        data_directory::inspect(path).map_err(error::from_disk)
    }

    /// Returns the topic of this name. Opens it, and recovers its files, on first use.
    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>, SinkError> {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.get(name) {
            return Ok(topic.clone());
        }
        let directory = self.directory.clone();
        let topic = Arc::new(Topic::open(directory, name, self.maintenance.tasks())?);
        topics.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }
}

impl Sink for FileSink {
    /// Opens the topic on the first call for it: creates its folder if it is missing, and recovers
    /// its files after a crash. The writer never wakes anybody: it tells all outcomes at once.
    fn writer(&self, topic: &TopicConfig, _: Waker) -> Result<Box<dyn Writer>, SinkError> {
        let writer = FileWriter::new(self.topic(&topic.name)?, topic.batch_bytes);
        self.maintenance.maintain(writer.rolling_file());
        Ok(Box::new(writer))
    }

    /// Writes a file of 64 KiB into the data directory (and syncs it, with [`FileConfig::sync`]),
    /// and removes it.
    fn check(&self, deadline: Instant) -> Result<(), SinkError> {
        if Instant::now() >= deadline {
            return Err(SinkError::transient(
                "no time left to check the data directory",
            ));
        }
        let _one_at_a_time = self.probe.lock();
        self.directory.probe().map_err(error::from_disk)
    }

    #[expect(clippy::cast_precision_loss, reason = "totals stay far below 2^52")]
    fn statistics(&self) -> Vec<Statistic> {
        let totals = self.directory.disk.totals();
        vec![
            Statistic::counter(
                "written_bytes_total",
                "Bytes written to files.",
                totals.written_bytes as f64,
            ),
            Statistic::counter("syncs_total", "Syncs of files.", totals.syncs as f64),
            Statistic::counter(
                "sync_seconds_total",
                "Time that syncs of files took.",
                totals.sync_time.as_secs_f64(),
            ),
        ]
    }

    /// Ends the maintenance thread. The next start compresses the closed files that are still
    /// uncompressed.
    fn close(mut self: Box<Self>, deadline: Instant) -> Result<(), SinkError> {
        self.maintenance.stop(deadline)
    }
}
