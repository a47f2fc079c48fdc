//! The lock on the directory file: one process at a time edits it.
//!
//! The lock is on an empty file beside it. Only its owner can open that file, because who can open
//! it can keep everybody else from editing.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::identity::private_file;

const MODE: u32 = 0o600;
/// The pause between two attempts. The system's own wait for a lock has no end.
const PAUSE: Duration = Duration::from_millis(20);

/// The reason why the directory file could not be locked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has held the lock for the whole time.
    #[error(
        "another process has held {} for {}, and with it the directory; nothing was changed",
        lock.display(),
        humantime::format_duration(*wait)
    )]
    Held {
        /// The file that is locked.
        lock: PathBuf,
        /// The time for which the lock was waited for.
        wait: Duration,
    },
    /// The file that is locked cannot be opened or locked.
    #[error("cannot lock {}: {error}", lock.display())]
    Io {
        /// The file that is locked.
        lock: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

/// Waits for the lock on the directory file at `path`, for at most `wait`. The lock ends with the
/// file that is returned, or with the process; the empty file beside the directory stays.
pub(super) fn acquire(path: &Path, wait: Duration) -> Result<File, LockError> {
    let lock = lock_of(path);
    let fail = |error| LockError::Io {
        lock: lock.clone(),
        error,
    };
    let file = open(&lock, path).map_err(fail)?;
    let deadline = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(LockError::Held { lock, wait });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
        }
    }
}

fn lock_of(path: &Path) -> PathBuf {
    private_file::beside(path, ".lock")
}

/// Opens the lock of the directory file at `path`, or creates it. A symbolic link is not followed:
/// it could have been put there so that an administrator creates or changes another file.
fn open(lock: &Path, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .mode(MODE)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    match options.open(lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.inspect(close_to_others),
    }
    match options.create_new(true).open(lock) {
        // Another process was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create_new(false).open(lock)
        }
        created => created.inspect(|file| give_to_owner(file, path)),
    }
}

/// Closes a lock that an earlier version has left open to everybody. It can fail where the lock is
/// another user's, which is then that user's to mend. A file with a second name may be one that was
/// put there to be closed.
fn close_to_others(file: &File) {
    if let Ok(metadata) = file.metadata()
        && metadata.nlink() == 1
        && metadata.mode() & 0o077 != 0
    {
        let _ = file.set_permissions(Permissions::from_mode(MODE));
    }
}

/// Gives a new lock to the directory's owner, who edits the file too.
fn give_to_owner(file: &File, path: &Path) {
    if let Ok(directory) = fs::metadata(path) {
        // Only an administrator can, and only for one it is needed.
        let _ = private_file::keep_owner(file, &directory);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    /// Longer than any test.
    const LONG: Duration = Duration::from_mins(1);

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn one_at_a_time_holds_the_lock_and_the_wait_for_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        let held = acquire(&path, LONG).unwrap();
        let error = acquire(&path, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, LockError::Held { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("directory.toml.lock for 50ms") && text.contains("nothing was changed"),
            "{text}"
        );
        drop(held);
        acquire(&path, LONG).unwrap();
    }

    #[test]
    fn only_its_owner_can_open_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        let lock = lock_of(&path);
        drop(acquire(&path, LONG).unwrap());
        assert_eq!(mode(&lock), 0o600);
        fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();
        drop(acquire(&path, LONG).unwrap());
        assert_eq!(mode(&lock), 0o600, "one of an earlier version");
    }

    #[test]
    fn a_link_in_place_of_the_lock_is_neither_followed_nor_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        let elsewhere = folder.path().join("elsewhere");
        symlink(&elsewhere, lock_of(&path)).unwrap();
        assert!(matches!(acquire(&path, LONG), Err(LockError::Io { .. })));
        assert!(!elsewhere.exists(), "nothing was made where the link leads");
        fs::write(&elsewhere, "").unwrap();
        assert!(matches!(acquire(&path, LONG), Err(LockError::Io { .. })));

        fs::remove_file(lock_of(&path)).unwrap();
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&elsewhere, lock_of(&path)).unwrap();
        drop(acquire(&path, LONG).unwrap());
        assert_eq!(mode(&elsewhere), 0o644);
    }
}
