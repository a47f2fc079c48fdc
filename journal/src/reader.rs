//! Reads the synced records of a journal, in their order, and those of a place that is known. Each
//! checksum is checked.

use std::sync::Arc;

use iem_disk::DiskError;
use iem_sink::Record;

use crate::access::Access;
use crate::contents::Contents;
use crate::damage::{Damage, DamageKind};
use crate::format::BLOCK;
use crate::log::{Log, Segment};
use crate::scan::Source;
use crate::walk::{Step, Walk};

/// A reader of a journal.
pub struct Reader {
    log: Arc<Log>,
    /// The segment that is read, by its first sequence number, or the first one behind it.
    segment: u64,
    /// The place in the segment, once it has been begun.
    walk: Option<Walk>,
    buffer: Vec<u8>,
    /// Damage that was met by reading again.
    met: Vec<Damage>,
}

/// The place of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    segment: u64,
    offset: u64,
    /// The sequence number of the commit's first record.
    first: u64,
    /// The number of the commit, or one below it.
    commit: u64,
}

/// The place of a commit that was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    segment: u64,
    begin: Walk,
    end: Walk,
}

impl Written {
    pub(crate) fn new(segment: u64, begin: Walk, end: Walk) -> Self {
        Self {
            segment,
            begin,
            end,
        }
    }

    /// Returns the place, from which the records can be read again.
    pub fn place(&self) -> Place {
        Place {
            segment: self.segment,
            offset: self.begin.offset(),
            first: self.begin.sequence(),
            commit: self.begin.commit(),
        }
    }
}

/// The place of a reader beside that of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The reader had come to the commit, and is behind it now.
    Now,
    /// The reader was behind it already.
    Before,
    /// The reader has yet to come to it.
    NotYet,
}

/// The records of one commit, and the damage that was met on the way to it.
#[derive(Debug)]
pub struct Read {
    /// The place of the commit.
    pub place: Place,
    /// The records that were not settled, with their sequence numbers.
    pub records: Vec<(u64, Record)>,
    /// The bytes that the commit takes on the disk.
    pub bytes: u64,
    /// Damage. The records that it names are settled as damaged.
    pub damages: Vec<Damage>,
}

/// A segment as far as it is synced, all of the same moment.
struct View {
    first: u64,
    segment: Segment,
    is_last: bool,
    /// The lowest sequence number that is not settled.
    low: u64,
}

impl Place {
    /// Returns the place of a commit in the segment of this name, at this byte, whose first record
    /// has this sequence number.
    pub fn new(segment: u64, offset: u64, first: u64) -> Self {
        Self {
            segment,
            offset,
            first,
            commit: 0,
        }
    }

    /// Returns the sequence number of the first record.
    pub fn first(&self) -> u64 {
        self.first
    }
}

impl Reader {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        let inner = log.inner.lock();
        // The segment that has the first record which is not settled.
        let before = inner.segments.range(..=inner.state.cursor.low());
        let first = before
            .last()
            .or(inner.segments.first_key_value())
            .map_or(0, |(first, _)| *first);
        drop(inner);
        Self {
            log,
            segment: first,
            walk: None,
            buffer: Vec::new(),
            met: Vec::new(),
        }
    }

    /// Reads the next commit. Returns `None` if all that is synced has been read.
    ///
    /// # Errors
    /// The disk fails. The next call tries again.
    pub fn read(&mut self) -> Result<Option<Read>, DiskError> {
        while let Some(view) = self.view() {
            let failed = |error| DiskError::new("read", &self.log.path(view.first), error);
            let mut walk = self.walk.unwrap_or(view.segment.walk(view.first));
            let commit = walk.commit();
            let source = source(&self.log, &view.segment);
            let step = walk.next(source, view.segment.end).map_err(failed)?;
            let Some(step) = step else {
                if view.is_last {
                    break;
                }
                self.segment = view.first + 1;
                self.walk = None;
                continue;
            };
            if let Step::Commit(found) = &step
                && found.header.end_sequence() <= view.low
            {
                self.walk = Some(walk);
                continue;
            }
            let contents = Contents::read(source, step, &mut self.buffer).map_err(failed)?;
            // Only now: what could not be read is read again.
            self.walk = Some(walk);
            let mut read = self.take(&view, contents);
            read.place.commit = commit;
            if !read.records.is_empty() || !read.damages.is_empty() {
                return Ok(Some(read));
            }
        }
        if self.met.is_empty() {
            return Ok(None);
        }
        Ok(Some(Read {
            place: Place::new(self.segment, 0, 0),
            records: Vec::new(),
            bytes: 0,
            damages: std::mem::take(&mut self.met),
        }))
    }

    /// Passes a commit without reading it, if it is the next one: its records are known.
    pub fn pass(&mut self, written: &Written) -> Passed {
        if self.segment != written.segment {
            return if self.segment < written.segment {
                Passed::NotYet
            } else {
                Passed::Before
            };
        }
        let offset = self.walk.map_or(BLOCK as u64, |walk| walk.offset());
        let begin = written.begin.offset();
        if offset > begin {
            return Passed::Before;
        }
        // Damage that was met is told first.
        if offset < begin || !self.met.is_empty() {
            return Passed::NotYet;
        }
        debug_assert!(
            self.walk
                .is_none_or(|walk| walk.sequence() == written.begin.sequence())
        );
        self.walk = Some(written.end);
        Passed::Now
    }

    /// Reads the records of a commit again that have these sequence numbers, in order. Those that
    /// cannot be read any more are left out, and settled as damaged; the next
    /// [`read`](Self::read) reports them.
    ///
    /// # Errors
    /// The disk fails.
    pub fn read_again(
        &mut self,
        place: Place,
        sequences: &[u64],
    ) -> Result<Vec<(u64, Record)>, DiskError> {
        let segment = self.log.inner.lock().segments.get(&place.segment).cloned();
        let Some(segment) = segment else {
            return Ok(Vec::new());
        };
        let source = source(&self.log, &segment);
        let mut walk = Walk::at(place.offset, place.commit, place.first);
        let contents = Contents::read_next(&mut walk, source, segment.end, &mut self.buffer);
        let path = self.log.path(place.segment);
        let contents = contents.map_err(|error| DiskError::new("read", &path, error))?;
        let Some(contents) = contents else {
            return Ok(Vec::new());
        };
        let bytes = contents.bytes;
        let mut records = contents.records;
        records.retain(|(sequence, _)| sequences.binary_search(sequence).is_ok());
        let mut lost = Vec::new();
        let mut inner = self.log.inner.lock();
        for sequence in sequences {
            let is_read = records.binary_search_by_key(sequence, |(read, _)| *read);
            if is_read.is_err() && !inner.state.cursor.is_settled(*sequence) {
                inner.settle(*sequence..sequence + 1, |counts| &mut counts.damaged);
                lost.push(*sequence..sequence + 1);
            }
        }
        drop(inner);
        if !lost.is_empty() {
            self.met.push(Damage {
                path,
                bytes,
                kind: DamageKind::Commit,
                lost,
            });
        }
        Ok(records)
    }

    /// Returns the segment that is being read, or the first one behind it if it is gone.
    fn view(&mut self) -> Option<View> {
        let inner = self.log.inner.lock();
        let (first, segment) = inner.segments.range(self.segment..).next()?;
        if *first != self.segment {
            self.segment = *first;
            self.walk = None;
        }
        Some(View {
            first: *first,
            segment: segment.clone(),
            is_last: inner.segments.range(first + 1..).next().is_none(),
            low: inner.state.cursor.low(),
        })
    }

    /// Takes the records that are not settled yet, and settles those that are missing.
    fn take(&mut self, view: &View, contents: Contents) -> Read {
        let missing = contents.missing();
        let Contents {
            records,
            sequences,
            bytes,
            is_whole,
        } = contents;
        let mut read = Read {
            place: Place::new(view.first, bytes.start, sequences.start),
            records,
            bytes: bytes.end - bytes.start,
            damages: std::mem::take(&mut self.met),
        };
        let mut inner = self.log.inner.lock();
        let present = inner.segments.get(&view.first);
        if !present.is_some_and(|present| Arc::ptr_eq(&present.file, &view.segment.file)) {
            // All of it was settled, and the file may be another segment by now.
            read.records.clear();
            return read;
        }
        let mut lost = Vec::new();
        for range in missing {
            lost.extend(inner.state.cursor.open_parts(range.clone()));
            inner.settle(range, |counts| &mut counts.damaged);
        }
        let cursor = &inner.state.cursor;
        read.records
            .retain(|(sequence, _)| !cursor.is_settled(*sequence));
        let has_damage = !is_whole && !bytes.is_empty();
        if has_damage || !lost.is_empty() {
            read.damages.push(Damage {
                path: self.log.path(view.first),
                bytes,
                kind: DamageKind::Commit,
                lost,
            });
        }
        read
    }
}

fn source<'a>(log: &'a Log, segment: &'a Segment) -> Source<'a> {
    segment.source(Access::owner(&log.disk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::world::{World, new_folder};

    #[test]
    fn a_reader_passes_the_next_commit_alone() {
        let folder = new_folder();
        let mut world = World::new(folder.path(), 4);
        assert_eq!(world.pass(), None);
        assert!(world.append(&[vec![1, 2], vec![3]]));
        assert_eq!(world.pass(), Some(Passed::Now));
        assert_eq!(world.pass(), Some(Passed::Before));
        assert!(world.read().is_empty(), "it is not read again");
        for size in [4, 5] {
            assert!(world.append(&[vec![size]]));
        }
        assert_eq!(world.pass(), Some(Passed::NotYet), "one is before it");
        assert_eq!(world.read().len(), 2);
        assert_eq!(world.pass(), Some(Passed::Before));
        world.begin_second_segment();
        assert_eq!(
            world.pass(),
            Some(Passed::NotYet),
            "it is in another segment"
        );
        world.read();
        assert!(world.append(&[vec![6]]));
        assert_eq!(world.pass(), Some(Passed::Now));
        world.settle(|sequence| sequence == 0);
        assert!(world.checkpoint());
        assert!(world.append(&[vec![7]]));
        assert_eq!(world.pass(), Some(Passed::NotYet), "a cursor is before it");
        assert_eq!(world.read().len(), 1);
    }

    #[test]
    fn a_segment_that_is_removed_while_it_is_read_is_no_damage() {
        let folder = new_folder();
        let mut world = World::new(folder.path(), 4);
        while world.journal.progress.status().segments < 2 {
            world.make_spare();
            assert!(world.append(&[vec![5_000]]));
        }
        let reader = &mut world.journal.reader;
        let view = reader.view().expect("a segment");
        assert_eq!(view.first, 0);
        let contents = Contents {
            records: Vec::new(),
            sequences: 0..1,
            bytes: 4096..8192,
            is_whole: false,
        };
        world.settle(|_| true);
        assert!(world.checkpoint());
        let read = world.journal.reader.take(&view, contents);
        assert!(read.records.is_empty());
        assert_eq!(read.damages, []);
    }
}
