//! The end of a journal that is written: commits, cursor commits, and the change from a segment to
//! the next.
//!
//! Commit k+1 is not written before commit k is synced. After a failed write or sync nothing more is
//! written to the file: the next segment's header says where the file validly ends.

use std::ops::Range;
use std::sync::Arc;

use iem_disk::DiskError;

use crate::error::AppendError;
use crate::format::commit::{self, Place};
use crate::format::request::{Encoder, Request};
use crate::format::segment::{PreviousEnd, SegmentHeader};
use crate::format::state::{self, State};
use crate::format::{BLOCK, Nonce};
use crate::log::{Inner, Log, Segment, Spare};
use crate::reader::Written;
use crate::tail::Tail;
use crate::walk::End;

/// The blocks at the end of a segment that only cursor commits may use while there is no spare file:
/// a full disk can be drained.
const RESERVED_BLOCKS: u64 = 64;
/// The share of a segment that they are at most.
const RESERVED_SHARE: u64 = 16;
/// The bytes that a header of a commit takes at most, rounded.
const HEADER_BYTES_MAX: usize = BLOCK;
/// The most settled ranges that a cursor commit carries. With more of them, records that are settled
/// would be sent again after a restart.
pub const RANGES_MAX: usize = 65_536;
/// The memory that buffers keep between commits, in bytes.
const BUFFER_BYTES_KEPT: usize = 2 << 20;

/// The writer of a journal.
pub struct Appender {
    log: Arc<Log>,
    tail: Tail,
    encoder: Encoder,
    payload: Vec<u8>,
    buffer: Vec<u8>,
    /// The state that the disk has.
    durable: State,
    /// Whether the disk has all ranges of that state.
    has_all_ranges: bool,
    /// The last commit of records.
    last: Option<Written>,
}

impl Appender {
    pub(crate) fn new(log: Arc<Log>, tail: Tail) -> Self {
        let mut inner = log.inner.lock();
        inner.is_void = tail.is_void;
        let durable = inner.state.clone();
        drop(inner);
        Self {
            log,
            tail,
            encoder: Encoder::default(),
            payload: Vec::new(),
            buffer: Vec::new(),
            durable,
            has_all_ranges: true,
            last: None,
        }
    }

    /// Returns the most bytes that the records of one request may take, with all of their attributes.
    pub fn request_bytes_max(&self) -> usize {
        let segment = usize::try_from(self.log.config.segment_bytes).unwrap_or(usize::MAX);
        // The header of the segment, that of the commit, and a cursor commit behind it: without
        // room for that, a full journal could not be drained.
        segment - BLOCK - HEADER_BYTES_MAX - BLOCK
    }

    /// Writes requests as one commit and syncs it. Returns the sequence numbers of their records, in
    /// order.
    ///
    /// # Errors
    /// None of the requests is written: see [`AppendError`].
    pub fn append(&mut self, requests: &[Request<'_>]) -> Result<Range<u64>, AppendError> {
        self.append_and_tell(requests, drop)
    }

    /// As [`append`](Self::append). Calls `tell` with the sequence numbers once the commit is synced,
    /// and before a reader can see it. The value that it returns is dropped once the records count.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_and_tell<G>(
        &mut self,
        requests: &[Request<'_>],
        tell: impl FnOnce(Range<u64>) -> G,
    ) -> Result<Range<u64>, AppendError> {
        self.encode(requests);
        if self.encoder.count() == 0 {
            return Ok(self.tail.next_sequence..self.tail.next_sequence);
        }
        if self.payload.len() > self.request_bytes_max() {
            return Err(AppendError::TooLarge {
                limit: self.request_bytes_max(),
            });
        }
        let mut state = self.state();
        let bytes = commit::bytes(&state, self.payload.len());
        if self.tail.is_void || !self.has_room(bytes, true) {
            self.begin_segment()?;
            state = self.state();
            // Checksums are seeded with the segment's nonce and the sequence numbers.
            self.encode(requests);
        }
        let count = self.encoder.count();
        state.counts.accepted += u64::from(count);
        let begin = self.tail.walk();
        self.write(count, state)?;
        let first = self.tail.next_sequence;
        self.tail.next_sequence += u64::from(count);
        self.last = Some(Written::new(self.tail.segment, begin, self.tail.walk()));
        let guard = tell(first..self.tail.next_sequence);
        self.has_all_ranges = self.durable.cursor.ranges().len() <= state::RANGES_MAX;
        self.publish(u64::from(count));
        drop(guard);
        Ok(first..self.tail.next_sequence)
    }

    /// Returns the place of the last commit of records, for [`Reader::pass`](crate::Reader::pass).
    pub fn last(&self) -> Option<Written> {
        self.last
    }

    /// Writes the state, if the disk does not have it yet, so that what is settled is not sent again
    /// after a restart, and settled segments are removed. A header has room for the first settled
    /// ranges; `all_ranges` says whether the others are written, too.
    ///
    /// # Errors
    /// The disk fails, or is full.
    pub fn checkpoint(&mut self, all_ranges: bool) -> Result<(), AppendError> {
        let state = self.state();
        if state == self.durable && (self.has_all_ranges || !all_ranges) {
            return Ok(());
        }
        let keeps_reserve = !self.frees_a_segment(&state);
        // In the last blocks, the ranges of the header have to do.
        let wanted = if all_ranges { RANGES_MAX } else { 0 };
        let ranges_max = [wanted, 0].into_iter().find(|ranges_max| {
            self.payload = commit::encode_ranges(&state.cursor, *ranges_max);
            self.has_room(commit::bytes(&state, self.payload.len()), keeps_reserve)
        });
        let Some(ranges_max) = ranges_max.filter(|_| !self.tail.is_void) else {
            // The header of a segment carries the state, too.
            return self.begin_segment();
        };
        let ranges = state.cursor.ranges().len();
        self.write(0, state)?;
        self.has_all_ranges = ranges <= ranges_max.max(state::RANGES_MAX);
        self.publish(0);
        Ok(())
    }

    /// Returns whether no request would be taken now.
    pub fn is_full(&self) -> bool {
        let inner = self.log.inner.lock();
        inner.spare != Spare::Ready
            && !inner.is_spare_coming(&self.log.config)
            && (self.tail.is_void || !self.fits(2 * BLOCK, true, &inner))
    }

    fn state(&self) -> State {
        self.log.inner.lock().state.clone()
    }

    fn encode(&mut self, requests: &[Request<'_>]) {
        self.encoder.clear(BUFFER_BYTES_KEPT);
        let (nonce, first) = (self.tail.nonce, self.tail.next_sequence);
        for request in requests {
            self.encoder.push(nonce, first, *request);
        }
        self.encoder.finish(nonce, first, &mut self.payload);
    }

    fn has_room(&self, bytes: usize, keeps_reserve: bool) -> bool {
        self.fits(bytes, keeps_reserve, &self.log.inner.lock())
    }

    fn fits(&self, bytes: usize, keeps_reserve: bool, inner: &Inner) -> bool {
        let reserved = if keeps_reserve && inner.spare != Spare::Ready {
            let blocks = self.tail.length / BLOCK as u64;
            RESERVED_BLOCKS.min(blocks.div_ceil(RESERVED_SHARE)) * BLOCK as u64
        } else {
            0
        };
        self.tail.offset + bytes as u64 + reserved <= self.tail.length
    }

    /// Returns whether the oldest segment could be removed once this state is on the disk.
    fn frees_a_segment(&self, state: &State) -> bool {
        let inner = self.log.inner.lock();
        let oldest = inner.segments.first_key_value();
        inner.segments.len() > 1
            && oldest.is_some_and(|(_, segment)| segment.end.sequence <= state.cursor.low())
    }

    /// Writes and syncs a commit with the payload.
    fn write(&mut self, count: u32, state: State) -> Result<(), DiskError> {
        let tail = &self.tail;
        let place = Place {
            nonce: tail.nonce,
            number: tail.next_commit,
            first_sequence: tail.next_sequence,
            previous_checksum: tail.checksum,
        };
        let checksum = commit::encode(place, count, &self.payload, &state, &mut self.buffer);
        let Log { disk, .. } = &*self.log;
        let written = disk
            .write_at(&tail.file, &self.buffer, tail.offset)
            .and_then(|()| disk.sync_data(&tail.file));
        if let Err(error) = written {
            self.give_up_tail();
            let path = self.log.path(self.tail.segment);
            return Err(DiskError::new("write", &path, error));
        }
        let tail = &mut self.tail;
        tail.previous = None;
        tail.checksum = checksum;
        tail.offset += self.buffer.len() as u64;
        tail.next_commit += 1;
        self.durable = state;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.payload.clear();
        self.payload.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    /// Has nothing more written to the segment.
    fn give_up_tail(&mut self) {
        self.tail.is_void = true;
        self.log.inner.lock().is_void = true;
        self.log.spare_wanted.notify_all();
    }

    /// Lets readers see the commit, and removes the segments that nobody needs any more.
    fn publish(&mut self, accepted: u64) {
        let mut inner = self.log.inner.lock();
        inner.state.counts.accepted += accepted;
        inner.durable_low = self.durable.cursor.low();
        let next_sequence = self.tail.next_sequence;
        if let Some(segment) = inner.segments.get_mut(&self.tail.segment) {
            segment.end = End {
                offset: self.tail.offset,
                sequence: next_sequence,
            };
        }
        drop(inner);
        self.forget_settled();
    }

    /// Removes the segments whose records are settled, as the disk knows it.
    pub(crate) fn forget_settled(&self) {
        let settled = self.log.inner.lock().take_settled();
        for segment in settled {
            self.give_up(segment);
        }
        if self.log.inner.lock().wants_spare(&self.log.config) {
            self.log.spare_wanted.notify_all();
        }
    }

    /// Removes a segment, or makes it the spare one, if there is none: a full disk may have no room
    /// for another.
    fn give_up(&self, segment: u64) {
        let path = self.log.path(segment);
        let mut inner = self.log.inner.lock();
        let is_wanted = inner.spare == Spare::Missing;
        if is_wanted {
            inner.spare = Spare::BeingMade;
        }
        drop(inner);
        let Log { disk, .. } = &*self.log;
        let given_up = if is_wanted {
            // Else the file could have the old name again after a crash, and the new header.
            let renamed = disk
                .rename(&path, &self.log.spare_path())
                .and_then(|()| disk.sync_folder(&self.log.config.folder));
            self.log.inner.lock().spare = match renamed {
                Ok(()) => Spare::Ready,
                Err(_) => Spare::Missing,
            };
            renamed
        } else {
            disk.remove(&path)
        };
        if let Err(error) = given_up {
            // The next start removes it.
            tracing::warn!(path = %path.display(), %error, "cannot remove a settled segment");
        }
    }

    /// Begins the next segment in the spare file. Its header carries the state and says where the
    /// segment before it ends.
    fn begin_segment(&mut self) -> Result<(), AppendError> {
        let Some(state) = self.log.take_spare() else {
            return Err(AppendError::Full);
        };
        let tail = &self.tail;
        let header = SegmentHeader {
            nonce: Nonce(rand::random()),
            // Two segments have two names, also if the first one has no record.
            first_sequence: tail.next_sequence.max(tail.segment + 1),
            first_commit: tail.next_commit,
            previous: Some(tail.previous.unwrap_or(PreviousEnd {
                segment: tail.segment,
                offset: tail.offset,
                sequence: tail.next_sequence,
                checksum: tail.checksum,
            })),
            state,
        };
        let begun = self.log.begin(&header);
        let file = match begun {
            Ok(file) => file,
            Err(error) => {
                // A segment that may be there after a crash says that this one ends here.
                self.give_up_tail();
                return Err(error.into());
            }
        };
        self.has_all_ranges = header.state.cursor.ranges().len() <= state::RANGES_MAX;
        self.durable = header.state.clone();
        // A segment without a commit is not needed: the new one names the one before it.
        let empty = tail.previous.map(|_| tail.segment);
        self.tail = Tail::begin(&file, &header, self.log.config.segment_bytes);
        let mut inner = self.log.inner.lock();
        inner.is_void = false;
        let previous_end = inner.end_sequence();
        inner
            .state
            .cursor
            .settle(previous_end..header.first_sequence);
        inner
            .segments
            .insert(header.first_sequence, Segment::begin(&file, &header));
        if let Some(empty) = empty {
            inner.segments.remove(&empty);
        }
        drop(inner);
        if let Some(empty) = empty {
            self.give_up(empty);
        }
        self.publish(0);
        Ok(())
    }
}

impl Drop for Appender {
    /// Ends the thread that makes spare files.
    fn drop(&mut self) {
        self.log.inner.lock().is_closed = true;
        self.log.spare_wanted.notify_all();
    }
}
