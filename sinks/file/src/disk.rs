//! The file operations that the delivery of a record depends on. Tests make them fail here, and
//! nowhere else.

mod error;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) use error::DiskError;

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
        File::options().write(true).create_new(true).open(path)
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
        self.attempt(Operation::SyncFolder)?;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        File::open(path)?.sync_all()
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
        fs::create_dir(path)?;
        if sync {
            // Else the next attempt would find the folder and take it for one that is on the disk.
            self.sync_folder(parent)
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

#[cfg(test)]
pub(crate) mod faults {
    //! File operations that fail on demand.

    use std::io::{self, ErrorKind};

    use parking_lot::Mutex;

    use super::Operation;

    /// The operations that fail next, each with the number of times.
    #[derive(Default)]
    pub(crate) struct Faults {
        coming: Mutex<Vec<(Operation, usize)>>,
    }

    impl Faults {
        /// Makes the next `times` attempts of `operation` fail.
        pub(crate) fn fail(&self, operation: Operation, times: usize) {
            self.coming.lock().push((operation, times));
        }

        /// Makes all operations succeed again.
        pub(crate) fn heal(&self) {
            self.coming.lock().clear();
        }

        pub(super) fn meet(&self, operation: Operation) -> io::Result<()> {
            let mut coming = self.coming.lock();
            match coming
                .iter_mut()
                .find(|(fault, times)| *fault == operation && *times > 0)
            {
                None => Ok(()),
                Some((_, times)) => {
                    *times -= 1;
                    Err(ErrorKind::StorageFull.into())
                }
            }
        }
    }
}
