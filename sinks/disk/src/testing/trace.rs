//! The trace of a disk: records each change below a folder, in the order in which they happened.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};

use super::recording::{Change, FileId, Found, Recording};
use crate::effect::Effect;

/// The trace of a disk. Records nothing until it is begun. While it records, the disk does one
/// change after another, so that the order of the trace is the order on the disk.
#[derive(Default)]
pub struct Trace {
    recorder: Mutex<Option<Recorder>>,
}

impl Trace {
    /// Begins to record the changes below `folder`. What is there now counts as durable, and its
    /// files are read into memory; anything that is neither a file nor a folder is passed over. A
    /// trace that had begun before is lost.
    ///
    /// Changes outside of the folder are not recorded, and those made past the disk are not seen,
    /// nor is the part of a write that the operating system itself failed. Paths below the folder
    /// must begin with `folder` as it is given here.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn begin(&self, folder: &Path) -> io::Result<()> {
        let mut recorder = self.recorder.lock();
        let mut new = Recorder {
            folder: folder.to_owned(),
            files: HashMap::new(),
            next: FileId(0),
            recording: Recording::default(),
        };
        new.find(Path::new(""))?;
        *recorder = Some(new);
        Ok(())
    }

    /// Returns the number of changes since the trace was begun, or 0 if it was not.
    pub fn changes(&self) -> usize {
        let recorder = self.recorder.lock();
        recorder
            .as_ref()
            .map_or(0, |recorder| recorder.recording.changes.len())
    }

    /// Ends the trace, and returns what it recorded: nothing if it was not begun.
    pub fn end(&self) -> Recording {
        let recorder = self.recorder.lock().take();
        recorder.map_or_else(Recording::default, |recorder| recorder.recording)
    }

    /// Begins an operation. Until it is done or dropped, no other one begins.
    pub(crate) fn step(&self) -> Step<'_> {
        let recorder = self.recorder.lock();
        Step(recorder.is_some().then_some(recorder))
    }
}

/// An operation under way.
pub(crate) struct Step<'a>(Option<MutexGuard<'a, Option<Recorder>>>);

impl Step<'_> {
    /// Records the operation as done.
    pub(crate) fn done(self, effect: Effect<'_>) {
        if let Some(mut recorder) = self.0
            && let Some(recorder) = &mut *recorder
        {
            recorder.note(effect);
        }
    }
}

/// A trace that has begun.
pub(crate) struct Recorder {
    folder: PathBuf,
    /// The known files by device and inode: `None` for those outside of the folder.
    files: HashMap<(u64, u64), Option<FileId>>,
    next: FileId,
    recording: Recording,
}

impl Recorder {
    /// Reads what is in a folder, whose path is relative to that of the trace.
    fn find(&mut self, folder: &Path) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.join(folder))? {
            names.push(entry?.file_name());
        }
        names.sort();
        for name in names {
            let path = folder.join(name);
            let full_path = self.folder.join(&path);
            let metadata = fs::symlink_metadata(&full_path)?;
            if metadata.is_dir() {
                let found = Found::Folder { path: path.clone() };
                self.recording.found.push(found);
                self.find(&path)?;
            } else if metadata.is_file() {
                let file = self.new_id();
                self.files
                    .insert((metadata.dev(), metadata.ino()), Some(file));
                let bytes = fs::read(full_path)?;
                self.recording.found.push(Found::File { path, file, bytes });
            }
        }
        Ok(())
    }

    fn note(&mut self, effect: Effect<'_>) {
        let change = self.change(effect);
        self.recording.changes.extend(change);
    }

    /// Returns what is to be recorded, with paths relative to the trace's folder.
    fn change(&mut self, effect: Effect<'_>) -> Option<Change> {
        match effect {
            Effect::Create { path, file } => self.created(path, file),
            Effect::Open { path, file } => self.opened(path, file),
            Effect::Append { file, bytes } => self.file(file).map(|id| Change::Write {
                file: id,
                offset: start_of_last_write(file, bytes),
                bytes: bytes.to_owned(),
            }),
            Effect::Write {
                file,
                offset,
                bytes,
            } => self.file(file).map(|file| Change::Write {
                file,
                offset,
                bytes: bytes.to_owned(),
            }),
            Effect::SetLen { file, length } => {
                self.file(file).map(|file| Change::SetLen { file, length })
            }
            Effect::Sync { file } => self.file(file).map(|file| Change::SyncData { file }),
            Effect::FailedSync { file } => self.file(file).map(|file| Change::FailedSync { file }),
            Effect::SyncFolder { path } => self.path(path).map(|path| Change::SyncFolder { path }),
            Effect::Rename { from, to } => self.renamed(from, to),
            Effect::Remove { path } => self.path(path).map(|path| Change::Remove { path }),
            Effect::CreateFolder { path } => {
                self.path(path).map(|path| Change::CreateFolder { path })
            }
        }
    }

    fn created(&mut self, path: &Path, file: &File) -> Option<Change> {
        let path = self.path(path);
        let id = path.is_some().then(|| self.new_id());
        self.files.insert(identity(file), id);
        Some(Change::Create {
            path: path?,
            file: id?,
        })
    }

    fn opened(&mut self, path: &Path, file: &File) -> Option<Change> {
        if self.path(path).is_none() {
            self.files.insert(identity(file), None);
        }
        None
    }

    fn renamed(&self, from: &Path, to: &Path) -> Option<Change> {
        let change = Change::Rename {
            from: self.path(from)?,
            to: self.path(to)?,
        };
        assert_eq!(
            from.parent(),
            to.parent(),
            "a power cut is simulated only for renames within a folder"
        );
        Some(change)
    }

    fn new_id(&mut self) -> FileId {
        let id = self.next;
        self.next.0 += 1;
        id
    }

    /// Returns a path relative to the trace's folder, or `None` for one outside of it.
    fn path(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.folder).ok().map(Path::to_owned)
    }

    /// Returns a file's number, or `None` for a file outside of the trace's folder.
    fn file(&self, file: &File) -> Option<FileId> {
        *self.files.get(&identity(file)).expect(
            "a file of a traced disk was created or opened by the disk since the trace began",
        )
    }
}

fn identity(file: &File) -> (u64, u64) {
    let metadata = file.metadata().expect("the metadata of an open file");
    (metadata.dev(), metadata.ino())
}

fn start_of_last_write(mut file: &File, bytes: &[u8]) -> u64 {
    let end = file.stream_position().expect("the position of a file");
    end - bytes.len() as u64
}
