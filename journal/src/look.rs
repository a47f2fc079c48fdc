//! A journal as somebody sees it who only looks: beside a running gateway, or without one. It takes
//! no lock, and never writes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::vec;

use iem_disk::{Disk, DiskError};

use crate::access::{self, Access};
use crate::contents::Contents;
use crate::damage::{Damage, DamageKind};
use crate::error::OpenError;
use crate::log::Segment;
use crate::name;
use crate::recovery::{Recovered, recover};
use crate::scan::Found;
use crate::walk::{End, Step, Walk};

/// The most times that a journal is looked at whose segments are removed meanwhile.
const LOOKS_MAX: usize = 100;

/// The state of a journal at the moment when it was looked at, as the disk has it.
pub(crate) struct Look {
    disk: Disk,
    pub(crate) folder: PathBuf,
    /// The process that has it open.
    pub(crate) holder: Option<String>,
    pub(crate) recovered: Recovered,
    /// A running gateway was writing its last commit.
    pub(crate) is_being_written: bool,
}

impl Look {
    /// Reads the headers, and the segments whose end nothing else tells.
    pub(crate) fn at(folder: &Path) -> Result<Self, OpenError> {
        if !folder.is_dir() {
            return Err(OpenError::Missing(folder.to_owned()));
        }
        for _ in 0..LOOKS_MAX {
            let look = Self::once(folder)?;
            let mut segments = look.recovered.segments.iter();
            if segments.all(|(first, segment)| look.is_there(*first, segment)) {
                return Ok(look);
            }
        }
        let error = io::Error::other("its files change all the time");
        Err(DiskError::new("read the folder", folder, error).into())
    }

    fn once(folder: &Path) -> Result<Self, OpenError> {
        let disk = Disk::default();
        let before = iem_disk::holder(folder);
        let mut recovered = recover(Access::onlooker(&disk), folder)?;
        let holder = iem_disk::holder(folder).or(before);
        let is_torn = |damage: &Damage| damage.kind == DamageKind::TornCommit;
        let is_being_written = holder.is_some() && recovered.damages.iter().any(is_torn);
        if is_being_written {
            recovered.damages.retain(|damage| !is_torn(damage));
        }
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            holder,
            recovered,
            is_being_written,
        })
    }

    /// Leaves out segments that were last written before a time.
    pub(crate) fn since(mut self, time: SystemTime) -> Self {
        self.recovered.segments.retain(|_, segment| {
            let written = segment.file.metadata().and_then(|file| file.modified());
            written.map_or(true, |written| written >= time)
        });
        self
    }

    pub(crate) fn path(&self, segment: u64) -> PathBuf {
        name::segment(&self.folder, segment)
    }

    /// Returns whether the header of a segment is as it was written.
    pub(crate) fn has_header(&self, segment: u64) -> bool {
        let path = self.path(segment);
        let mut damages = self.recovered.damages.iter();
        !damages.any(|damage| damage.kind == DamageKind::SegmentHeader && damage.path == path)
    }

    /// Returns whether a segment has still its name. If not, its records are settled, and another
    /// segment may be written over it.
    fn is_there(&self, first: u64, segment: &Segment) -> bool {
        access::is_named(&self.path(first), &segment.file)
    }
}

/// A pass through the commits of a journal.
pub(crate) struct Pass {
    pub(crate) look: Look,
    /// The segments that are left, the one that is read first.
    segments: vec::IntoIter<u64>,
    current: Option<(u64, Walk)>,
    /// The sequence number below which commits are passed over by their headers.
    low: u64,
    buffer: Vec<u8>,
    progress: PassProgress,
}

/// The progress of a pass through a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassProgress {
    /// The bytes that have been read or passed over.
    pub bytes: u64,
    /// All bytes.
    pub bytes_total: u64,
    /// The records that have been read.
    pub records: u64,
}

/// A part of a journal that was read.
pub(crate) struct Part {
    pub(crate) segment: u64,
    pub(crate) contents: Contents,
    /// Its header, if it is a commit.
    pub(crate) found: Option<Found>,
}

impl Part {
    /// Returns its damage, if it has any.
    pub(crate) fn damage(&self, look: &Look) -> Option<Damage> {
        let missing = self.contents.missing();
        if self.contents.is_whole && missing.is_empty() {
            return None;
        }
        let cursor = &look.recovered.state.cursor;
        let lost = missing
            .into_iter()
            .flat_map(|range| cursor.open_parts(range));
        Some(Damage {
            path: look.path(self.segment),
            bytes: self.contents.bytes.clone(),
            kind: DamageKind::Commit,
            lost: lost.collect(),
        })
    }
}

impl Pass {
    /// Goes through all commits, settled or not.
    pub(crate) fn through_all(look: Look) -> Self {
        Self::new(look, 0)
    }

    /// Goes through the commits that have a record which is not settled, and those between them.
    pub(crate) fn through_unsettled(look: Look) -> Self {
        let low = look.recovered.state.cursor.low();
        Self::new(look, low)
    }

    fn new(look: Look, low: u64) -> Self {
        let segments = &look.recovered.segments;
        let begin = segments
            .range(..=low)
            .next_back()
            .map_or(0, |(first, _)| *first);
        let chosen: Vec<u64> = segments.range(begin..).map(|(first, _)| *first).collect();
        let bytes = segments
            .range(begin..)
            .map(|(_, segment)| segment.end.offset);
        let progress = PassProgress {
            bytes_total: bytes.sum(),
            ..PassProgress::default()
        };
        Self {
            segments: chosen.into_iter(),
            look,
            current: None,
            low,
            buffer: Vec::new(),
            progress,
        }
    }

    pub(crate) fn progress(&self) -> PassProgress {
        self.progress
    }

    /// Reads the next commit, or what is left of one.
    pub(crate) fn next(&mut self) -> Result<Option<Part>, DiskError> {
        loop {
            let Some((first, mut walk)) = self.current.take().or_else(|| self.begin_segment())
            else {
                return Ok(None);
            };
            let segment = &self.look.recovered.segments[&first];
            let source = segment.source(Access::onlooker(&self.look.disk));
            let failed = |error| DiskError::new("read", &self.look.path(first), error);
            let before = walk.offset();
            let Some(step) = walk.next(source, segment.end).map_err(failed)? else {
                continue;
            };
            self.progress.bytes += walk.offset() - before;
            let found = match &step {
                Step::Commit(found) => Some(found.clone()),
                Step::Hole { .. } => None,
            };
            let is_below = |found: &Found| found.header.end_sequence() <= self.low;
            if self.low > 0 && found.as_ref().is_some_and(is_below) {
                self.current = Some((first, walk));
                continue;
            }
            let contents = Contents::read(source, step, &mut self.buffer).map_err(failed)?;
            let is_damaged = !contents.is_whole || !contents.missing().is_empty();
            if is_damaged && !self.look.is_there(first, segment) {
                self.progress.bytes += segment.end.offset - walk.offset();
                continue;
            }
            self.progress.records += contents.records.len() as u64;
            self.current = Some((first, walk));
            return Ok(Some(Part {
                segment: first,
                contents,
                found,
            }));
        }
    }

    /// Reads what is left of a last commit that was not written to its end: it was not acknowledged,
    /// unless the disk has changed it since.
    pub(crate) fn read_torn(&mut self) -> Result<Option<Contents>, DiskError> {
        let Some((first, segment)) = self.look.recovered.segments.last_key_value() else {
            return Ok(None);
        };
        let source = segment.source(Access::onlooker(&self.look.disk));
        let End { offset, sequence } = segment.end;
        let length = segment
            .file
            .metadata()
            .map_or(offset, |metadata| metadata.len());
        let end = End {
            offset: length,
            sequence: crate::format::NUMBER_MAX,
        };
        let mut walk = Walk::at(offset, 0, sequence);
        let contents = Contents::read_next(&mut walk, source, end, &mut self.buffer);
        contents.map_err(|error| DiskError::new("read", &self.look.path(*first), error))
    }

    fn begin_segment(&mut self) -> Option<(u64, Walk)> {
        let first = self.segments.next()?;
        let walk = self.look.recovered.segments[&first].walk(first);
        self.progress.bytes += walk.offset();
        Some((first, walk))
    }
}
