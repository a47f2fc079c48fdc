//! A reader of a topic's files. It takes no lock and changes nothing, so it may read while a
//! gateway writes.
//!
//! A file can change behind a reader: it grows, it becomes an archive, and a recovery takes torn
//! lines out of it. The reader therefore reads all files again whenever one of them has changed,
//! and says that it begins anew. It never remembers a line.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use iem_disk::DiskError;
use iem_sink::{Found, Reached, Reader, SinkError};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::from_disk;
use crate::line_reader::{Line, LineReader};
use crate::name::{self, Form};

/// The time between two looks at the folder.
const POLL: Duration = Duration::from_millis(100);

/// The attempts at a pass while files are renamed or removed under it.
const ATTEMPTS: usize = 20;

/// A reader of one topic's files.
pub struct FileReader {
    folder: PathBuf,
    since: SystemTime,
    /// The files as the last pass found them.
    last: Option<Files>,
}

/// The files of a topic by their stems, which are in the order of the records.
type Files = BTreeMap<String, FileState>;

/// A file, and what changes when its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    form: Form,
    inode: u64,
    bytes: u64,
    modified: SystemTime,
}

/// A record's line.
#[derive(Deserialize)]
struct RecordLine<'l> {
    #[serde(borrow)]
    data: &'l RawValue,
}

impl FileReader {
    /// Makes a reader of the topic's folder in the data directory `path`. Files that were last
    /// changed before `since` are left out.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be read.
    pub fn open(path: &Path, topic: &str, since: SystemTime) -> Result<Self, SinkError> {
        let reader = Self {
            folder: path.join(topic),
            since,
            last: None,
        };
        reader.list().map_err(from_disk)?;
        Ok(reader)
    }

    fn list(&self) -> Result<Files, DiskError> {
        let listed = self.try_list();
        listed.map_err(|error| DiskError::new("read the folder", &self.folder, error))
    }

    /// Lists the files. If two have the same stem, the one with lines counts.
    fn try_list(&self) -> io::Result<Files> {
        let mut files = Files::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((stem, form)) = name.to_str().and_then(name::parse) else {
                continue;
            };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // It was removed, or became an archive.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let state = FileState::new(form, &metadata)?;
            if form == Form::Temporary || state.modified < self.since {
                continue;
            }
            let found = files.entry(stem.to_owned()).or_insert(state);
            if form == Form::Lines {
                *found = state;
            }
        }
        Ok(files)
    }

    /// Reads all files. Returns whether it came to the end; if not, a file had lost its name before
    /// it was opened.
    fn pass(&self, files: &Files, each: &mut dyn FnMut(Found<'_>)) -> Result<bool, DiskError> {
        each(Found::Anew);
        for (stem, state) in files {
            let path = self.folder.join(format!("{stem}{}", state.form.ending()));
            match read_file(&path, each) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(DiskError::new("read", &path, error)),
            }
        }
        Ok(true)
    }
}

impl Reader for FileReader {
    fn read(
        &mut self,
        until: Instant,
        each: &mut dyn FnMut(Found<'_>),
    ) -> Result<Reached, SinkError> {
        for _ in 0..ATTEMPTS {
            let files = self.list().map_err(from_disk)?;
            if self.last.as_ref() == Some(&files) {
                let left = until.saturating_duration_since(Instant::now());
                std::thread::sleep(left.min(POLL));
                return Ok(Reached::End);
            }
            self.last = None;
            if self.pass(&files, each).map_err(from_disk)? {
                self.last = Some(files);
                return Ok(Reached::End);
            }
        }
        Err(SinkError::transient(format!(
            "the files in {} are renamed or removed faster than they can be read",
            self.folder.display()
        )))
    }

    /// Looks whether a file has changed since the last pass.
    fn check_end(&mut self, _deadline: Instant) -> Result<(), SinkError> {
        if self.last.as_ref() == Some(&self.list().map_err(from_disk)?) {
            return Ok(());
        }
        Err(SinkError::transient(format!(
            "the files in {} change while they are read",
            self.folder.display()
        )))
    }
}

impl FileState {
    fn new(form: Form, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            form,
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: metadata.modified()?,
        })
    }
}

/// Passes on the data of each whole line. A torn one is no record: a crash left it, and the next
/// recovery takes it out.
fn read_file(path: &Path, each: &mut dyn FnMut(Found<'_>)) -> io::Result<()> {
    let mut lines = LineReader::open(path, u64::MAX)?;
    while let Some(line) = lines.next_line()? {
        if let Line::Object(line) = line
            && line.ends_with(b"\n")
            && let Ok(RecordLine { data }) = serde_json::from_slice(line)
        {
            each(Found::Record(data.get().as_bytes()));
        }
    }
    Ok(())
}
