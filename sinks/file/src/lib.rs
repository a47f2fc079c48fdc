//! Records as lines of JSON in rotated files: `<path>/<topic>/<time of the first
//! record>-<sequence>.ndjson`.
//!
//! A line is one record in the JSON format of `CloudEvents` 1.0 (structured mode), with the
//! client's bytes spliced into `data` unchanged. A file that has reached its size or age is closed;
//! where compression is on, it becomes `.ndjson.zst`. Whoever reads all `*.ndjson` and
//! `*.ndjson.zst` of a topic in name order reads every record once and in order; where both names
//! of one stem stand, for a moment, the `.ndjson` counts. A start that finds both keeps the archive
//! if it is whole.
//!
//! `Delivered` means: the record's line is written and, with [`FileConfig::sync`], on the disk
//! together with the name of its file. A batch of which any part fails is not delivered at all, and
//! its bytes are taken off the file again before the next batch is written. Files of another run
//! are never appended to; what a crash left torn in them is taken out when the topic is opened:
//! with [`FileConfig::sync`] wherever it stands, else at their ends. One process at a time owns the
//! folder.
//!
//! File systems take no deadline: a disk that hangs holds the call that meets it.

mod archive;
mod chain;
mod disk;
mod keeper;
mod line;
mod mark;
mod name;
mod repair;
mod root;
mod scan;
mod segment;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use iem_sink::{Sink, SinkError, TopicConfig, Writer};

use crate::keeper::KeeperThread;
use crate::root::Root;
use crate::topic::Topic;
use crate::writer::FileWriter;

/// Where the files are, and how they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// The folder that holds a folder for each topic. Made where it is missing.
    pub path: PathBuf,
    /// Whether a record must be on the disk before it is delivered. Without it, it is handed to
    /// the operating system: it survives the end of the process, not that of the machine.
    pub sync: bool,
    /// A file is closed when it holds at least so many bytes. A batch is never split, so a file
    /// may grow past this by one batch.
    pub rotate_size: u64,
    /// A file is closed when it is this old, counted from its first record; to the second.
    pub rotate_age: Duration,
    /// What becomes of closed files.
    pub compression: Compression,
}

/// What becomes of closed files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// They stay as they are.
    None,
    /// They are compressed as one Zstandard frame (RFC 8878) with a checksum, in the background.
    #[default]
    Zstd,
}

/// A folder of records.
pub struct FileSink {
    root: Arc<Root>,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
    keeper: KeeperThread,
    /// One probe at a time: they share a file.
    probe: Mutex<()>,
}

impl FileSink {
    /// Takes hold of the folder, and starts the thread that closes idle files and compresses closed
    /// ones.
    ///
    /// # Errors
    /// Permanent where another process holds the folder (the message says which), or where it
    /// cannot be made or written.
    pub fn open(config: FileConfig) -> Result<Self, SinkError> {
        let root = Arc::new(Root::open(config)?);
        let keeper = KeeperThread::start(root.clone())?;
        Ok(Self {
            root,
            topics: Mutex::default(),
            keeper,
            probe: Mutex::default(),
        })
    }

    /// What a gateway that starts on this folder would find: that it takes writes, that it is still
    /// to be made, or who holds it. Leaves the folder as it is.
    ///
    /// # Errors
    /// The folder does not take writes.
    pub fn inspect(path: &Path) -> Result<String, SinkError> {
        root::inspect(path)
    }

    /// The topic of this name; opened, and its files repaired, on first use.
    fn topic(&self, name: &str) -> Result<Arc<Topic>, SinkError> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return Ok(topic.clone());
        }
        let topic = Arc::new(Topic::open(self.root.clone(), name, self.keeper.notes())?);
        topics.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }
}

impl Sink for FileSink {
    /// Makes the topic's folder where it is missing. The first call for a topic repairs what a
    /// crash left there.
    fn writer(&self, topic: &TopicConfig) -> Result<Box<dyn Writer>, SinkError> {
        let writer = FileWriter::new(self.topic(&topic.name)?, topic.batch_bytes);
        self.keeper.watch(writer.chain());
        Ok(Box::new(writer))
    }

    /// Writes a file of 64 KiB into the folder (and syncs it, with [`FileConfig::sync`]), and
    /// removes it.
    fn check(&self, deadline: Instant) -> Result<(), SinkError> {
        if Instant::now() >= deadline {
            return Err(SinkError::transient("no time left to check the folder"));
        }
        let _one_at_a_time = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        self.root.probe()
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        self.root.disk.figures()
    }

    /// Ends the background thread. What it has not yet compressed is compressed after the next
    /// start.
    fn close(mut self: Box<Self>, deadline: Instant) -> Result<(), SinkError> {
        self.keeper.stop(deadline)
    }
}
