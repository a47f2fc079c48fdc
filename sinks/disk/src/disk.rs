//! The file operations that durability depends on. Tests make them fail here, and nowhere else.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::effect::Effect;
use crate::open_options::{own_file, read_only};
use crate::operation::Operation;
#[cfg(any(test, feature = "testing"))]
use crate::testing::{Faults, Step, Trace};

/// The mode of folders that are created: their group may read what is in them, and nobody else.
const FOLDER_MODE: u32 = 0o750;

/// The file system. With the feature `testing`, its operations fail on demand and can be traced.
///
/// Every operation returns the error of the operating system as it is. All take `&self`, so that
/// threads can share one disk.
#[derive(Default)]
pub struct Disk {
    written_bytes: AtomicU64,
    syncs: AtomicU64,
    sync_micros: AtomicU64,
    /// The operations that fail next.
    #[cfg(any(test, feature = "testing"))]
    pub faults: Faults,
    /// The record of the operations, once it has begun.
    #[cfg(any(test, feature = "testing"))]
    pub trace: Trace,
}

/// The totals of writes and syncs since the disk was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The bytes of all writes that succeeded.
    pub written_bytes: u64,
    /// The number of syncs of files, failed ones included. Those of folders do not count.
    pub syncs: u64,
    /// The time that these syncs took.
    pub sync_time: Duration,
}

impl Disk {
    /// Creates a file with mode 0640, for reading and writing. Its name is durable only after
    /// [`sync_folder`](Self::sync_folder).
    ///
    /// # Errors
    /// `AlreadyExists` if the name is in use, even by a symbolic link that leads nowhere.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        let step = self.begin(Operation::Create)?;
        let file = own_file().read(true).create_new(true).open(path)?;
        step.done(Effect::Create { path, file: &file });
        Ok(file)
    }

    /// Opens an existing file for reading and writing, at position 0.
    ///
    /// # Errors
    /// `NotFound` if it does not exist, and `FilesystemLoop` if it is a symbolic link.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        let step = self.begin(Operation::Open)?;
        let file = own_file().read(true).open(path)?;
        step.done(Effect::Open { path, file: &file });
        Ok(file)
    }

    /// Opens an existing file for reading alone.
    ///
    /// # Errors
    /// `NotFound` if it does not exist, and `FilesystemLoop` if it is a symbolic link.
    pub fn open_read_only(&self, path: &Path) -> io::Result<File> {
        let step = self.begin(Operation::Open)?;
        let file = read_only().open(path)?;
        step.done(Effect::Open { path, file: &file });
        Ok(file)
    }

    /// Writes all bytes at the file's position, and moves the position behind them.
    ///
    /// # Errors
    /// Some of the bytes may have been written.
    pub fn write_all(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let step = self.step();
        let (taken, result) = self.admit(bytes);
        file.write_all(taken)?;
        step.done(Effect::Append { file, bytes: taken });
        result.inspect(|()| self.count_written(bytes))
    }

    /// Writes all bytes at an offset, in bytes, and leaves the file's position as it is. A gap
    /// between the end of the file and the offset reads as zeros.
    ///
    /// # Errors
    /// Some of the bytes may have been written.
    pub fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let step = self.step();
        let (taken, result) = self.admit(bytes);
        file.write_all_at(taken, offset)?;
        step.done(Effect::Write {
            file,
            offset,
            bytes: taken,
        });
        result.inspect(|()| self.count_written(bytes))
    }

    /// Reads at an offset, in bytes, until the buffer is full or the file ends. Returns the number
    /// of bytes read.
    pub fn read_at(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.attempt(Operation::Read)?;
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Syncs a file's data and length to the disk, and not its name.
    ///
    /// # Errors
    /// After it, data written since the last sync may be on the disk or not, in any part. A later
    /// sync of the same file may succeed without having written it.
    pub fn sync_data(&self, file: &File) -> io::Result<()> {
        #[cfg(any(test, feature = "testing"))]
        self.faults.note_sync(file);
        let step = self.step();
        let result = self
            .attempt(Operation::Sync)
            .and_then(|()| self.sync_counted(file));
        step.done(match result {
            Ok(()) => Effect::Sync { file },
            Err(_) => Effect::FailedSync { file },
        });
        result
    }

    /// Returns the totals of writes and syncs so far.
    pub fn totals(&self) -> Totals {
        Totals {
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            sync_time: Duration::from_micros(self.sync_micros.load(Ordering::Relaxed)),
        }
    }

    /// Syncs the names in a folder to the disk. An empty path is the working directory.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let folder = File::open(path)?;
        #[cfg(any(test, feature = "testing"))]
        self.faults.note_sync(&folder);
        let step = self.begin(Operation::SyncFolder)?;
        folder.sync_all()?;
        step.done(Effect::SyncFolder { path });
        Ok(())
    }

    /// Syncs the entry of a folder in its parent to the disk. Only logs an error that is no fault
    /// of the disk: the parent is not readable, or its file system takes no sync or no writes.
    pub fn sync_entry(&self, path: &Path) -> io::Result<()> {
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

    /// Truncates or extends a file to a length in bytes. What is added reads as zeros.
    pub fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        let step = self.begin(Operation::SetLen)?;
        file.set_len(length)?;
        step.done(Effect::SetLen { file, length });
        Ok(())
    }

    /// Renames a file within its folder, and replaces another file that has the new name.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let step = self.begin(Operation::Rename)?;
        fs::rename(from, to)?;
        step.done(Effect::Rename { from, to });
        Ok(())
    }

    /// Creates a folder with mode 0750, and its parents. With `sync`, each is on the disk before
    /// anything is created in it. A folder that exists is no error.
    ///
    /// # Errors
    /// `NotADirectory` if a file has the name of one of these folders.
    pub fn create_folders(&self, path: &Path, sync: bool) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if path.exists() {
            return Err(ErrorKind::NotADirectory.into());
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        self.create_folders(parent, sync)?;
        let step = self.begin(Operation::CreateFolder)?;
        DirBuilder::new().mode(FOLDER_MODE).create(path)?;
        step.done(Effect::CreateFolder { path });
        if sync {
            // Else the next attempt would find the folder and take it for one that is on the disk.
            self.sync_entry(path)
                .inspect_err(|_| self.remove_new_folder(path))?;
        }
        Ok(())
    }

    /// Removes a file. A missing file is no error.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let step = self.begin(Operation::Remove)?;
        match fs::remove_file(path) {
            Ok(()) => step.done(Effect::Remove { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the names of all files and folders in a folder, sorted.
    pub fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.attempt(Operation::List)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name());
        }
        names.sort();
        Ok(names)
    }

    fn sync_counted(&self, file: &File) -> io::Result<()> {
        let began = Instant::now();
        let result = file.sync_data();
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        result
    }

    fn count_written(&self, bytes: &[u8]) {
        self.written_bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    fn remove_new_folder(&self, path: &Path) {
        let step = self.step();
        if fs::remove_dir(path).is_ok() {
            step.done(Effect::Remove { path });
        }
    }

    /// Returns the bytes of a write that the disk takes. A full disk also takes as much as still
    /// fits.
    fn admit<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], io::Result<()>) {
        let result = self.attempt(Operation::Write);
        let taken = match result {
            Ok(()) => bytes,
            Err(_) => &bytes[..bytes.len() / 2],
        };
        (taken, result)
    }

    /// Begins an operation that changes the disk.
    fn begin(&self, operation: Operation) -> io::Result<Step<'_>> {
        let step = self.step();
        self.attempt(operation)?;
        Ok(step)
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn attempt(&self, _operation: Operation) -> io::Result<()> {
        Ok(())
    }

    #[cfg(any(test, feature = "testing"))]
    fn attempt(&self, operation: Operation) -> io::Result<()> {
        self.faults.meet(operation)
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[allow(clippy::unused_self)]
    fn step(&self) -> Step<'_> {
        Step(std::marker::PhantomData)
    }

    #[cfg(any(test, feature = "testing"))]
    fn step(&self) -> Step<'_> {
        self.trace.step()
    }
}

/// An operation under way, of which no trace is kept.
#[cfg(not(any(test, feature = "testing")))]
struct Step<'a>(std::marker::PhantomData<&'a Disk>);

#[cfg(not(any(test, feature = "testing")))]
impl Step<'_> {
    #[allow(clippy::unused_self)]
    fn done(self, _effect: Effect<'_>) {}
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
