//! Folders below the target folder: there is room, and it is a disk.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

const BELOW: &str = env!("CARGO_TARGET_TMPDIR");

/// A folder that goes away with the handle.
pub fn new(name: &str) -> TempDir {
    fs::create_dir_all(BELOW).expect("the target folder");
    tempfile::Builder::new()
        .prefix(&format!("load-{name}-"))
        .tempdir_in(BELOW)
        .expect("a folder")
}

/// Where reports go.
pub fn reports() -> PathBuf {
    PathBuf::from(BELOW).with_file_name("load")
}
