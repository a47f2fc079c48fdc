//! The options with which the crates open their own files.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

/// The mode of files that are created.
const FILE_MODE: u32 = 0o640;

/// Returns how a caller's own files are opened for writing: not by way of a symbolic link, which
/// would lead to a file that is not the caller's. Those that are created have mode 0640.
pub fn own_file() -> OpenOptions {
    let mut options = File::options();
    options
        .write(true)
        .mode(FILE_MODE)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Returns how a file is opened for reading alone: not by way of a symbolic link either.
pub(crate) fn read_only() -> OpenOptions {
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}
