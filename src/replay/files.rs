//! Reads files of records one after another, and removes each once the sink has all of its records,
//! if that is wanted.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use iem_journal::PassProgress;
use iem_sink::{Record, SinkError};
use iem_sink_file::{RecordFile, RecordReader};

use super::report::{Entry, Report};

/// The lines of files that are still being written that a replay has delivered, from the first on.
pub type SentLines = HashMap<PathBuf, u64>;

/// The files of a replay.
pub struct Files {
    all: Vec<RecordFile>,
    /// The file that is read, or the next one.
    current: usize,
    reader: Option<RecordReader>,
    /// Those that have been begun and not ended.
    begun: BTreeMap<usize, Begun>,
    removes: bool,
    /// The lines that an earlier replay has delivered.
    sent_before: SentLines,
    /// Those that this one has.
    sent: SentLines,
    /// The bytes of the files that have been read to their ends, and the records of all.
    progress: PassProgress,
}

#[derive(Default)]
struct Begun {
    /// Its last line that has been read.
    line: u64,
    /// Its records that have been read and not been settled.
    unsettled: usize,
    is_read: bool,
    /// It has something that the sink does not have.
    is_kept: bool,
}

/// The place of a line.
#[derive(Clone, Copy)]
pub struct Place {
    /// The number of its file.
    pub file: usize,
    /// Its own, from 1.
    pub line: u64,
}

/// A step through the files.
pub enum Step {
    Record(Place, Record),
    /// The end of a file, or something that is no record and was reported.
    Other,
    End,
}

impl Files {
    /// With `removes`, files that a gateway may still be writing are left out: they are sent once
    /// they can be removed, too.
    pub fn new(mut files: Vec<RecordFile>, removes: bool, report: &mut Report) -> Self {
        let growing = files.iter().filter(|file| file.is_being_written());
        let growing = growing.map(|file| file.path().to_owned()).collect();
        if removes {
            report.left_out = growing;
            files.retain(|file| !file.is_being_written());
        } else {
            report.being_written = growing;
        }
        let bytes = files.iter().map(RecordFile::bytes);
        Self {
            progress: PassProgress {
                bytes_total: bytes.sum(),
                ..PassProgress::default()
            },
            all: files,
            current: 0,
            reader: None,
            begun: BTreeMap::new(),
            removes,
            sent_before: SentLines::new(),
            sent: SentLines::new(),
        }
    }

    /// The files of a folder, which may not be there, for one replay of several. Files are removed
    /// once the sink has all of their records. Those that are still being written are read, too, up to
    /// their ends then; lines that an earlier replay has [`sent`](Self::sent) are passed over.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn resumed(
        folder: &Path,
        sent_before: SentLines,
        report: &mut Report,
    ) -> Result<Self, SinkError> {
        let files = if folder.exists() {
            RecordFile::find_own(folder)?
        } else {
            Vec::new()
        };
        let mut resumed = Self::new(files, false, report);
        resumed.removes = true;
        resumed.sent_before = sent_before;
        Ok(resumed)
    }

    /// Returns the lines of files that are still being written, if the sink has the records of all of
    /// them.
    pub fn sent(self) -> SentLines {
        self.sent
    }

    /// Reads the next line.
    pub fn step(&mut self, report: &mut Report) -> Step {
        let file = self.current;
        let Some(found) = self.all.get(file) else {
            return Step::End;
        };
        let begun = self.begun.entry(file).or_default();
        let next = match &mut self.reader {
            Some(reader) => reader.next_record(),
            None => found.open().and_then(|reader| {
                report.files += 1;
                self.reader.insert(reader).next_record()
            }),
        };
        match next {
            Ok(Some((_, Ok(None)))) => return Step::Other,
            Ok(Some((line, Ok(Some(record))))) => {
                let sent_before = self.sent_before.get(found.path());
                begun.line = line;
                if sent_before.is_some_and(|last| line <= *last) {
                    return Step::Other;
                }
                begun.unsettled += 1;
                self.progress.records += 1;
                return Step::Record(Place { file, line }, record);
            }
            Ok(Some((line, Err(reason)))) => {
                begun.is_kept = true;
                report.problems.add(Entry {
                    file: found.path().to_owned(),
                    line: Some(line),
                    reason: format!("no record: {reason}"),
                });
                return Step::Other;
            }
            Ok(None) => {}
            Err(error) => {
                begun.is_kept = true;
                report.problems.add(Entry {
                    file: found.path().to_owned(),
                    line: None,
                    reason: error.to_string(),
                });
            }
        }
        begun.is_read = true;
        self.progress.bytes += found.bytes();
        self.reader = None;
        self.current += 1;
        self.end(file, report);
        Step::Other
    }

    /// Notes that a record of a file has been settled.
    pub fn settle(&mut self, file: usize, is_delivered: bool, report: &mut Report) {
        if let Some(begun) = self.begun.get_mut(&file) {
            begun.unsettled -= 1;
            begun.is_kept |= !is_delivered;
        }
        self.end(file, report);
    }

    /// Ends a file if it has been read and all of its records are settled.
    fn end(&mut self, file: usize, report: &mut Report) {
        let has_ended = |begun: &Begun| begun.is_read && begun.unsettled == 0;
        if !self.begun.get(&file).is_some_and(has_ended) {
            return;
        }
        let Some(begun) = self.begun.remove(&file).filter(|begun| !begun.is_kept) else {
            return;
        };
        if !self.removes {
            return;
        }
        if self.all[file].is_being_written() {
            let path = self.all[file].path().to_owned();
            self.sent.insert(path, begun.line);
            return;
        }
        match self.all[file].remove() {
            Ok(()) => report.removed += 1,
            Err(error) => report.problems.add(Entry {
                file: self.all[file].path().to_owned(),
                line: None,
                reason: error.to_string(),
            }),
        }
    }

    /// Returns an entry of the report on a line.
    pub fn entry(&self, place: Place, reason: String) -> Entry {
        Entry {
            file: self.all[place.file].path().to_owned(),
            line: Some(place.line),
            reason,
        }
    }

    pub fn progress(&self) -> PassProgress {
        let read = self.reader.as_ref().map_or(0, RecordReader::bytes_read);
        PassProgress {
            bytes: self.progress.bytes + read,
            ..self.progress
        }
    }
}
