//! Folders below cargo's target folder: on a disk with free space, not in memory.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

const BELOW: &str = env!("CARGO_TARGET_TMPDIR");

/// Creates a folder that is removed with the handle.
pub fn new(name: &str) -> TempDir {
    fs::create_dir_all(BELOW).expect("the target folder exists");
    tempfile::Builder::new()
        .prefix(&format!("load-{name}-"))
        .tempdir_in(BELOW)
        .expect("the folder is created")
}

/// Returns the folder of the reports.
pub fn reports() -> PathBuf {
    PathBuf::from(BELOW).with_file_name("load")
}
