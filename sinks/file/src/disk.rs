//! The few operations on files that the delivery of a record rests on, and the one place where
//! tests make them fail.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use iem_sink::{SinkError, SinkErrorKind};

/// The file system. In tests, one whose operations fail on demand.
#[derive(Default)]
pub(crate) struct Disk {
    written_bytes: AtomicU64,
    syncs: AtomicU64,
    sync_micros: AtomicU64,
    #[cfg(test)]
    pub(crate) faults: faults::Faults,
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
    /// Makes a file that must not exist yet.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.attempt(Operation::Create)?;
        File::options().write(true).create_new(true).open(path)
    }

    pub(crate) fn write_all(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.attempt(Operation::Write) {
            // What a full disk does: it takes the part that it has room for.
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        file.write_all(bytes)?;
        self.written_bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Brings a file's data and length to the disk.
    pub(crate) fn sync_data(&self, file: &File) -> io::Result<()> {
        self.attempt(Operation::Sync)?;
        let began = Instant::now();
        let result = file.sync_data();
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// What was done so far, failed syncs included.
    #[expect(clippy::cast_precision_loss, reason = "figures are for graphs")]
    pub(crate) fn figures(&self) -> Vec<(&'static str, f64)> {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed) as f64;
        vec![
            ("written_bytes_total", read(&self.written_bytes)),
            ("syncs_total", read(&self.syncs)),
            ("sync_seconds_total", read(&self.sync_micros) / 1e6),
        ]
    }

    /// Brings the names in a folder to the disk. An empty path is the working folder.
    pub(crate) fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.attempt(Operation::SyncFolder)?;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        File::open(path)?.sync_all()
    }

    pub(crate) fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        self.attempt(Operation::SetLen)?;
        file.set_len(length)
    }

    /// Renames a file over another one of its folder.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.attempt(Operation::Rename)?;
        fs::rename(from, to)
    }

    /// Removes a file. One that is not there is fine.
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

/// The error of a call that could not `do_what` at `path`. Whatever may pass by itself is
/// transient: a full disk, an I/O error, a remote file system that is away.
pub(crate) fn failed(do_what: &str, path: &Path, error: &io::Error) -> SinkError {
    let kind = match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidFilename => SinkErrorKind::Permanent,
        _ => SinkErrorKind::Transient,
    };
    SinkError {
        kind,
        message: format!("cannot {do_what} {}: {error}", path.display()),
    }
}

#[cfg(test)]
pub(crate) mod faults {
    //! Failures on demand.

    #![allow(clippy::unwrap_used)]

    use std::io::{self, ErrorKind};
    use std::sync::Mutex;

    use super::Operation;

    /// Which operations fail next.
    #[derive(Default)]
    pub(crate) struct Faults {
        coming: Mutex<Vec<(Operation, usize)>>,
    }

    impl Faults {
        /// The next `times` attempts of `operation` fail.
        pub(crate) fn fail(&self, operation: Operation, times: usize) {
            self.coming.lock().unwrap().push((operation, times));
        }

        /// Nothing fails any more.
        pub(crate) fn heal(&self) {
            self.coming.lock().unwrap().clear();
        }

        pub(super) fn meet(&self, operation: Operation) -> io::Result<()> {
            let mut coming = self.coming.lock().unwrap();
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
