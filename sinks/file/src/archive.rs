//! Closed files, compressed one after another and a chunk at a time, in bounded memory.
//!
//! The compressed file gets its final name only when it is whole and on the disk, and the file of
//! lines goes only after that: at every moment a reader finds each record. What fails is tried
//! again later, and leaves nothing behind.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::name::{ARCHIVE, LINES, TEMPORARY};
use crate::root::Root;

/// How long nothing is compressed after a failure: a full disk stays full for a while.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How much is compressed in one step.
const CHUNK_BYTES: usize = 256 << 10;
/// zstd's own default: some 300 MB/s on one core, in a window of 2 MiB.
const LEVEL: i32 = 3;

/// Compresses closed files.
pub(crate) struct Archive {
    root: Arc<Root>,
    waiting: VecDeque<PathBuf>,
    job: Option<Job>,
    not_before: Option<Instant>,
    chunk: Vec<u8>,
}

/// How far a job has come.
enum Progress {
    More,
    /// The archive is in its place, this large.
    Done(u64),
    /// Somebody has taken the file of lines away: it is theirs now, and nothing was put in its
    /// place.
    Taken,
}

/// A file while it is compressed.
struct Job {
    lines: PathBuf,
    source: File,
    encoder: zstd::Encoder<'static, File>,
}

impl Archive {
    pub(crate) fn new(root: Arc<Root>) -> Self {
        Self {
            root,
            waiting: VecDeque::new(),
            job: None,
            not_before: None,
            chunk: vec![0; CHUNK_BYTES],
        }
    }

    /// Takes a closed file of lines.
    pub(crate) fn push(&mut self, lines: PathBuf) {
        self.waiting.push_back(lines);
    }

    /// Whether [`step`](Self::step) has nothing to do now.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let paused = self.not_before.is_some_and(|time| now < time);
        self.job.is_none() && (self.waiting.is_empty() || paused)
    }

    /// Begins with a file, or compresses the next chunk of one.
    pub(crate) fn step(&mut self, now: Instant) {
        if self.is_idle(now) {
            return;
        }
        if let Some(mut job) = self.job.take() {
            match job.advance(&self.root.disk, &mut self.chunk) {
                Ok(Progress::More) => self.job = Some(job),
                Ok(Progress::Done(bytes)) => {
                    tracing::info!(path = %job.lines.display(), bytes, "compressed a file");
                }
                Ok(Progress::Taken) => self.discard(&job.lines),
                Err(error) => self.fail(job.lines, &error, now),
            }
        } else if let Some(lines) = self.waiting.pop_front() {
            match Job::begin(&self.root.disk, &lines) {
                Ok(job) => self.job = Some(job),
                // Somebody has taken the file away: it is theirs now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.fail(lines, &error, now),
            }
        }
    }

    /// Leaves what is under way to the next start.
    pub(crate) fn abandon(&mut self) {
        if let Some(job) = self.job.take() {
            self.discard(&job.lines);
        }
    }

    fn fail(&mut self, lines: PathBuf, error: &io::Error, now: Instant) {
        tracing::warn!(path = %lines.display(), %error, "cannot compress a file; trying again later");
        self.discard(&lines);
        self.waiting.push_back(lines);
        self.not_before = Some(now + RETRY_AFTER);
    }

    fn discard(&self, lines: &Path) {
        let temporary = ending(lines, TEMPORARY);
        if let Err(error) = self.root.disk.remove(&temporary) {
            tracing::warn!(path = %temporary.display(), %error, "left to the next start");
        }
    }
}

impl Job {
    fn begin(disk: &Disk, lines: &Path) -> io::Result<Self> {
        let source = File::open(lines)?;
        let temporary = ending(lines, TEMPORARY);
        // One that an earlier attempt could not remove.
        disk.remove(&temporary)?;
        let mut encoder = zstd::Encoder::new(disk.create(&temporary)?, LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self {
            lines: lines.to_owned(),
            source,
            encoder,
        })
    }

    /// Compresses a chunk. At the end of the file, puts the whole in its place.
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
            return Ok(Progress::Taken);
        }
        disk.rename(&ending(lines, TEMPORARY), &ending(lines, ARCHIVE))?;
        disk.sync_folder(lines.parent().unwrap_or(Path::new("")))?;
        disk.remove(lines)?;
        Ok(Progress::Done(compressed))
    }

    /// Whether the file that was read still stands under its name. A reader who removes what it has
    /// read would find the records again in an archive.
    fn is_in_place(&self) -> io::Result<bool> {
        let source = self.source.metadata()?;
        match fs::symlink_metadata(&self.lines) {
            Ok(now) => Ok((now.dev(), now.ino()) == (source.dev(), source.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The path of a file of lines with another ending.
fn ending(lines: &Path, ending: &str) -> PathBuf {
    let name = lines.file_name().unwrap_or_default().to_string_lossy();
    lines.with_file_name(format!("{}{ending}", name.trim_end_matches(LINES)))
}
