//! The state of a journal's folder at its start: which segments there are, where each validly ends,
//! and what is settled. It changes nothing, and reads no more than the headers and the segments
//! whose end nothing else tells. Readers meet, and report, what is damaged within them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iem_disk::DiskError;

use crate::access::{self, Access};
use crate::damage::{Damage, DamageKind};
use crate::error::OpenError;
use crate::format::commit::{self, CommitHeader};
use crate::format::segment::{PreviousEnd, SegmentHeader};
use crate::format::state::State;
use crate::format::{BLOCK, Malformed, NUMBER_MAX, Nonce};
use crate::log::Segment;
use crate::name;
use crate::scan::{Found, Source, find_nonce};
use crate::walk::{End, Step, Walk};

/// The most times that the list of segments is read.
const LISTS_MAX: usize = 100;

/// The state of a journal.
#[derive(Default)]
pub(crate) struct Recovered {
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// The segments that have neither a header nor a commit.
    pub(crate) unreadable: Vec<PathBuf>,
    pub(crate) state: State,
    pub(crate) next_commit: u64,
    /// The checksum of the last commit's header.
    pub(crate) checksum: u32,
    pub(crate) damages: Vec<Damage>,
}

/// A segment's file, as its first block tells it.
struct Opened {
    first: u64,
    path: PathBuf,
    file: Arc<File>,
    length: u64,
    header: Option<SegmentHeader>,
    /// The nonce of the header, or else of the latest commit.
    nonce: Option<Nonce>,
}

/// The end of a segment's valid commits, and what the last one says.
struct Valid {
    end: End,
    next_commit: u64,
    checksum: u32,
    state: Option<State>,
}

/// Reads the folder.
pub(crate) fn recover(access: Access<'_>, folder: &Path) -> Result<Recovered, OpenError> {
    let opened = open_all(access, folder)?;
    let mut recovered = Recovered::default();
    for (index, segment) in opened.iter().enumerate() {
        let added = recovered.add(access, segment, opened.get(index + 1));
        added.map_err(|error| DiskError::new("read", &segment.path, error))?;
    }
    recovered.find_missing(folder, &opened);
    recovered.settle_gaps();
    recovered.count_delivered();
    Ok(recovered)
}

/// Opens all segments. Somebody who only looks may find that one is gone: then the list is read
/// again, so that it has no gap that there was never on the disk.
fn open_all(access: Access<'_>, folder: &Path) -> Result<Vec<Opened>, OpenError> {
    for _ in 0..LISTS_MAX {
        let firsts = list(access, folder)?;
        let open = |first| Opened::open(access, name::segment(folder, first), first);
        let opened: Option<Vec<Opened>> = firsts
            .into_iter()
            .map(open)
            .collect::<Result<_, OpenError>>()?;
        if let Some(opened) = opened {
            return Ok(opened);
        }
    }
    let error = io::Error::other("its files change all the time");
    Err(DiskError::new("read the folder", folder, error).into())
}

/// Returns the first sequence numbers of the segments, in order.
fn list(access: Access<'_>, folder: &Path) -> Result<Vec<u64>, OpenError> {
    let names = access
        .list(folder)
        .map_err(|error| DiskError::new("read the folder", folder, error))?;
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| name::parse(name.to_str()?))
        .collect();
    firsts.sort_unstable();
    Ok(firsts)
}

impl Opened {
    /// Opens a segment, and reads its header. Returns `None` if somebody else has removed it.
    fn open(access: Access<'_>, path: PathBuf, first: u64) -> Result<Option<Self>, OpenError> {
        let file = match access.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !access.is_owner() => {
                return Ok(None);
            }
            file => file.map_err(|error| DiskError::new("open", &path, error))?,
        };
        let read = || {
            let length = file.metadata()?.len();
            let mut block = [0; BLOCK];
            let bytes = access.read_at(&file, &mut block, 0)?;
            let header = SegmentHeader::decode(&block[..bytes]);
            let nonce = match &header {
                Ok(header) => Some(header.nonce),
                Err(_) => find_nonce(access, &file, first)?,
            };
            Ok((length, header, nonce))
        };
        let (length, header, nonce) =
            read().map_err(|error| DiskError::new("read", &path, error))?;
        if let Err(Malformed::Version(version)) = header {
            return Err(OpenError::LaterRelease { path, version });
        }
        let header = header.ok().filter(|header| header.first_sequence == first);
        if header.is_none() && !access.is_owner() && !access::is_named(&path, &file) {
            return Ok(None);
        }
        Ok(Some(Self {
            first,
            path,
            file: Arc::new(file),
            length,
            header,
            nonce,
        }))
    }

    fn previous(&self) -> Option<PreviousEnd> {
        self.header.as_ref()?.previous
    }
}

impl Recovered {
    /// Adds a segment. `next` is the one behind it.
    fn add(
        &mut self,
        access: Access<'_>,
        opened: &Opened,
        next: Option<&Opened>,
    ) -> io::Result<()> {
        if opened.header.is_none() {
            self.damages.push(Damage {
                path: opened.path.clone(),
                bytes: 0..BLOCK as u64,
                kind: DamageKind::SegmentHeader,
                lost: Vec::new(),
            });
        }
        let Some(nonce) = opened.nonce else {
            self.unreadable.push(opened.path.clone());
            return Ok(());
        };
        let told = next.and_then(Opened::previous);
        let valid = match told.filter(|end| end.segment == opened.first) {
            Some(told) => Valid {
                end: End {
                    offset: told.offset.min(opened.length),
                    sequence: told.sequence,
                },
                next_commit: self.next_commit,
                checksum: told.checksum,
                state: None,
            },
            None => self.find_end(access, opened, nonce, next.map(|next| next.first))?,
        };
        if let Some(header) = &opened.header {
            self.take_state(&header.state);
        }
        if let Some(state) = &valid.state {
            self.take_state(state);
        }
        self.next_commit = valid.next_commit;
        self.checksum = valid.checksum;
        let header = opened.header.as_ref();
        let segment = Segment {
            file: Arc::clone(&opened.file),
            nonce,
            first_commit: header.map_or(0, |header| header.first_commit),
            end: valid.end,
        };
        self.segments.insert(opened.first, segment);
        Ok(())
    }

    /// Takes what a later header says.
    fn take_state(&mut self, state: &State) {
        self.state.cursor.merge(&state.cursor);
        if state.counts.accepted >= self.state.counts.accepted {
            self.state.counts = state.counts;
        }
    }

    /// Finds the last valid commit of a segment. Its sequence numbers end at `limit`, where the next
    /// segment begins.
    ///
    /// A bad commit with a valid one behind it is damaged, and a reader reports it. A bad one at the
    /// end can be torn: it was not acknowledged before it was synced.
    fn find_end(
        &mut self,
        access: Access<'_>,
        opened: &Opened,
        nonce: Nonce,
        limit: Option<u64>,
    ) -> io::Result<Valid> {
        let source = Source {
            access,
            file: &opened.file,
            nonce,
        };
        let file_end = End {
            offset: opened.length,
            sequence: limit.unwrap_or(NUMBER_MAX),
        };
        let header = opened.header.as_ref();
        let mut walk = Walk::begin(opened.first, header.map_or(0, |header| header.first_commit));
        let mut valid = Valid {
            end: End {
                offset: walk.offset(),
                sequence: walk.sequence(),
            },
            next_commit: walk.commit(),
            checksum: opened.previous().map_or(0, |previous| previous.checksum),
            state: None,
        };
        let mut buffer = Vec::new();
        while let Some(step) = walk.next(source, file_end)? {
            let Step::Commit(found) = step else {
                continue;
            };
            source.read(&found.bytes(), &mut buffer)?;
            let is_whole = found.header.check_payload(nonce, &buffer).is_ok();
            if !is_whole && is_last(walk, source, file_end)? {
                break;
            }
            valid.pass(&found, nonce, &buffer);
        }
        if limit.is_none() {
            self.note_torn(source, opened, valid.end.offset)?;
        }
        Ok(valid)
    }

    /// Notes the remains of a last commit that was not written to its end.
    fn note_torn(&mut self, source: Source<'_>, opened: &Opened, offset: u64) -> io::Result<()> {
        let mut block = [0; BLOCK];
        let length = source.access.read_at(&opened.file, &mut block, offset)?;
        let block = &block[..length];
        if !CommitHeader::has_remains(source.nonce, block) {
            return Ok(());
        }
        let header = CommitHeader::decode(source.nonce, block);
        let bytes = header.map_or(BLOCK, |header| header.commit_bytes());
        self.damages.push(Damage {
            path: opened.path.clone(),
            bytes: offset..(offset + bytes as u64).min(opened.length),
            kind: DamageKind::TornCommit,
            lost: Vec::new(),
        });
        Ok(())
    }

    /// Finds the segments that are missing: each header names the one before it. What was not
    /// settled in them is lost. A damaged header names none, so nothing may be missing before it.
    fn find_missing(&mut self, folder: &Path, opened: &[Opened]) {
        let mut known = self.state.cursor.low();
        for one in opened {
            let Some(segment) = self.segments.get(&one.first) else {
                continue;
            };
            let end = segment.end.sequence;
            let missing = match &one.header {
                Some(header) => header
                    .previous
                    .filter(|previous| !self.segments.contains_key(&previous.segment))
                    .map(|previous| (previous.segment, previous.sequence)),
                None => Some((known, one.first)),
            };
            if let Some((name, end)) = missing {
                self.lose(name::segment(folder, name), known..end);
            }
            known = end;
        }
    }

    /// Reports and settles the records of a missing segment that were not settled.
    fn lose(&mut self, path: PathBuf, sequences: Range<u64>) {
        let lost = self.state.cursor.open_parts(sequences);
        if lost.is_empty() {
            return;
        }
        for part in &lost {
            self.state.counts.damaged += part.end - part.start;
            self.state.cursor.settle(part.clone());
        }
        self.damages.push(Damage {
            path,
            bytes: 0..0,
            kind: DamageKind::MissingSegment,
            lost,
        });
    }

    /// Settles the sequence numbers that no record has: each segment begins anew.
    fn settle_gaps(&mut self) {
        let mut end = None;
        for (first, segment) in &self.segments {
            if let Some(end) = end {
                self.state.cursor.settle(end..*first);
            }
            end = Some(segment.end.sequence);
        }
        // Before the first one, everything is settled or lost.
        if let Some((first, _)) = self.segments.first_key_value() {
            self.state.cursor.settle(0..*first);
        }
    }

    /// Counts the delivered records by the cursor: it may know fewer settled records than the counts
    /// of the same header, which carries only some of the settled ranges.
    fn count_delivered(&mut self) {
        let State { cursor, counts } = &mut self.state;
        let end = self.segments.last_key_value();
        let end = end.map_or(0, |(_, segment)| segment.end.sequence);
        let without_record = end.saturating_sub(counts.accepted);
        let others = without_record + counts.dead_lettered + counts.damaged;
        counts.delivered = cursor.settled_below(end).saturating_sub(others);
    }
}

/// Returns whether no valid commit is left.
fn is_last(mut walk: Walk, source: Source<'_>, end: End) -> io::Result<bool> {
    while let Some(step) = walk.next(source, end)? {
        if matches!(step, Step::Commit(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Valid {
    /// Passes a commit whose header is valid.
    fn pass(&mut self, found: &Found, nonce: Nonce, commit: &[u8]) {
        let header = &found.header;
        let mut state = header.state.clone();
        if header.count == 0
            && let Ok(payload) = header.check_payload(nonce, commit)
        {
            // Records whose ranges cannot be read are sent again.
            let _ = commit::decode_ranges(payload, &mut state.cursor);
        }
        if let Some(before) = &self.state {
            state.cursor.merge(&before.cursor);
        }
        self.state = Some(state);
        self.end = End {
            offset: found.end(),
            sequence: header.end_sequence(),
        };
        self.next_commit = header.number + 1;
        self.checksum = header.checksum();
    }
}
