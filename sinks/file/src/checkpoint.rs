//! The checkpoint of a topic: the name up to which all of its files are known to be whole, so that
//! a start need not read them all.
//!
//! A checkpoint is kept only with [`FileConfig::sync`](crate::config::FileConfig::sync), and only
//! written when the files that it covers are on the disk. The checkpoint itself is not synced, and
//! writing it may fail: if it is missing or old, a start reads more than it must, but never less.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use iem_disk::own_file;

use crate::name;

/// The checkpoint's file name. It begins with a dot, so that no reader's pattern matches it.
const CHECKPOINT_FILE: &str = ".closed";

/// Returns the stem up to which all files of the folder were whole when they were closed.
pub(crate) fn read(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join(CHECKPOINT_FILE))
        .ok()
        .filter(|stem| name::is_stem(stem))
}

/// Records that all files up to `stem` are whole and on the disk.
pub(crate) fn write(folder: &Path, stem: &str) {
    let path = folder.join(CHECKPOINT_FILE);
    if let Err(error) = overwrite(&path, stem) {
        tracing::warn!(
            path = %path.display(),
            %error,
            "cannot write the checkpoint; the next start reads all files since the last checkpoint"
        );
    }
}

/// Overwrites the file in place. All stems have the same length, so this needs no new space on a
/// full disk, and never leaves the file empty.
fn overwrite(path: &Path, stem: &str) -> io::Result<()> {
    own_file()
        .create(true)
        .truncate(false)
        .open(path)?
        .write_all(stem.as_bytes())
}
