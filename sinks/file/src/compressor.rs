//! The compression of closed files, one after another and a chunk at a time, in bounded memory.
//!
//! An archive gets its final name only when it is complete and synced, and its source is removed
//! only after that: a reader finds each record at every moment. A compression that fails is tried
//! again later, and leaves nothing behind.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_disk::Disk;

use crate::data_directory::DataDirectory;
use crate::name::{ARCHIVE, LINES, TEMPORARY};

/// The pause after a failure. A full disk usually stays full for a while.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The number of bytes compressed in one step.
const CHUNK_BYTES: usize = 256 << 10;
/// zstd's own default: about 300 MB/s on one core, with a window of 2 MiB.
const LEVEL: i32 = 3;

/// A queue of closed files, and the compression of the first of them.
pub(crate) struct Compressor {
    directory: Arc<DataDirectory>,
    waiting: VecDeque<PathBuf>,
    job: Option<Job>,
    not_before: Option<Instant>,
    chunk: Vec<u8>,
}

/// The progress of a compression.
enum Progress {
    More,
    /// The archive has replaced its source. It has this many bytes.
    Done(u64),
    /// A reader has removed the source. There is no archive.
    Removed,
}

/// One file's compression.
struct Job {
    lines: PathBuf,
    source: File,
    encoder: zstd::Encoder<'static, File>,
}

impl Compressor {
    pub(crate) fn new(directory: Arc<DataDirectory>) -> Self {
        Self {
            directory,
            waiting: VecDeque::new(),
            job: None,
            not_before: None,
            chunk: vec![0; CHUNK_BYTES],
        }
    }

    /// Adds a closed file to the queue.
    pub(crate) fn push(&mut self, lines: PathBuf) {
        self.waiting.push_back(lines);
    }

    /// Returns whether [`step`](Self::step) would do nothing now.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let paused = self.not_before.is_some_and(|time| now < time);
        self.job.is_none() && (self.waiting.is_empty() || paused)
    }

    /// Compresses the next chunk of a file, or begins with the next file.
    pub(crate) fn step(&mut self, now: Instant) {
        if self.is_idle(now) {
            return;
        }
        if let Some(mut job) = self.job.take() {
            match job.advance(&self.directory.disk, &mut self.chunk) {
                Ok(Progress::More) => self.job = Some(job),
                Ok(Progress::Done(bytes)) => {
                    tracing::info!(path = %job.lines.display(), bytes, "compressed a file");
                }
                Ok(Progress::Removed) => self.discard(&job.lines),
                Err(error) => self.fail(job.lines, &error, now),
            }
        } else if let Some(lines) = self.waiting.pop_front() {
            match Job::begin(&self.directory.disk, &lines) {
                Ok(job) => self.job = Some(job),
                // A reader has removed the file.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.fail(lines, &error, now),
            }
        }
    }

    /// Gives up the compression under way. The next start begins it again.
    pub(crate) fn abandon(&mut self) {
        if let Some(job) = self.job.take() {
            self.discard(&job.lines);
        }
    }

    fn fail(&mut self, lines: PathBuf, error: &io::Error, now: Instant) {
        tracing::warn!(
            path = %lines.display(),
            %error,
            "cannot compress a file; trying again later"
        );
        self.discard(&lines);
        self.waiting.push_back(lines);
        self.not_before = Some(now + RETRY_AFTER);
    }

    fn discard(&self, lines: &Path) {
        let temporary = with_ending(lines, TEMPORARY);
        if let Err(error) = self.directory.disk.remove(&temporary) {
            tracing::warn!(
                path = %temporary.display(),
                %error,
                "cannot remove an unfinished archive; the next start removes it"
            );
        }
    }
}

impl Job {
    fn begin(disk: &Disk, lines: &Path) -> io::Result<Self> {
        let source = File::open(lines)?;
        let temporary = with_ending(lines, TEMPORARY);
        // An earlier attempt may not have been able to remove its own.
        disk.remove(&temporary)?;
        let mut encoder = zstd::Encoder::new(disk.create(&temporary)?, LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self {
            lines: lines.to_owned(),
            source,
            encoder,
        })
    }

    /// Compresses a chunk. At the end of the source, replaces it by the archive.
    fn advance(&mut self, disk: &Disk, chunk: &mut [u8]) -> io::Result<Progress> {
        let read = self.source.read(chunk)?;
        if read > 0 {
            self.encoder.write_all(&chunk[..read])?;
            return Ok(Progress::More);
        }
        self.encoder.do_finish()?;
        let file = self.encoder.get_ref();
        disk.sync_data(file)?;
        let compressed = file.metadata()?.len();
        let lines = &self.lines;
        if !self.is_in_place()? {
            return Ok(Progress::Removed);
        }
        disk.rename(&with_ending(lines, TEMPORARY), &with_ending(lines, ARCHIVE))?;
        disk.sync_folder(lines.parent().unwrap_or(Path::new("")))?;
        disk.remove(lines)?;
        Ok(Progress::Done(compressed))
    }

    /// Returns whether the source still has its name. A reader that removes files after reading
    /// them would find their records again in an archive.
    fn is_in_place(&self) -> io::Result<bool> {
        let source = self.source.metadata()?;
        match fs::symlink_metadata(&self.lines) {
            Ok(now) => Ok((now.dev(), now.ino()) == (source.dev(), source.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Returns the path of a file of lines with another ending.
fn with_ending(lines: &Path, ending: &str) -> PathBuf {
    let name = lines.file_name().unwrap_or_default().to_string_lossy();
    lines.with_file_name(format!("{}{ending}", name.trim_end_matches(LINES)))
}
