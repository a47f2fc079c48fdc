//! A look at the dead letters of a topic, while a gateway may be writing them.

use std::path::Path;

use iem_sink::{Record, SinkError};

/// The files of a topic's dead letters.
#[derive(Debug, Default)]
pub struct Kept {
    /// The files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The latest records of them, the last one first.
    pub latest: Vec<Record>,
}

impl Kept {
    /// Reads the latest `count` records of a folder of dead letters, which may not be there. Blocks.
    /// Of each file no more than its end is read.
    ///
    /// # Errors
    /// A file cannot be read, or this build has no files.
    pub fn read(folder: &Path, count: usize) -> Result<Self, SinkError> {
        #[cfg(feature = "file")]
        {
            let mut kept = Self::default();
            // A topic that has never had one has no folder.
            if !folder.exists() {
                return Ok(kept);
            }
            for file in iem_sink_file::RecordFile::find(folder)?.into_iter().rev() {
                kept.files += 1;
                kept.bytes += file.bytes();
                if kept.latest.len() < count {
                    let left = count - kept.latest.len();
                    kept.latest.extend(file.latest(left)?);
                }
            }
            Ok(kept)
        }
        #[cfg(not(feature = "file"))]
        Err(super::left_out(crate::config::SinkKind::File))
    }
}
