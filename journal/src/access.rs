//! The two ways to read a journal's files: as their owner, and as somebody who looks.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use iem_disk::Disk;

use crate::format::BLOCK;

/// A way to read files.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    disk: &'a Disk,
    is_owner: bool,
}

impl<'a> Access<'a> {
    /// Opens files for writing, too. A part of a file that cannot be read is an error: it may be
    /// there the next time.
    pub(crate) fn owner(disk: &'a Disk) -> Self {
        Self {
            disk,
            is_owner: true,
        }
    }

    /// Never writes. Blocks that cannot be read count as zeros.
    pub(crate) fn onlooker(disk: &'a Disk) -> Self {
        Self {
            disk,
            is_owner: false,
        }
    }

    /// Returns whether the folder is locked, so that nobody else changes it.
    pub(crate) fn is_owner(self) -> bool {
        self.is_owner
    }

    pub(crate) fn open(self, path: &Path) -> io::Result<File> {
        if self.is_owner {
            self.disk.open(path)
        } else {
            self.disk.open_read_only(path)
        }
    }

    /// Returns the names in a folder.
    pub(crate) fn list(self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.disk.list(folder)
    }

    /// Reads until the buffer is full or the file ends. Returns the number of bytes.
    pub(crate) fn read_at(self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.disk.read_at(file, buffer, offset) {
            Err(error) if !self.is_owner && is_of_a_block(&error) => {
                self.read_blocks(file, buffer, offset)
            }
            result => result,
        }
    }

    fn read_blocks(self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let length = file.metadata()?.len().saturating_sub(offset);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let length = length.min(buffer.len());
        for (index, block) in buffer[..length].chunks_mut(BLOCK).enumerate() {
            let offset = offset + (index * BLOCK) as u64;
            match self.disk.read_at(file, block, offset) {
                Err(error) if is_of_a_block(&error) => block.fill(0),
                result => drop(result?),
            }
        }
        Ok(length)
    }
}

/// Returns whether a path leads to this file.
pub(crate) fn is_named(path: &Path, file: &File) -> bool {
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let named = path.symlink_metadata().map(identity);
    let file = file.metadata().map(identity);
    named.is_ok_and(|named| file.is_ok_and(|file| file == named))
}

/// Returns whether another part of the file may be read all the same.
fn is_of_a_block(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::StaleNetworkFileHandle
    )
}

#[cfg(test)]
mod tests {
    use iem_disk::Operation;

    use super::*;

    #[test]
    fn a_block_that_cannot_be_read_is_zeros_to_an_onlooker_and_an_error_to_the_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, vec![1; 3 * BLOCK + 5]).expect("a file");
        let disk = Disk::default();
        let access = Access::onlooker(&disk);
        let file = access.open(&path).expect("a file");
        let attempts = disk.faults.attempts();
        // The whole, and the second block.
        disk.faults.fail_at(attempts + 1, ErrorKind::Other);
        disk.faults.fail_at(attempts + 3, ErrorKind::Other);
        let mut buffer = vec![7; 4 * BLOCK];
        let length = access.read_at(&file, &mut buffer, 0).expect("the rest");
        assert_eq!(length, 3 * BLOCK + 5);
        let sums = buffer[..length].chunks(BLOCK);
        let sums: Vec<usize> = sums
            .map(|block| block.iter().copied().map(usize::from).sum())
            .collect();
        assert_eq!(sums, [BLOCK, 0, BLOCK, 5]);

        disk.faults.fail(Operation::Read, 1);
        let owner = Access::owner(&disk);
        assert!(owner.read_at(&file, &mut buffer, 0).is_err());
    }
}
