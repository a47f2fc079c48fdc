//! The lock on a folder: one process at a time holds it. Never waits for another process that holds
//! it, only for one that looks who does.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::error::DiskError;
use crate::open_options::own_file;

/// The locked file, which also names the process that holds the lock. Begins with a dot, as no file
/// or folder of a topic does.
const LOCK_FILE: &str = ".lock";

/// The mode of the lock file: who can open it can keep a gateway from its folder.
const LOCK_MODE: u32 = 0o600;

/// The time in which somebody has looked who holds the lock, and how often it is waited for.
const LOOK_TIME: Duration = Duration::from_millis(2);
const LOOKS_MAX: usize = 50;

/// The longest note on the holder that is read, in bytes.
const NOTE_BYTES_MAX: u64 = 200;

/// A held lock on a folder. Dropping it releases the lock.
pub struct FolderLock {
    file: File,
}

impl Drop for FolderLock {
    /// Unlocks by itself: a child of this process that has not begun its program yet has the file
    /// open too, and closing it here alone would leave it locked.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The reason why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock. The message names it where it is known.
    #[error("{0}")]
    Held(String),
    /// The lock file cannot be opened or locked.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl FolderLock {
    /// Locks the folder, which must exist, and writes into the file `.lock` (mode 0600) which
    /// process holds it.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process, or another lock of this one, holds the folder.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let path = &folder.join(LOCK_FILE);
        let mut file = own_file()
            .read(true)
            .create(true)
            .truncate(false)
            .mode(LOCK_MODE)
            .open(path)
            .map_err(|error| DiskError::new("open", path, error))?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held(describe_holder(folder, &file)));
            }
            Err(TryLockError::Error(error)) => {
                return Err(DiskError::new("lock", path, error).into());
            }
        }
        // An earlier version has left it open to everybody. Another user's file stays as it is.
        let _ = file.set_permissions(Permissions::from_mode(LOCK_MODE));
        // The lock works without the note, so a full disk does not prevent a start.
        if let Err(error) = write_note(&mut file) {
            tracing::warn!(
                path = %path.display(),
                %error,
                "cannot write into the lock file which process holds it"
            );
        }
        Ok(Self { file })
    }
}

/// Returns words for the process that holds the folder, such as `process 4711, since …`. `None` if
/// none does, or the lock file cannot be read.
pub fn holder(folder: &Path) -> Option<String> {
    let file = File::open(folder.join(LOCK_FILE)).ok()?;
    // Shared, so that others who look are not taken for holders.
    let locked = file.try_lock_shared();
    matches!(locked, Err(TryLockError::WouldBlock)).then(|| match note(&file) {
        note if note.is_empty() => "another process".to_owned(),
        note => note,
    })
}

/// Locks the file. Whoever looks with [`holder`] has it locked for a moment, and is waited for.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKS_MAX {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK_TIME),
            result => return result,
        }
    }
    file.try_lock()
}

fn write_note(file: &mut File) -> io::Result<()> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    file.set_len(0)?;
    writeln!(file, "process {}, since {now}", std::process::id())
}

fn describe_holder(folder: &Path, file: &File) -> String {
    let folder = folder.display();
    match note(file).as_str() {
        "" => format!("{folder} is in use by another process"),
        holder => format!("{folder} is in use by another gateway: {holder}"),
    }
}

/// Returns what the holder has written about itself.
fn note(file: &File) -> String {
    let mut note = String::new();
    // It only makes the message more helpful, so a failed read is no error.
    let _ = file.take(NOTE_BYTES_MAX).read_to_string(&mut note);
    note.trim().to_owned()
}
