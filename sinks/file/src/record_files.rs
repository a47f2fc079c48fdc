//! Files of records, which are read to send their records again: those of this sink, and others of
//! the same format. Takes no lock, so a gateway may be writing into the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use iem_disk::{Disk, DiskError};
use iem_sink::{Record, SinkError};

use crate::checkpoint;
use crate::error::from_disk;
use crate::line_reader::{Line, LineReader};
use crate::name::{self, ARCHIVE, Form, LINES};
use crate::record_line;
use crate::recovery::archived_bytes;

/// The endings of files of records. Of files with the same stem, the first counts.
const ENDINGS: [&str; 3] = [LINES, ARCHIVE, ".ndjson.gz"];

/// The bytes at the end of a file in which its latest records are looked for.
pub const END_BYTES: u64 = 256 << 10;

/// The most times that a folder is looked at whose files are renamed or removed meanwhile.
const ATTEMPTS: usize = 20;

/// A file of records, as it was when it was found.
#[derive(Clone, Debug)]
pub struct RecordFile {
    path: PathBuf,
    bytes: u64,
    is_being_written: bool,
}

impl RecordFile {
    /// Finds the files of a folder, or of the folders in it, in the order of their names: all
    /// `*.ndjson`, `*.ndjson.zst` and `*.ndjson.gz`. The path of a file is that file, whatever its
    /// name. Of a file of the sink and its archive, which a crash may have left, the archive is taken
    /// unless it holds less.
    ///
    /// # Errors
    /// There is nothing of this name, or it cannot be read.
    pub fn find(path: &Path) -> Result<Vec<Self>, SinkError> {
        let found = find(path, false).map_err(|error| DiskError::new("read", path, error));
        found.map_err(from_disk)
    }

    /// Finds the files of a folder that this process writes to, as [`find`](Self::find) does.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_own(path: &Path) -> Result<Vec<Self>, SinkError> {
        let found = find(path, true).map_err(|error| DiskError::new("read", path, error));
        found.map_err(from_disk)
    }

    /// `closed` is the stem up to which the files of its folder are closed, if the folder is in use.
    fn found(path: PathBuf, closed: Option<&str>) -> io::Result<Self> {
        let path = fuller(path)?;
        let metadata = path.metadata()?;
        let is_being_written = match (closed, own_name(&path)) {
            (Some(closed), Some((stem, Form::Lines))) => stem > closed,
            _ => false,
        };
        Ok(Self {
            bytes: metadata.len(),
            is_being_written,
            path,
        })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its length when it was found.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether a process had the data directory open, and may still have been writing the
    /// file.
    pub fn is_being_written(&self) -> bool {
        self.is_being_written
    }

    /// Opens it. Of a file that is being written, what it had when it was found is read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self) -> Result<RecordReader, SinkError> {
        let bytes_max = if self.is_being_written {
            self.bytes
        } else {
            u64::MAX
        };
        let mut opened = LineReader::open(&self.path, bytes_max);
        if let Err(error) = &opened
            && error.kind() == ErrorKind::NotFound
            && let Some(twin) = twin(&self.path)
        {
            opened = LineReader::open(&twin, u64::MAX);
        }
        Ok(RecordReader {
            lines: opened.map_err(|error| self.error("read", error))?,
            file: self.clone(),
            number: 0,
        })
    }

    /// Returns the latest records of a file of lines that is not compressed, at most `count`, the last
    /// one first. No more than the last 256 KiB are read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn latest(&self, count: usize) -> Result<Vec<Record>, SinkError> {
        let end = end(&self.path).map_err(|error| self.error("read", error))?;
        let lines = end.split(|byte| *byte == b'\n').rev();
        let records = lines.filter_map(|line| record_line::parse(line).ok());
        Ok(records.take(count).collect())
    }

    /// Removes it, with the other of file and archive of the same stem, and syncs the folder. What was
    /// found has all that the other one has.
    ///
    /// # Errors
    /// It has grown since it was found, so that more may be in it than was read. After an error of the
    /// disk it may come back with a crash.
    pub fn remove(&self) -> Result<(), SinkError> {
        let now = self.path.metadata();
        if now.is_ok_and(|now| now.len() != self.bytes) {
            let error = io::Error::other("it has changed while it was read");
            return Err(self.error("remove", error));
        }
        let disk = Disk::default();
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let paths = [Some(self.path.clone()), twin(&self.path)];
        let mut paths = paths.iter().flatten();
        let removed = paths
            .try_for_each(|path| disk.remove(path))
            .and_then(|()| disk.sync_folder(folder));
        removed.map_err(|error| self.error("remove", error))
    }

    fn error(&self, action: &'static str, error: io::Error) -> SinkError {
        from_disk(DiskError::new(action, &self.path, error))
    }
}

/// A line of a file: its number, from 1, and its record, nothing if it is blank, or the reason why it
/// is no record.
pub type RecordLine = (u64, Result<Option<Record>, String>);

/// A reader of a file's records.
pub struct RecordReader {
    file: RecordFile,
    lines: LineReader,
    number: u64,
}

impl RecordReader {
    /// Reads the next line. One without its end in a file that is being written is passed over.
    ///
    /// # Errors
    /// The rest of the file cannot be read.
    pub fn next_record(&mut self) -> Result<Option<RecordLine>, SinkError> {
        loop {
            let line = self.lines.next_line();
            let line = line.map_err(|error| self.file.error("read", error))?;
            self.number += 1;
            let record = match line {
                None => return Ok(None),
                Some(Line::Blank) => Ok(None),
                Some(Line::Other) => Err("it does not begin as a JSON object does".to_owned()),
                Some(Line::Object(line)) => {
                    if self.file.is_being_written && !line.ends_with(b"\n") {
                        continue;
                    }
                    record_line::parse(line).map(Some)
                }
            };
            return Ok(Some((self.number, record)));
        }
    }

    /// Returns how many bytes of the file have been read.
    pub fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }
}

/// Returns the last whole lines of a file.
fn end(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let begin = file.metadata()?.len().saturating_sub(END_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    let mut end = Vec::new();
    file.take(END_BYTES).read_to_end(&mut end)?;
    if begin > 0 {
        let first = end.iter().position(|byte| *byte == b'\n');
        end.drain(..first.map_or(end.len(), |first| first + 1));
    }
    Ok(end)
}

/// Returns stem and form of a file whose name is one of the sink's own.
fn own_name(path: &Path) -> Option<(&str, Form)> {
    name::parse(path.file_name()?.to_str()?)
}

/// Returns the path of the archive by which the sink replaces a file once it is closed, or of the file
/// that an archive replaces.
fn twin(path: &Path) -> Option<PathBuf> {
    let (stem, ending) = match own_name(path)? {
        (stem, Form::Lines) => (stem, ARCHIVE),
        (stem, Form::Archive) => (stem, LINES),
        (_, Form::Temporary) => return None,
    };
    Some(path.with_file_name(format!("{stem}{ending}")))
}

/// Returns the path of the archive, unless it holds less than the file of lines, if both are there.
fn fuller(path: PathBuf) -> io::Result<PathBuf> {
    let Some(twin) = twin(&path).filter(|twin| twin.exists()) else {
        return Ok(path);
    };
    let (lines, archive) = match own_name(&path) {
        Some((_, Form::Archive)) => (twin, path),
        _ => (path, twin),
    };
    let is_whole = archived_bytes(&archive)? >= lines.metadata()?.len();
    Ok(if is_whole { archive } else { lines })
}

/// Finds the files at a path, which this process writes to if `is_own`.
fn find(path: &Path, is_own: bool) -> io::Result<Vec<RecordFile>> {
    if !path.is_dir() {
        let closed = closed_in_use(path.parent().unwrap_or(Path::new("")), is_own);
        return Ok(vec![RecordFile::found(path.to_owned(), closed.as_deref())?]);
    }
    let files = find_in(path, is_own)?;
    if !files.is_empty() {
        return Ok(files);
    }
    let entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    let mut folders: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let files = folders.iter().map(|folder| find_in(folder, is_own));
    Ok(files.collect::<io::Result<Vec<_>>>()?.concat())
}

/// Finds the files of one folder. Looks again if a gateway has renamed or removed some meanwhile.
fn find_in(folder: &Path, is_own: bool) -> io::Result<Vec<RecordFile>> {
    for _ in 0..ATTEMPTS {
        let paths = list(folder)?;
        let closed = closed_in_use(folder, is_own);
        let found: io::Result<Vec<_>> = paths
            .iter()
            .map(|path| RecordFile::found(path.clone(), closed.as_deref()))
            .collect();
        match found {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(files) if list(folder)? == paths => return Ok(files),
            Ok(_) | Err(_) => {}
        }
    }
    Err(io::Error::other("its files change all the time"))
}

/// Lists the files of records in a folder, in the order of their names.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut endings: BTreeMap<String, usize> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        for (index, ending) in ENDINGS.iter().enumerate() {
            if let Some(stem) = name.strip_suffix(ending) {
                let first = endings.entry(stem.to_owned()).or_insert(index);
                *first = index.min(*first);
            }
        }
    }
    let files = endings.into_iter();
    let path = |(stem, index): (String, usize)| folder.join(format!("{stem}{}", ENDINGS[index]));
    Ok(files.map(path).collect())
}

/// Returns the stem up to which the files of a topic's folder are closed, if a process has the data
/// directory open, which need not be looked up where it is this one. It is empty if nothing is known
/// to be closed.
fn closed_in_use(folder: &Path, is_own: bool) -> Option<String> {
    // An empty path is the working directory, and `.` has no parent of its own.
    let folder = Path::new(".").join(folder).canonicalize().ok()?;
    if !is_own {
        iem_disk::holder(folder.parent()?)?;
    }
    Some(checkpoint::read(&folder).unwrap_or_default())
}
