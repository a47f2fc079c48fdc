//! The file system of a folder: whether it keeps what is synced, and its free space.

use std::io;
use std::path::Path;

use rustix::fs::{statfs, statvfs};

/// File systems that are unfit, by the number that Linux gives them (`linux/magic.h`).
const UNFIT: [(u32, &str); 9] = [
    (0x0102_1994, "tmpfs: a restart of the machine loses it"),
    (0x8584_58F6, "ramfs: a restart of the machine loses it"),
    (0x794C_7630, "overlayfs: it goes with the container"),
    (0x0000_6969, "NFS: a sync or a lock may not hold there"),
    (0xFF53_4D42, "CIFS: a sync or a lock may not hold there"),
    (0xFE53_4D42, "SMB: a sync or a lock may not hold there"),
    (0x6573_5546, "FUSE: a sync or a lock may not hold there"),
    (0x0102_1997, "9p: a sync or a lock may not hold there"),
    (0x00C3_6400, "Ceph: a sync or a lock may not hold there"),
];

/// The file system that a folder is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// The reason why it does not keep what must not be lost, with its name; `None` if it does.
    pub unfit: Option<&'static str>,
    /// The bytes that may still be written.
    pub free_bytes: u64,
}

impl FileSystem {
    /// Looks at the file system of a folder. One that is not there yet will be on that of the nearest
    /// folder above it.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let there = folder.ancestors().find(|folder| folder.exists());
        let there = there.unwrap_or(Path::new("/"));
        let kind = statfs(there)?.f_type;
        let unfit = UNFIT.iter().find(|(magic, _)| i64::from(*magic) == kind);
        let space = statvfs(there)?;
        Ok(Self {
            unfit: unfit.map(|(_, reason)| *reason),
            free_bytes: space.f_bavail * space.f_frsize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_in_memory_is_unfit_and_another_one_is_not() {
        let memory = FileSystem::of(Path::new("/dev/shm/not/there")).expect("a file system");
        let reason = memory.unfit.expect("it keeps nothing");
        assert!(reason.contains("tmpfs"), "{reason}");
        let other = FileSystem::of(Path::new("/proc")).expect("a file system");
        assert_eq!((other.unfit, other.free_bytes), (None, 0));
    }
}
