//! The names of files and folders: those that are durable, and their changes since.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::testing::recording::FileId;

/// The index of the traced folder itself.
const ROOT: usize = 0;

/// The names in all folders.
pub(super) struct Names {
    folders: Vec<Folder>,
}

/// A file, or a folder by its index.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(FileId),
    Folder(usize),
}

#[derive(Default)]
struct Folder {
    durable: Entries,
    /// The entries that a reader sees.
    current: Entries,
    /// The changes from the durable entries to the current ones.
    changes: Vec<NameChange>,
}

#[derive(Clone, Default)]
struct Entries(BTreeMap<OsString, Node>);

#[derive(Clone)]
enum NameChange {
    Add {
        name: OsString,
        node: Node,
    },
    Rename {
        from: OsString,
        to: OsString,
        node: Node,
    },
    Remove {
        name: OsString,
        node: Node,
    },
}

impl Default for Names {
    fn default() -> Self {
        Self {
            folders: vec![Folder::default()],
        }
    }
}

impl Names {
    pub(super) fn add_file(&mut self, path: &Path, file: FileId) {
        self.add(path, Node::File(file));
    }

    pub(super) fn add_folder(&mut self, path: &Path) {
        let index = self.folders.len();
        self.folders.push(Folder::default());
        self.add(path, Node::Folder(index));
    }

    fn add(&mut self, path: &Path, node: Node) {
        let name = file_name(path).to_owned();
        self.parent(path).change(NameChange::Add { name, node });
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let folder = self.parent(from);
        let name = file_name(from).to_owned();
        let node = folder.node(&name);
        folder.change(NameChange::Rename {
            from: name,
            to: file_name(to).to_owned(),
            node,
        });
    }

    pub(super) fn remove(&mut self, path: &Path) {
        let folder = self.parent(path);
        let name = file_name(path).to_owned();
        let node = folder.node(&name);
        folder.change(NameChange::Remove { name, node });
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync(&mut self, path: &Path) {
        let index = self.index(path);
        self.folders[index].sync();
    }

    /// Makes all names durable.
    pub(super) fn sync_all(&mut self) {
        self.folders.iter_mut().for_each(Folder::sync);
    }

    /// Returns the paths of all files and folders after a power cut, each folder before what is in
    /// it.
    pub(super) fn after_power_cut(
        &self,
        choose: &mut impl FnMut(usize) -> usize,
    ) -> Vec<(PathBuf, Node)> {
        let mut found = Vec::new();
        let mut folders = vec![(PathBuf::new(), ROOT)];
        while let Some((path, index)) = folders.pop() {
            for (name, node) in self.folders[index].after_power_cut(choose).0 {
                let path = path.join(name);
                if let Node::Folder(index) = node {
                    folders.push((path.clone(), index));
                }
                found.push((path, node));
            }
        }
        found
    }

    fn parent(&mut self, path: &Path) -> &mut Folder {
        let index = self.index(path.parent().unwrap_or(Path::new("")));
        &mut self.folders[index]
    }

    fn index(&self, folder: &Path) -> usize {
        let mut index = ROOT;
        for name in folder {
            match self.folders[index].node(name) {
                Node::Folder(inner) => index = inner,
                Node::File(_) => panic!("{} is a file", folder.display()),
            }
        }
        index
    }
}

impl Folder {
    fn node(&self, name: &OsStr) -> Node {
        let node = self.current.0.get(name).copied();
        node.unwrap_or_else(|| panic!("{} was made past the disk", name.display()))
    }

    fn change(&mut self, change: NameChange) {
        self.current.apply(&change);
        self.changes.push(change);
    }

    fn sync(&mut self) {
        self.durable = self.current.clone();
        self.changes.clear();
    }

    fn after_power_cut(&self, choose: &mut impl FnMut(usize) -> usize) -> Entries {
        let mut entries = self.durable.clone();
        for change in &self.changes {
            if choose(2) == 1 {
                entries.apply(change);
            }
        }
        entries
    }
}

impl Entries {
    /// Applies a change, also to entries that lack earlier changes. Removed and renamed files lose
    /// every other name that they still have for want of these.
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Add { name, node } => drop(self.0.insert(name.clone(), *node)),
            NameChange::Rename { from, to, node } => {
                self.take_away(from, *node);
                self.0.insert(to.clone(), *node);
            }
            NameChange::Remove { name, node } => self.take_away(name, *node),
        }
    }

    fn take_away(&mut self, name: &OsStr, node: Node) {
        self.0.remove(name);
        self.0.retain(|_, other| *other != node);
    }
}

fn file_name(path: &Path) -> &OsStr {
    path.file_name().expect("a path ends in a name")
}
