//! The parts of a journal that its writer, its readers and the thread that makes spare files share.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iem_disk::{Disk, DiskError, FolderLock};
use parking_lot::{Condvar, Mutex};

use crate::access::Access;
use crate::config::JournalConfig;
use crate::counts::Counts;
use crate::format::segment::SegmentHeader;
use crate::format::state::State;
use crate::format::{BLOCK, Nonce};
use crate::name;
use crate::scan::Source;
use crate::walk::{End, Walk};

/// The time for which a commit waits for the next segment while it is being made. Tests do not depend
/// on how fast a disk is.
const SPARE_WAIT: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });

/// A journal's folder, and the state of its segments.
pub(crate) struct Log {
    pub(crate) disk: Arc<Disk>,
    pub(crate) config: JournalConfig,
    pub(crate) inner: Mutex<Inner>,
    /// Notified when a spare file is wanted, or the journal is closed.
    pub(crate) spare_wanted: Condvar,
    /// Notified when a spare file is made, or cannot be made.
    pub(crate) spare_made: Condvar,
    pub(crate) _lock: FolderLock,
}

/// The state that changes.
pub(crate) struct Inner {
    /// The segments by their first sequence number. The last one is being written.
    pub(crate) segments: BTreeMap<u64, Segment>,
    pub(crate) state: State,
    /// The lowest sequence number that is not settled, as the disk has it.
    pub(crate) durable_low: u64,
    pub(crate) spare: Spare,
    /// The spare file was missing when it was needed.
    pub(crate) is_spare_due: bool,
    pub(crate) maker: Maker,
    /// Nothing more is written to the last segment, because a write or a sync has failed.
    pub(crate) is_void: bool,
    pub(crate) is_closed: bool,
}

/// A segment, as far as it is synced.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) file: Arc<File>,
    pub(crate) nonce: Nonce,
    /// The number of its first commit.
    pub(crate) first_commit: u64,
    /// The end of its last synced commit.
    pub(crate) end: End,
}

/// The state of the thread that makes spare files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Absent,
    Works,
    /// Its last attempt failed, or takes long.
    Late,
}

/// The state of the spare file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spare {
    Missing,
    BeingMade,
    Ready,
}

impl Log {
    /// Takes the spare file, which is then to be begun, and returns the state for its header. Waits a
    /// little for a file that is being made. `None`: there is none.
    pub(crate) fn take_spare(&self) -> Option<State> {
        let mut inner = self.inner.lock();
        if inner.spare != Spare::Ready {
            inner.is_spare_due = true;
            self.spare_wanted.notify_all();
            if inner.is_spare_coming(&self.config) {
                let is_coming =
                    |inner: &mut Inner| inner.spare != Spare::Ready && inner.maker == Maker::Works;
                let waited = self
                    .spare_made
                    .wait_while_for(&mut inner, is_coming, SPARE_WAIT);
                if waited.timed_out() {
                    // The next commit does not wait.
                    inner.maker = Maker::Late;
                }
            }
        }
        if inner.spare != Spare::Ready {
            return None;
        }
        inner.spare = Spare::Missing;
        inner.is_spare_due = false;
        Some(inner.state.clone())
    }

    /// Makes a segment of the spare file. If it fails, a file of the segment's name may be left.
    pub(crate) fn begin(&self, header: &SegmentHeader) -> Result<Arc<File>, DiskError> {
        let Self { disk, config, .. } = self;
        let (spare, path) = (self.spare_path(), self.path(header.first_sequence));
        let begun = || {
            let file = disk.open(&spare)?;
            disk.write_at(&file, &header.encode(), 0)?;
            disk.sync_data(&file)?;
            disk.rename(&spare, &path)?;
            disk.sync_folder(&config.folder)?;
            Ok(file)
        };
        begun().map(Arc::new).map_err(|error| {
            for path in [&spare, &path] {
                let _ = disk.remove(path);
            }
            DiskError::new("begin the segment", &path, error)
        })
    }

    pub(crate) fn path(&self, segment: u64) -> PathBuf {
        name::segment(&self.config.folder, segment)
    }

    pub(crate) fn spare_path(&self) -> PathBuf {
        self.config.folder.join(name::SPARE)
    }
}

impl Segment {
    /// Returns a segment that has its header alone.
    pub(crate) fn begin(file: &Arc<File>, header: &SegmentHeader) -> Self {
        Self {
            file: Arc::clone(file),
            nonce: header.nonce,
            first_commit: header.first_commit,
            end: End {
                offset: BLOCK as u64,
                sequence: header.first_sequence,
            },
        }
    }

    /// Returns its bytes, to be read.
    pub(crate) fn source<'a>(&'a self, access: Access<'a>) -> Source<'a> {
        Source {
            access,
            file: &self.file,
            nonce: self.nonce,
        }
    }

    /// Returns the place of its first commit. Its name is `first_sequence`.
    pub(crate) fn walk(&self, first_sequence: u64) -> Walk {
        Walk::begin(first_sequence, self.first_commit)
    }
}

impl Inner {
    /// Returns the sequence number behind the last synced record.
    pub(crate) fn end_sequence(&self) -> u64 {
        let last = self.segments.last_key_value();
        last.map_or(0, |(_, segment)| segment.end.sequence)
    }

    /// Returns the number of records that are not settled.
    pub(crate) fn open_records(&self) -> u64 {
        let end = self.end_sequence();
        end - self.state.cursor.settled_below(end)
    }

    /// Returns whether a spare file is to be made now. At the begin of a segment it is not, if there is
    /// one before it, which may soon be settled, and becomes the spare file then.
    pub(crate) fn wants_spare(&self, config: &JournalConfig) -> bool {
        let last = self.segments.last_key_value();
        let written = last.map_or(0, |(_, segment)| segment.end.offset);
        let is_due = self.is_void
            || self.is_spare_due
            || self.segments.len() == 1
            || written >= config.segment_bytes / 8;
        is_due && self.may_make_spare(config)
    }

    /// Returns whether a spare file is missing and may be made.
    pub(crate) fn may_make_spare(&self, config: &JournalConfig) -> bool {
        self.spare == Spare::Missing && self.has_room(config)
    }

    /// Returns whether a spare file will soon be there.
    pub(crate) fn is_spare_coming(&self, config: &JournalConfig) -> bool {
        self.maker == Maker::Works && (self.spare == Spare::BeingMade || self.wants_spare(config))
    }

    /// Returns whether one more file of a segment's length may be made.
    pub(crate) fn has_room(&self, config: &JournalConfig) -> bool {
        let kept = usize::from(!self.is_void);
        self.files() < config.segments_max() - kept
    }

    /// Returns the number of files of a segment's length.
    pub(crate) fn files(&self) -> usize {
        self.segments.len() + usize::from(self.spare != Spare::Missing)
    }

    /// Settles records, and counts how. What is settled already is not counted again.
    pub(crate) fn settle(&mut self, range: Range<u64>, count: fn(&mut Counts) -> &mut u64) {
        for part in self.state.cursor.open_parts(range) {
            *count(&mut self.state.counts) += part.end - part.start;
            self.state.cursor.settle(part);
        }
    }

    /// Takes the segments whose records are all settled, as the disk knows it.
    pub(crate) fn take_settled(&mut self) -> Vec<u64> {
        let mut settled = Vec::new();
        while self.segments.len() > 1
            && let Some((first, segment)) = self.segments.first_key_value()
            && segment.end.sequence <= self.durable_low
        {
            settled.push(*first);
            self.segments.pop_first();
        }
        settled
    }
}
