//! The file operations that the delivery of a record depends on. Tests make them fail here, and
//! nowhere else.

mod error;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) use error::DiskError;
use rustix::fs::OFlags;

/// The mode of folders that are created: their group may read what is in them, and nobody else.
const FOLDER_MODE: u32 = 0o750;
/// The mode of files that are created.
const FILE_MODE: u32 = 0o640;

/// The file system. In tests, its operations fail on demand.
#[derive(Default)]
pub(crate) struct Disk {
    written_bytes: AtomicU64,
    syncs: AtomicU64,
    sync_micros: AtomicU64,
    #[cfg(test)]
    pub(crate) faults: faults::Faults,
}

/// The totals of writes and syncs.
pub(crate) struct Totals {
    pub(crate) written_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) sync_time: Duration,
}

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Write,
    Sync,
    SyncFolder,
    SetLen,
    Rename,
    Remove,
}

impl Disk {
    /// Creates a file, which must not exist yet.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.attempt(Operation::Create)?;
        own_file().create_new(true).open(path)
    }

    /// Writes all bytes at the file's position.
    pub(crate) fn write_all(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.attempt(Operation::Write) {
            // A full disk also takes as much as still fits.
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        file.write_all(bytes)?;
        self.written_bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Syncs a file's data and length to the disk.
    pub(crate) fn sync_data(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.faults.note_sync(file);
        self.attempt(Operation::Sync)?;
        let began = Instant::now();
        let result = file.sync_data();
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Returns the totals of writes and syncs so far, failed syncs included.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            sync_time: Duration::from_micros(self.sync_micros.load(Ordering::Relaxed)),
        }
    }

    /// Syncs the names in a folder to the disk. An empty path is the working directory.
    pub(crate) fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let folder = File::open(path)?;
        #[cfg(test)]
        self.faults.note_sync(&folder);
        self.attempt(Operation::SyncFolder)?;
        folder.sync_all()
    }

    /// Syncs the entry of a folder in its parent to the disk. Only logs an error that is no fault
    /// of the disk: the parent is not readable, or its file system takes no sync or no writes.
    pub(crate) fn sync_entry(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        match self.sync_folder(parent) {
            Err(error) if is_no_fault_of_the_disk(&error) => {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "cannot sync the parent of a folder; if the folder is new, a loss of power may \
                     take it"
                );
                Ok(())
            }
            result => result,
        }
    }

    /// Truncates or extends a file.
    pub(crate) fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        self.attempt(Operation::SetLen)?;
        file.set_len(length)
    }

    /// Renames a file, and replaces another one of the same folder that has the new name.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.attempt(Operation::Rename)?;
        fs::rename(from, to)
    }

    /// Creates a folder and its parents. With `sync`, each is on the disk before anything is
    /// created in it.
    pub(crate) fn create_folders(&self, path: &Path, sync: bool) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if path.exists() {
            return Err(ErrorKind::NotADirectory.into());
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        self.create_folders(parent, sync)?;
        DirBuilder::new().mode(FOLDER_MODE).create(path)?;
        if sync {
            // Else the next attempt would find the folder and take it for one that is on the disk.
            self.sync_entry(path)
                .inspect_err(|_| drop(fs::remove_dir(path)))?;
        }
        Ok(())
    }

    /// Removes a file. A missing file is no error.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.attempt(Operation::Remove)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn attempt(&self, _operation: Operation) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn attempt(&self, operation: Operation) -> io::Result<()> {
        self.faults.meet(operation)
    }
}

/// Returns how the sink's own files are opened for writing: not by way of a symbolic link, which
/// would lead to a file that is not the sink's. Those that are created have mode 0640.
pub(crate) fn own_file() -> OpenOptions {
    let mut options = File::options();
    options
        .write(true)
        .mode(FILE_MODE)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn is_no_fault_of_the_disk(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::Unsupported
    )
}

#[cfg(test)]
pub(crate) mod faults {
    //! File operations that fail on demand.

    use std::fs::File;
    use std::io::{self, ErrorKind};
    use std::os::unix::fs::MetadataExt;

    use parking_lot::Mutex;

    use super::Operation;

    /// The operations that fail next, and the attempts of syncs.
    #[derive(Default)]
    pub(crate) struct Faults {
        coming: Mutex<Vec<Fault>>,
        /// The inode of the file or folder of each attempt.
        syncs: Mutex<Vec<u64>>,
    }

    struct Fault {
        operation: Operation,
        times: usize,
        kind: ErrorKind,
    }

    impl Faults {
        /// Makes the next `times` attempts of `operation` fail.
        pub(crate) fn fail(&self, operation: Operation, times: usize) {
            self.fail_with(operation, times, ErrorKind::StorageFull);
        }

        /// Makes the next `times` attempts of `operation` fail with an error of this kind.
        pub(crate) fn fail_with(&self, operation: Operation, times: usize, kind: ErrorKind) {
            self.coming.lock().push(Fault {
                operation,
                times,
                kind,
            });
        }

        /// Makes all operations succeed again.
        pub(crate) fn heal(&self) {
            self.coming.lock().clear();
        }

        /// Returns how often a sync of the file or folder with this inode was attempted.
        pub(crate) fn syncs_of(&self, inode: u64) -> usize {
            let syncs = self.syncs.lock();
            syncs.iter().filter(|synced| **synced == inode).count()
        }

        pub(super) fn note_sync(&self, file: &File) {
            let inode = file.metadata().map_or(0, |metadata| metadata.ino());
            self.syncs.lock().push(inode);
        }

        pub(super) fn meet(&self, operation: Operation) -> io::Result<()> {
            let mut coming = self.coming.lock();
            match coming
                .iter_mut()
                .find(|fault| fault.operation == operation && fault.times > 0)
            {
                None => Ok(()),
                Some(fault) => {
                    fault.times -= 1;
                    Err(fault.kind.into())
                }
            }
        }
    }
}
