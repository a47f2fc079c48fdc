//! The folder of a check that reads files.

use std::path::Path;

use tempfile::TempDir;

/// Creates a temporary folder, in memory where there is such a place: a file is written for each
/// input.
pub fn create() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.expect("a temporary folder")
}
