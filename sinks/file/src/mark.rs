//! Up to which name a topic's files are known to be whole: a mark in its folder, so that a start
//! need not read them all.
//!
//! Kept with [`FileConfig::sync`](crate::FileConfig::sync) alone, and set only when what it speaks
//! of is on the disk. It is not synced itself, and may fail: with one that is missing or behind, a
//! start reads more than it must, never less.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::name;

/// Begins with a dot: no reader's pattern takes it.
const MARK: &str = ".closed";

/// The stem up to which all files of the folder were whole when they were closed.
pub(crate) fn read(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join(MARK))
        .ok()
        .filter(|stem| name::is_stem(stem))
}

pub(crate) fn write(folder: &Path, stem: &str) {
    let path = folder.join(MARK);
    if let Err(error) = overwrite(&path, stem) {
        tracing::warn!(path = %path.display(), %error, "cannot mark closed files; the next start reads them");
    }
}

/// Stems are of one length, and a full disk takes nothing from a file that is overwritten in its
/// place.
fn overwrite(path: &Path, stem: &str) -> io::Result<()> {
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?
        .write_all(stem.as_bytes())
}
