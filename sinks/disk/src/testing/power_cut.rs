//! The simulation of a power cut: replays a recording up to a point, and builds one of the states
//! that the disk may be in then.

mod content;
mod names;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use self::content::Content;
use self::names::{Names, Node};
use super::recording::{Change, FileId, Found, Recording};
use crate::disk::Disk;

impl Recording {
    /// Builds in `folder`, which must exist and be empty, the state of the disk after a power cut
    /// behind the first `changes` changes. To a trace that begins there, that state is durable.
    ///
    /// `choose` decides between the possible states. It is asked with a number of options, at least
    /// 2, and returns the index of one: 0 keeps nothing since the last sync, and the highest keeps
    /// the newest. So `|_| 0` loses everything that was not synced, `|options| options - 1` loses
    /// nothing, like a process that is killed, and [`choices`](super::choices()) goes between. The
    /// same recording and the same choices lead to the same state.
    ///
    /// # Errors
    /// The folder is not empty or cannot be written.
    ///
    /// # Panics
    /// The recording has fewer changes, or contains one in a folder that was made past the disk.
    pub fn cut_power(
        &self,
        changes: usize,
        mut choose: impl FnMut(usize) -> usize,
        folder: &Path,
    ) -> io::Result<()> {
        if fs::read_dir(folder)?.next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let mut state = State::new(&self.found);
        for change in &self.changes[..changes] {
            state.apply(change);
        }
        let disk = Disk::default();
        for (path, node) in state.names.after_power_cut(&mut choose) {
            let path = folder.join(path);
            match node {
                Node::Folder(_) => disk.create_folders(&path, false)?,
                Node::File(file) => {
                    let content = state.files[&file].after_power_cut(&mut choose);
                    disk.write_all(&mut disk.create(&path)?, &content)?;
                }
            }
        }
        Ok(())
    }
}

/// The state of the disk, with all that is not durable yet.
struct State {
    names: Names,
    files: BTreeMap<FileId, Content>,
}

impl State {
    fn new(found: &[Found]) -> Self {
        let mut names = Names::default();
        let mut files = BTreeMap::new();
        for one in found {
            match one {
                Found::Folder { path } => names.add_folder(path),
                Found::File { path, file, bytes } => {
                    names.add_file(path, *file);
                    files.insert(*file, Content::new(bytes.clone()));
                }
            }
        }
        names.sync_all();
        Self { names, files }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { path, file } => {
                self.names.add_file(path, *file);
                self.files.insert(*file, Content::default());
            }
            Change::Write {
                file,
                offset,
                bytes,
            } => self.content(*file).write(in_memory(*offset), bytes),
            Change::SetLen { file, length } => self.content(*file).set_len(in_memory(*length)),
            Change::SyncData { file } => self.content(*file).sync(),
            Change::FailedSync { file } => self.content(*file).fail_sync(),
            Change::SyncFolder { path } => self.names.sync(path),
            Change::Rename { from, to } => self.names.rename(from, to),
            Change::Remove { path } => self.names.remove(path),
            Change::CreateFolder { path } => self.names.add_folder(path),
        }
    }

    fn content(&mut self, file: FileId) -> &mut Content {
        self.files
            .get_mut(&file)
            .expect("a file was found or created before it changed")
    }
}

fn in_memory(offset: u64) -> usize {
    usize::try_from(offset).expect("a file of a test fits into memory")
}
