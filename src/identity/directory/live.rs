//! The directory as it holds now: read from its file, swapped whole, and never worse than the last
//! good one.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};

use super::file::unreadable;
use super::{Directory, DirectoryError};

/// The current snapshot, and what was last seen of the file it comes from.
#[derive(Debug)]
pub struct LiveDirectory {
    path: PathBuf,
    current: ArcSwap<Directory>,
    /// Held while the file is read, for as long as that takes: what is read first is put in place
    /// first.
    reloading: Mutex<()>,
    /// Never held while the file is read or looked at: a file system that hangs must not hold
    /// [`status`](Self::status).
    seen: Mutex<Seen>,
}

/// What became of the last reading of the file.
#[derive(Clone, Debug)]
pub struct Status {
    /// When the current snapshot was read.
    pub loaded_at: SystemTime,
    /// Why the file as it is now does not count; `None` if it does.
    pub error: Option<DirectoryError>,
    /// Users in the current snapshot.
    pub users: usize,
    /// Customers in the current snapshot.
    pub customers: usize,
}

#[derive(Debug)]
struct Seen {
    look: Look,
    digest: Option<blake3::Hash>,
    loaded_at: SystemTime,
    error: Option<DirectoryError>,
}

/// What tells, without reading it, that a file is another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Changed so recently that it may change again without its times showing it.
    Unsettled,
    Missing,
    File {
        modified: Option<SystemTime>,
        changed: (i64, i64),
        number: u64,
        length: u64,
    },
}

/// Longer than any file system's clock ticks.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

impl LiveDirectory {
    /// Reads the file for the first time. Blocks.
    ///
    /// # Errors
    /// The file cannot be read or does not hold: there is no last good one yet.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let (look, contents) = read(path)?;
        let directory = parse(&contents, path)?;
        let seen = Seen {
            look,
            digest: Some(blake3::hash(&contents)),
            loaded_at: SystemTime::now(),
            error: None,
        };
        Ok(Self {
            path: path.to_owned(),
            current: ArcSwap::from_pointee(directory),
            reloading: Mutex::default(),
            seen: Mutex::new(seen),
        })
    }

    /// The current snapshot. Cheap; hold it for one decision, not across waits.
    pub fn load(&self) -> Guard<Arc<Directory>> {
        self.current.load()
    }

    /// Reads the file again, and swaps the snapshot if the file is another and holds. What does not
    /// hold is logged, once, and returned each time; the last good snapshot stays. Blocks.
    pub fn reload(&self) -> Result<(), DirectoryError> {
        let _one_at_a_time = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (look, contents) = match read(&self.path) {
            Ok((look, contents)) => (look, Ok(contents)),
            Err(error) => (look_at(&self.path), Err(error)),
        };
        let digest = contents
            .as_ref()
            .ok()
            .map(|contents| blake3::hash(contents));
        // Nobody else writes this.
        let before = self.seen().digest;
        if digest.is_some() && digest == before {
            let mut seen = self.seen();
            seen.look = look;
            return seen.error.clone().map_or(Ok(()), Err);
        }
        let directory = contents.and_then(|contents| parse(&contents, &self.path));
        let mut seen = self.seen();
        (seen.look, seen.digest) = (look, digest);
        match directory {
            Ok(directory) => {
                let (users, customers) = (directory.users().len(), directory.customers().len());
                tracing::info!(path = %self.path.display(), users, customers, "directory reloaded");
                self.current.store(Arc::new(directory));
                seen.loaded_at = SystemTime::now();
                seen.error = None;
                Ok(())
            }
            Err(error) => Err(seen.refuse(error)),
        }
    }

    /// How the last reading went, for readiness and metrics.
    pub fn status(&self) -> Status {
        let seen = self.seen();
        let directory = self.load();
        Status {
            loaded_at: seen.loaded_at,
            error: seen.error.clone(),
            users: directory.users().len(),
            customers: directory.customers().len(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file may be another than the one last read.
    pub(super) fn may_have_changed(&self) -> bool {
        let seen = self.seen().look;
        seen == Look::Unsettled || seen != look_at(&self.path)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn refuse(&mut self, error: DirectoryError) -> DirectoryError {
        if self.error.as_ref() != Some(&error) {
            tracing::error!(%error, "directory not reloaded; the last good one stays");
        }
        self.error = Some(error.clone());
        error
    }
}

/// How the file looks from outside, symbolic links followed.
pub(super) fn look_at(path: &Path) -> Look {
    fs::metadata(path).map_or(Look::Missing, |metadata| look(&metadata))
}

#[cfg(unix)]
fn look(metadata: &Metadata) -> Look {
    use std::os::unix::fs::MetadataExt;
    Look::File {
        modified: metadata.modified().ok(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        number: metadata.ino(),
        length: metadata.len(),
    }
}

#[cfg(not(unix))]
fn look(metadata: &Metadata) -> Look {
    Look::File {
        modified: metadata.modified().ok(),
        changed: (0, 0),
        number: 0,
        length: metadata.len(),
    }
}

fn read(path: &Path) -> Result<(Look, Vec<u8>), DirectoryError> {
    let read = || {
        let mut file = File::open(path)?;
        let before = file.metadata()?;
        let mut contents = Vec::new();
        file.read_to_end(&mut contents)?;
        let after = file.metadata()?;
        let settled = look(&before) == look(&after) && is_old(&after);
        Ok((
            if settled {
                look(&after)
            } else {
                Look::Unsettled
            },
            contents,
        ))
    };
    read().map_err(|error| unreadable(path, &error))
}

/// A modification time well in the past, or in the future by a clock that is not ours.
fn is_old(metadata: &Metadata) -> bool {
    let Ok(modified) = metadata.modified() else {
        return true;
    };
    match SystemTime::now().duration_since(modified) {
        Ok(age) => age > SETTLED_AFTER,
        Err(ahead) => ahead.duration() > SETTLED_AFTER,
    }
}

fn parse(contents: &[u8], path: &Path) -> Result<Directory, DirectoryError> {
    let text = std::str::from_utf8(contents).map_err(|error| DirectoryError {
        path: path.to_owned(),
        line: Some(
            contents[..error.valid_up_to()]
                .split(|byte| *byte == b'\n')
                .count(),
        ),
        message: "not UTF-8 text".to_owned(),
    })?;
    Directory::parse(text, path)
}
