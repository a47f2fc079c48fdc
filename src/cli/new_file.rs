//! Files that commands make, and never overwrite.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file that is not there yet.
pub(super) fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    let written = file.write_all(text.as_bytes());
    written.and_then(|()| file.sync_all()).inspect_err(|_| {
        // Half a file is worse than none. The error to tell is the first one.
        let _ = fs::remove_file(path);
    })
}
