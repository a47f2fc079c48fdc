//! The files that the key ring is read from, and the changes that commands make to them.
//!
//! A key file in the folder is added or removed as a whole, and never changed.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::key::{KeyError, Problem, SigningKey};
use super::key_id::KeyId;
use super::ring::Ring;
use crate::config;
use crate::follow::Source;
use crate::telemetry::audit;

/// The most keys of a ring.
const KEYS_MAX: usize = 32;
/// The end of a key file's name; other files in the folder are ignored.
const EXTENSION: &str = "key";

/// The configured files of the key ring.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// One key, without a time: older than all in the folder.
    file: PathBuf,
    folder: Option<Folder>,
}

#[derive(Clone, Debug)]
struct Folder {
    path: PathBuf,
    /// A name in the folder, so that its content is followed and not only itself.
    inside: PathBuf,
}

impl KeyFiles {
    /// Names the files and reads none.
    pub fn new(config: &config::Tokens) -> Self {
        let path = &config.keys;
        Self {
            file: config.key_file.clone(),
            folder: (!path.as_os_str().is_empty()).then(|| Folder {
                path: path.clone(),
                inside: path.join("first.key"),
            }),
        }
    }

    /// Returns where the keys are, for people.
    pub fn name(&self) -> String {
        match &self.folder {
            Some(folder) => format!("token keys {}", folder.path.display()),
            None => format!("token key {}", self.file.display()),
        }
    }

    /// Returns whether no key has been made yet.
    pub fn are_missing(&self) -> bool {
        let is_missing = |path: &Path| path.try_exists().is_ok_and(|exists| !exists);
        is_missing(&self.file)
            && self
                .folder
                .as_ref()
                .is_none_or(|folder| is_missing(&folder.path))
    }

    /// Reads the ring. Blocks.
    ///
    /// # Errors
    /// A file cannot be read, holds no key or may be read by others, or there is no key.
    pub fn ring(&self) -> Result<Ring, KeyError> {
        self.parse(&self.keys()?)
    }

    /// Creates the first key, if there is none.
    ///
    /// # Errors
    /// It cannot be created.
    pub(super) fn create_first(&self, now: SystemTime) -> Result<(), KeyError> {
        let Some(folder) = &self.folder else {
            return SigningKey::open(&self.file).map(|_| ());
        };
        folder.create()?;
        if folder.files()?.is_empty() && !exists(&self.file)? {
            let key = SigningKey::random_at(now);
            // If another gateway was first, its key is used.
            key.write(&folder.inside)?;
        }
        Ok(())
    }

    /// Adds a new key to the folder, and returns its id. A running gateway follows within a second.
    ///
    /// # Errors
    /// No folder is configured, or the key cannot be written.
    pub fn rotate(&self, now: SystemTime) -> Result<KeyId, KeyError> {
        let folder = self.folder()?;
        folder.create()?;
        if folder.files()?.len() >= KEYS_MAX {
            return Err(KeyError::new(&folder.path, Problem::TooMany(KEYS_MAX)));
        }
        let key = SigningKey::random_at(now);
        let path = folder.path.join(format!("{}.{EXTENSION}", key.id()));
        key.write(&path)?;
        audit::keys_changed(&folder.path, &[format!("key {} added", key.id())]);
        Ok(key.id())
    }

    /// Removes a key. Its tokens are not accepted any longer.
    ///
    /// # Errors
    /// No folder is configured, there is no such key, it is the only one, or it cannot be removed.
    pub fn retire(&self, id: KeyId) -> Result<(), KeyError> {
        let folder = self.folder()?;
        let keys = self.keys()?;
        let (retired, others): (Vec<_>, Vec<_>) = keys.iter().partition(|(_, key)| key.id() == id);
        if retired.is_empty() {
            return Err(KeyError::new(&folder.path, Problem::NoSuchKey(id)));
        }
        if others.is_empty() {
            return Err(KeyError::new(&folder.path, Problem::OnlyKey(id)));
        }
        for (path, _) in retired {
            fs::remove_file(path)
                .map_err(|error| KeyError::new(path, Problem::Remove(error.to_string())))?;
        }
        audit::keys_changed(&folder.path, &[format!("key {id} removed")]);
        Ok(())
    }

    fn folder(&self) -> Result<&Folder, KeyError> {
        let folder = self.folder.as_ref();
        folder.ok_or_else(|| KeyError::new(&self.file, Problem::NoFolder))
    }

    /// Reads all keys, with their files.
    fn keys(&self) -> Result<Vec<(PathBuf, SigningKey)>, KeyError> {
        let mut paths = match &self.folder {
            Some(folder) => folder.files()?,
            None => Vec::new(),
        };
        // Without a folder the file is all there is. Beside one it is from before.
        if self.folder.is_none() || exists(&self.file)? {
            paths.push(self.file.clone());
        }
        if paths.is_empty() {
            let folder = self.folder.as_ref().map(|folder| &*folder.path);
            return Err(KeyError::new(folder.unwrap_or(&self.file), Problem::Empty));
        }
        paths
            .into_iter()
            .map(|path| SigningKey::read(&path).map(|key| (path, key)))
            .collect()
    }
}

impl Folder {
    fn create(&self) -> Result<(), KeyError> {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| KeyError::new(&self.path, Problem::Create(error.to_string())))
    }

    /// Lists the key files, sorted.
    fn files(&self) -> Result<Vec<PathBuf>, KeyError> {
        let unreadable =
            |error: io::Error| KeyError::new(&self.path, Problem::Read(error.to_string()));
        let mode = fs::metadata(&self.path).map_err(unreadable)?.mode() & 0o7777;
        // In a sticky folder, as Kubernetes mounts secrets, a file of another is not taken: only
        // its owner may read it.
        let is_open = mode & 0o022 != 0 && mode & 0o1000 == 0;
        if is_open {
            return Err(KeyError::new(&self.path, Problem::OpenFolder(mode)));
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if is_hidden
                || path
                    .extension()
                    .is_none_or(|extension| extension != EXTENSION)
            {
                continue;
            }
            paths.push(path);
            if paths.len() > KEYS_MAX {
                return Err(KeyError::new(&self.path, Problem::TooMany(KEYS_MAX)));
            }
        }
        paths.sort();
        Ok(paths)
    }
}

fn exists(path: &Path) -> Result<bool, KeyError> {
    path.try_exists()
        .map_err(|error| KeyError::new(path, Problem::Read(error.to_string())))
}

impl Source for KeyFiles {
    type Contents = Vec<(PathBuf, SigningKey)>;
    type Value = Ring;
    type Error = KeyError;

    const NAME: &'static str = "token keys";
    /// A key that is copied into the folder is written in one step or two.
    const STILL: Duration = Duration::from_millis(40);

    fn paths(&self) -> Vec<&Path> {
        let folder = self.folder.iter();
        let folder = folder.flat_map(|folder| [&*folder.path, &*folder.inside]);
        folder.chain([&*self.file]).collect()
    }

    fn read(&self) -> Result<Self::Contents, KeyError> {
        self.keys()
    }

    fn digest(contents: &Self::Contents) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (path, key) in contents {
            let text = format!("{} {} {:?}\n", path.display(), key.id(), key.created());
            hasher.update(text.as_bytes());
        }
        hasher.finalize()
    }

    fn parse(&self, contents: &Self::Contents) -> Result<Ring, KeyError> {
        Ok(Ring::new(contents.iter().map(|(_, key)| key)))
    }

    fn log_reload(&self, before: &Ring, ring: &Ring) {
        tracing::info!(keys = ring.len(), "token keys reloaded");
        let ids = |ring: &Ring| ring.keys().map(|(id, _)| id).collect::<Vec<_>>();
        let (before, after) = (ids(before), ids(ring));
        let added = after.iter().filter(|id| !before.contains(id));
        let removed = before.iter().filter(|id| !after.contains(id));
        let changes = added.map(|id| format!("key {id} added"));
        let changes = changes.chain(removed.map(|id| format!("key {id} removed")));
        audit::reloaded(Self::NAME, &changes.collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests;
