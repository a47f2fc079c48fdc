//! The lock on a folder: one process at a time holds it. Never waits for another process.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::disk::{DiskError, own_file};

/// The locked file, which also names the process that holds the lock. Begins with a dot, as no
/// topic does.
const LOCK_FILE: &str = ".lock";

/// The mode of the lock file: who can open it can keep a gateway from its folder.
const LOCK_MODE: u32 = 0o600;

/// The longest note on the holder that is read, in bytes.
const NOTE_BYTES_MAX: u64 = 200;

/// A held lock on a folder. Dropping it releases the lock.
pub(crate) struct FolderLock {
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
pub(crate) enum LockError {
    /// Another process holds the lock. The message names it where it is known.
    #[error("{0}")]
    Held(String),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl FolderLock {
    /// Locks the folder, and writes into the lock file which process holds it.
    pub(crate) fn acquire(folder: &Path) -> Result<Self, LockError> {
        let path = &folder.join(LOCK_FILE);
        let mut file = own_file()
            .read(true)
            .create(true)
            .truncate(false)
            .mode(LOCK_MODE)
            .open(path)
            .map_err(|error| DiskError::new("open", path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held(describe_holder(folder, &file)));
            }
            Err(TryLockError::Error(error)) => {
                return Err(DiskError::new("lock", path, error).into());
            }
        }
        // An earlier version has left it open to everybody. Where it is another user's, it stays so.
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

/// Returns a message that names the process that holds the folder, or `None` if none does.
pub(crate) fn holder(folder: &Path) -> Option<String> {
    let file = File::open(folder.join(LOCK_FILE)).ok()?;
    matches!(file.try_lock(), Err(TryLockError::WouldBlock)).then(|| describe_holder(folder, &file))
}

fn write_note(file: &mut File) -> io::Result<()> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    file.set_len(0)?;
    writeln!(file, "process {}, since {now}", std::process::id())
}

fn describe_holder(folder: &Path, file: &File) -> String {
    let mut holder = String::new();
    // The note only makes the message more helpful, so a failed read is no error.
    let _ = file.take(NOTE_BYTES_MAX).read_to_string(&mut holder);
    let folder = folder.display();
    match holder.trim() {
        "" => format!("{folder} is in use by another process"),
        holder => format!("{folder} is in use by another gateway: {holder}"),
    }
}
