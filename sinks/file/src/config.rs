//! The validated configuration of the file sink.

use std::path::PathBuf;
use std::time::Duration;

/// The place of the files, and the rules by which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// The data directory, which holds one folder per topic. Created if it is missing.
    pub path: PathBuf,
    /// Whether a record must be on the disk before it counts as delivered. Without `sync`, a
    /// record is handed to the operating system: it survives the end of the process, but not a
    /// crash of the machine.
    pub sync: bool,
    /// The size in bytes at which a file is closed. A batch is never split, so a file may exceed
    /// this by one batch.
    pub rotate_size: u64,
    /// The age at which a file is closed, counted from its first record and accurate to a second.
    pub rotate_age: Duration,
    /// The compression of closed files.
    pub compression: Compression,
}

/// The compression of closed files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Closed files stay as they are.
    None,
    /// Each closed file is compressed in the background, as one Zstandard frame (RFC 8878) with a
    /// checksum.
    #[default]
    Zstd,
}
