//! The folder of one topic. Names the files of its writers, and hands closed files on for
//! compression.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Instant, SystemTime};

use iem_disk::DiskError;
use iem_sink::SinkError;
use parking_lot::Mutex;

use crate::checkpoint;
use crate::config::Compression;
use crate::data_directory::DataDirectory;
use crate::error;
use crate::name::{LINES, Names};
use crate::open_file::OpenFile;
use crate::recovery;
use crate::task::Task;

/// The folder of one topic.
pub(crate) struct Topic {
    pub(crate) directory: Arc<DataDirectory>,
    folder: PathBuf,
    stems: Mutex<Stems>,
    maintenance: Sender<Task>,
}

/// The names in use, and the stems of the files that are open.
struct Stems {
    names: Names,
    open: BTreeSet<String>,
    /// The first doubtful file that was closed. The checkpoint stays before it.
    first_doubtful: Option<String>,
}

impl Topic {
    /// Creates the folder if it is missing, recovers the files in it, and hands closed ones on for
    /// compression.
    pub(crate) fn open(
        directory: Arc<DataDirectory>,
        name: &str,
        maintenance: Sender<Task>,
    ) -> Result<Self, SinkError> {
        if !is_folder_name(name) {
            return Err(SinkError::permanent(format!(
                "topic name {name:?} cannot be a folder name: it may contain letters, digits, \
                 '.', '_' and '-', and may not begin with '.'"
            )));
        }
        Self::open_folder(directory, name, maintenance).map_err(error::from_disk)
    }

    fn open_folder(
        directory: Arc<DataDirectory>,
        name: &str,
        maintenance: Sender<Task>,
    ) -> Result<Self, DiskError> {
        let path = &directory.config.path;
        let disk = &directory.disk;
        let sync = directory.config.sync;
        let folder = path.join(name);
        disk.create_folders(&folder, sync)
            .map_err(|error| DiskError::new("create the folder", &folder, error))?;
        if sync {
            // An earlier run may have created the folder without sync, or just before a crash of
            // the machine.
            disk.sync_folder(path)
                .map_err(|error| DiskError::new("sync", path, error))?;
        }
        let recovered = recovery::recover(disk, &folder, sync)?;
        let topic = Self {
            directory,
            folder,
            stems: Mutex::new(Stems {
                names: recovered.names,
                open: BTreeSet::new(),
                first_doubtful: None,
            }),
            maintenance,
        };
        for path in recovered.closed {
            topic.compress(path);
        }
        Ok(topic)
    }

    /// Creates a file for a batch whose first record was received at `first`.
    pub(crate) fn create_file(
        &self,
        first: SystemTime,
        now: Instant,
    ) -> Result<OpenFile, DiskError> {
        let stem = self.stems.lock().next(first);
        let path = self.folder.join(format!("{stem}{LINES}"));
        OpenFile::create(&self.directory, path.clone(), now).map_err(|error| {
            self.stems.lock().open.remove(&stem);
            DiskError::new("create", &path, error)
        })
    }

    /// Closes a file, which has been removed already if it is empty. Moves the checkpoint forward
    /// where that is possible.
    pub(crate) fn close(&self, file: OpenFile) {
        let is_empty = file.is_empty();
        let is_doubtful = file.is_doubtful();
        let path = file.close();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut stems = self.stems.lock();
        stems.open.remove(&*stem);
        if is_doubtful {
            stems.doubt(&stem);
        }
        if self.directory.config.sync && stems.are_whole_up_to(&stem) {
            checkpoint::write(&self.folder, &stem);
        }
        drop(stems);
        if !is_empty {
            self.compress(path);
        }
    }

    fn compress(&self, path: PathBuf) {
        if self.directory.config.compression == Compression::Zstd {
            // Once the maintenance thread has ended, the next start compresses the file.
            let _ = self.maintenance.send(Task::Compress(path));
        }
    }
}

impl Stems {
    fn next(&mut self, first: SystemTime) -> String {
        let stem = self.names.next(first);
        self.open.insert(stem.clone());
        stem
    }

    fn doubt(&mut self, stem: &str) {
        let first = self.first_doubtful.as_deref();
        if first.is_none_or(|first| stem < first) {
            tracing::warn!(
                stem,
                "a sync of a file failed; the next start reads the file as a whole"
            );
            self.first_doubtful = Some(stem.to_owned());
        }
    }

    /// Returns whether the checkpoint may move to this stem: it must not pass an older file that
    /// another writer still has open, nor a doubtful one.
    fn are_whole_up_to(&self, stem: &str) -> bool {
        let blocking = self.open.first().into_iter().chain(&self.first_doubtful);
        blocking.min().is_none_or(|blocking| stem < &**blocking)
    }
}

/// Returns whether a topic's name is a valid folder name, and differs from the names of the data
/// directory's own files.
fn is_folder_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
