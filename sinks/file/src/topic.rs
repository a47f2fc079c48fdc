//! A topic's folder: gives its writers the names of their files, and takes their closed files.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use iem_sink::SinkError;

use crate::Compression;
use crate::disk::failed;
use crate::keeper::Note;
use crate::name::{LINES, Names};
use crate::repair::repair;
use crate::root::{Root, create_folder};
use crate::segment::Segment;

pub(crate) struct Topic {
    pub(crate) root: Arc<Root>,
    folder: PathBuf,
    names: Mutex<Names>,
    keeper: Sender<Note>,
}

impl Topic {
    /// Makes the folder where it is missing, repairs what is in it, and hands closed files on for compression.
    pub(crate) fn open(root: Arc<Root>, name: &str, keeper: Sender<Note>) -> Result<Self, SinkError> {
        if !is_file_name(name) {
            return Err(SinkError::permanent(format!(
                "topic name {name:?} is no folder name: letters, digits, '.', '_' and '-', not beginning with '.'"
            )));
        }
        let folder = root.config.path.join(name);
        create_folder(&root.disk, &folder, root.config.sync)
            .map_err(|error| failed("make the folder", &folder, &error))?;
        if root.config.sync {
            // A folder of an earlier run may have been made without, or just before the end of the machine.
            let parent = &root.config.path;
            root.disk.sync_folder(parent).map_err(|error| failed("sync", parent, &error))?;
        }
        let found = repair(&root, &folder)?;
        let topic = Self { root, folder, names: Mutex::new(found.names), keeper };
        found.closed.into_iter().for_each(|path| topic.retire(path));
        Ok(topic)
    }

    /// A new file for a batch whose first record was received at `first`.
    pub(crate) fn create_segment(&self, first: SystemTime, now: Instant) -> Result<Segment, SinkError> {
        let stem = self.names.lock().unwrap_or_else(PoisonError::into_inner).next(first);
        let path = self.folder.join(stem + LINES);
        Segment::create(&self.root, path.clone(), now).map_err(|error| failed("make", &path, &error))
    }

    /// Takes a file that nobody writes to any more.
    pub(crate) fn retire(&self, path: PathBuf) {
        if self.root.config.compression == Compression::Zstd {
            // After the keeper's end it stays as it is, until the next start.
            let _ = self.keeper.send(Note::Compress(path));
        }
    }
}

/// Whether a topic's name can be a folder's, and is not one of the root's own files.
fn is_file_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}
