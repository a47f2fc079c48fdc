//! A topic's folder: gives its writers the names of their files, and takes their closed files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use iem_sink::SinkError;

use crate::Compression;
use crate::disk::failed;
use crate::keeper::Note;
use crate::mark;
use crate::name::{LINES, Names};
use crate::repair::repair;
use crate::root::{Root, create_folder};
use crate::segment::Segment;

pub(crate) struct Topic {
    pub(crate) root: Arc<Root>,
    folder: PathBuf,
    stems: Mutex<Stems>,
    keeper: Sender<Note>,
}

/// The names that are given, and which of them are those of files that are still written to.
struct Stems {
    names: Names,
    open: BTreeSet<String>,
}

impl Topic {
    /// Makes the folder where it is missing, repairs what is in it, and hands closed files on for
    /// compression.
    pub(crate) fn open(
        root: Arc<Root>,
        name: &str,
        keeper: Sender<Note>,
    ) -> Result<Self, SinkError> {
        if !is_file_name(name) {
            return Err(SinkError::permanent(format!(
                "topic name {name:?} is no folder name: letters, digits, '.', '_' and '-', not beginning with '.'"
            )));
        }
        let folder = root.config.path.join(name);
        create_folder(&root.disk, &folder, root.config.sync)
            .map_err(|error| failed("make the folder", &folder, &error))?;
        if root.config.sync {
            // A folder of an earlier run may have been made without, or just before the end of the
            // machine.
            let parent = &root.config.path;
            root.disk
                .sync_folder(parent)
                .map_err(|error| failed("sync", parent, &error))?;
        }
        let found = repair(&root, &folder)?;
        let stems = Stems {
            names: found.names,
            open: BTreeSet::new(),
        };
        let topic = Self {
            root,
            folder,
            stems: Mutex::new(stems),
            keeper,
        };
        found
            .closed
            .into_iter()
            .for_each(|path| topic.compress(path));
        Ok(topic)
    }

    /// A new file for a batch whose first record was received at `first`.
    pub(crate) fn create_segment(
        &self,
        first: SystemTime,
        now: Instant,
    ) -> Result<Segment, SinkError> {
        let stem = self.stems().give(first);
        let path = self.folder.join(format!("{stem}{LINES}"));
        Segment::create(&self.root, path.clone(), now).map_err(|error| {
            self.stems().open.remove(&stem);
            failed("make", &path, &error)
        })
    }

    /// Takes a file that nobody writes to any more, and that was removed if it was empty.
    pub(crate) fn retire(&self, segment: &Segment) {
        let stem = segment
            .path()
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let mut stems = self.stems();
        stems.open.remove(&*stem);
        // Files of other writers may have been open for longer: the mark waits for them.
        if self.root.config.sync && stems.open.first().is_none_or(|oldest| **oldest > *stem) {
            mark::write(&self.folder, &stem);
        }
        drop(stems);
        if !segment.is_empty() {
            self.compress(segment.path().to_owned());
        }
    }

    fn compress(&self, path: PathBuf) {
        if self.root.config.compression == Compression::Zstd {
            // After the keeper's end it stays as it is, until the next start.
            let _ = self.keeper.send(Note::Compress(path));
        }
    }

    fn stems(&self) -> MutexGuard<'_, Stems> {
        self.stems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stems {
    fn give(&mut self, first: SystemTime) -> String {
        let stem = self.names.next(first);
        self.open.insert(stem.clone());
        stem
    }
}

/// Whether a topic's name can be a folder's, and is not one of the root's own files.
fn is_file_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}
