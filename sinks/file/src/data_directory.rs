//! The data directory, which holds the folders of all topics. One process at a time owns it, for
//! as long as any part of the sink can still touch a file in it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use iem_disk::{Disk, DiskError, FolderLock, LockError, own_file};

use crate::config::FileConfig;

/// A file that is written and removed to test whether the directory is writable.
const PROBE_FILE: &str = ".probe";
/// The size of a batch of about a hundred typical records. A single block may still fit on a disk
/// that is too full for a batch.
const PROBE_BYTES: usize = 64 << 10;

/// A locked data directory, with its configuration and the disk that it is on.
pub(crate) struct DataDirectory {
    pub(crate) config: FileConfig,
    pub(crate) disk: Disk,
    _lock: FolderLock,
}

impl DataDirectory {
    /// Creates the directory if it is missing, and locks it.
    pub(crate) fn open(config: FileConfig) -> Result<Self, LockError> {
        Self::open_on(Disk::default(), config)
    }

    /// Does the same as [`open`](Self::open), on this disk.
    pub(crate) fn open_on(disk: Disk, config: FileConfig) -> Result<Self, LockError> {
        let path = &config.path;
        disk.create_folders(path, config.sync)
            .map_err(|error| DiskError::new("create the folder", path, error))?;
        if config.sync {
            // An earlier run or an operator may have created the directory just before a crash of
            // the machine.
            disk.sync_entry(path)
                .map_err(|error| DiskError::new("sync the parent folder of", path, error))?;
        }
        let lock = FolderLock::acquire(path)?;
        Ok(Self {
            config,
            disk,
            _lock: lock,
        })
    }

    /// Writes a file of 64 KiB, syncs it if the configuration says so, and removes it.
    pub(crate) fn probe(&self) -> Result<(), DiskError> {
        let path = self.config.path.join(PROBE_FILE);
        let written = create_probe(&path).and_then(|mut file| {
            self.disk.write_all(&mut file, &vec![b' '; PROBE_BYTES])?;
            if self.config.sync {
                self.disk.sync_data(&file)
            } else {
                Ok(())
            }
        });
        let removed = fs::remove_file(&path);
        written
            .and(removed)
            .map_err(|error| DiskError::new("write", &path, error))
    }
}

/// Describes, for operators, the directory that a start would find. Leaves it unchanged.
pub(crate) fn inspect(path: &Path) -> Result<String, DiskError> {
    let exists = path
        .try_exists()
        .map_err(|error| DiskError::new("look at", path, error))?;
    if !exists {
        return Ok("made on first start".to_owned());
    }
    if let Some(holder) = iem_disk::holder(path) {
        return Ok(holder);
    }
    let probe = path.join(PROBE_FILE);
    let written =
        create_probe(&probe).and_then(|mut file| file.write_all(&vec![b' '; PROBE_BYTES]));
    let removed = fs::remove_file(&probe);
    written
        .and(removed)
        .map_err(|error| DiskError::new("write", &probe, error))?;
    Ok("writable".to_owned())
}

fn create_probe(path: &Path) -> io::Result<File> {
    own_file().create(true).truncate(true).open(path)
}
