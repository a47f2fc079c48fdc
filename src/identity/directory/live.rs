//! The directory in use, which follows its file or its database, and the sessions of its users that have ended.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};

use super::changes::locked_out;
#[cfg(feature = "postgres")]
use super::database::{DatabaseFollower, FollowedDatabase, InUse};
use super::error::DirectoryError;
use super::failed_logins::FailedLogins;
use super::file;
use super::snapshot::Directory;
use super::store::Store;
use crate::config::Config;
use crate::follow::{Followed, Follower, Source};
use crate::identity::private_file;
use crate::identity::quota::Quotas;
use crate::identity::sessions::{EndedFile, EndedSessions, Keeper, Rotations};
use crate::telemetry::audit;

/// The current snapshot of the directory. One that is not valid never replaces it.
#[derive(Debug)]
pub struct LiveDirectory {
    current: Arc<ArcSwap<Directory>>,
    ended: Arc<EndedSessions>,
    origin: Origin,
}

/// The place that the directory is read from.
#[derive(Debug)]
enum Origin {
    /// A file, and that of ended sessions beside it.
    File(Arc<Followed<DirectoryFile>>),
    /// A database.
    #[cfg(feature = "postgres")]
    Database(Arc<FollowedDatabase>),
}

/// The size of the current snapshot, and the result of the last reading.
#[derive(Clone, Debug)]
pub struct Status {
    /// Why the directory as it is now is not in use; `None` if it is.
    pub error: Option<DirectoryError>,
    /// The time for which it is not known that the snapshot is that of the file or the database.
    pub stale_for: Duration,
    /// Users in the current snapshot.
    pub users: usize,
    /// Customers in the current snapshot.
    pub customers: usize,
    /// The revision of the current snapshot; 0 for that of a file.
    pub revision: i64,
}

impl LiveDirectory {
    /// Reads the directory file, and that of ended sessions, for the first time. Blocks.
    ///
    /// A user who is disabled now may have been disabled while no gateway ran: the user's sessions
    /// have ended.
    ///
    /// # Errors
    /// A file cannot be read or is not valid: there is no earlier snapshot to keep.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let file = DirectoryFile {
            path: path.to_owned(),
            ended: EndedFile::open(path)?,
        };
        let followed = Followed::open(file)?;
        Ok(Self::new(
            Arc::clone(followed.current()),
            Arc::clone(followed.source().ended.ended()),
            Origin::File(Arc::new(followed)),
        ))
    }

    /// Reads the directory, from where the configuration says that it is kept, for the first time.
    /// Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open). A database that is away is an error only if there is no copy.
    pub fn of(config: &Config) -> Result<Self, DirectoryError> {
        match Store::of(&config.directory)? {
            Store::File(path) => Self::open(&path),
            #[cfg(feature = "postgres")]
            Store::Database(database) => {
                let followed = FollowedDatabase::open(database.into_access(), config)?;
                Ok(Self::new(
                    Arc::clone(followed.in_use().current()),
                    Arc::clone(followed.in_use().ended()),
                    Origin::Database(Arc::new(followed)),
                ))
            }
        }
    }

    fn new(current: Arc<ArcSwap<Directory>>, ended: Arc<EndedSessions>, origin: Origin) -> Self {
        let disabled: Vec<_> = current
            .load()
            .iter_users()
            .filter(|user| !user.enabled)
            .map(|user| (Arc::clone(&user.email), user.password_version))
            .filter(|(email, password)| {
                // Gateways on a database see each change: what is known there need not be told again.
                matches!(origin, Origin::File(_)) || ended.load().until(email, *password).is_none()
            })
            .collect();
        ended.end_all(&disabled, SystemTime::now());
        Self {
            current,
            ended,
            origin,
        }
    }

    /// Returns the sessions of its users that ended before their time.
    pub fn ended(&self) -> &EndedSessions {
        &self.ended
    }

    /// Returns the current snapshot. Cheap; hold it for one decision, not across waits.
    pub fn load(&self) -> Guard<Arc<Directory>> {
        self.current.load()
    }

    /// Returns whether the snapshot may be out of date for longer than the configuration allows.
    /// Cheap.
    pub fn is_too_old(&self) -> bool {
        match &self.origin {
            Origin::File(_) => false,
            #[cfg(feature = "postgres")]
            Origin::Database(database) => database.in_use().is_too_old(),
        }
    }

    /// Returns whether other gateways may share it, and tell of limits and sessions.
    pub fn is_shared(&self) -> bool {
        !matches!(self.origin, Origin::File(_))
    }

    /// Has other gateways on the same database know which refresh tokens were used, and this one
    /// know of those used there.
    pub fn share_refreshes(&self, rotations: Rotations) -> Arc<Rotations> {
        match &self.origin {
            Origin::File(_) => Arc::new(rotations),
            #[cfg(feature = "postgres")]
            Origin::Database(database) => {
                let rotations = Arc::new(rotations.shared());
                database.in_use().share(&rotations);
                rotations
            }
        }
    }

    /// Has failed log-ins at all gateways on the same database count together.
    pub fn share_logins(&self, logins: Arc<dyn FailedLogins>) {
        match &self.origin {
            Origin::File(_) => drop(logins),
            #[cfg(feature = "postgres")]
            Origin::Database(database) => database.limits().share_logins(logins),
        }
    }

    /// Has all gateways on the same database take a customer's quota together.
    pub fn share_quotas(&self, quotas: Quotas) -> Arc<Quotas> {
        match &self.origin {
            Origin::File(_) => Arc::new(quotas),
            #[cfg(feature = "postgres")]
            Origin::Database(database) => {
                let quotas = Arc::new(quotas.shared());
                database.limits().share_quotas(&quotas);
                quotas
            }
        }
    }

    /// Starts the threads that keep the snapshot and the ended sessions up to date until the
    /// `DirectoryFollower` is dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn follow(&self) -> io::Result<DirectoryFollower> {
        let threads = match &self.origin {
            Origin::File(file) => Threads::OfFile {
                _directory: Follower::start(Arc::clone(file))?,
                _ended: file.source().ended.keep()?,
            },
            #[cfg(feature = "postgres")]
            Origin::Database(database) => Threads::OfDatabase {
                _follower: database.follow()?,
            },
        };
        Ok(DirectoryFollower { _threads: threads })
    }

    /// Reads the files again, and replaces the snapshot if the file changed and is valid. Blocks. A
    /// database is read again by its own thread, soon.
    ///
    /// # Errors
    /// A file is not valid. This is logged once and returned each time; the snapshot stays.
    pub fn reload(&self) -> Result<(), DirectoryError> {
        match &self.origin {
            Origin::File(file) => {
                let ended = file.source().ended.reload();
                file.reload().and(ended)
            }
            #[cfg(feature = "postgres")]
            Origin::Database(database) => {
                database.reread();
                Ok(())
            }
        }
    }

    /// Returns the path of the directory file.
    #[cfg(test)]
    pub fn path(&self) -> &Path {
        match &self.origin {
            Origin::File(file) => &file.source().path,
            #[cfg(feature = "postgres")]
            Origin::Database(_) => panic!("it is no file"),
        }
    }

    /// Writes to the file of ended sessions what ended here since the last time.
    #[cfg(test)]
    pub fn save_ended(&self) -> Result<(), DirectoryError> {
        match &self.origin {
            Origin::File(file) => file.source().ended.save(),
            #[cfg(feature = "postgres")]
            Origin::Database(_) => panic!("it is no file"),
        }
    }

    /// Returns the result of the last reading, for the metrics.
    pub fn status(&self) -> Status {
        let (error, stale_for, revision) = match &self.origin {
            Origin::File(file) => {
                let error = file.error().or_else(|| file.source().ended.error());
                (error, file.stale_for(), 0)
            }
            #[cfg(feature = "postgres")]
            Origin::Database(database) => {
                let in_use: &InUse = database.in_use();
                (in_use.error(), in_use.stale_for(), in_use.revision())
            }
        };
        let directory = self.load();
        Status {
            error,
            stale_for,
            users: directory.user_count(),
            customers: directory.customer_count(),
            revision,
        }
    }
}

/// The threads that follow a directory. They end when it is dropped.
#[derive(Debug)]
pub struct DirectoryFollower {
    _threads: Threads,
}

#[derive(Debug)]
enum Threads {
    OfFile {
        _directory: Follower,
        _ended: Keeper,
    },
    #[cfg(feature = "postgres")]
    OfDatabase { _follower: DatabaseFollower },
}

#[derive(Debug)]
struct DirectoryFile {
    path: PathBuf,
    ended: EndedFile,
}

impl Source for DirectoryFile {
    type Contents = Vec<u8>;
    type Value = Directory;
    type Error = DirectoryError;

    const NAME: &'static str = "directory";
    const STILL: Duration = Duration::from_millis(40);

    fn paths(&self) -> Vec<&Path> {
        vec![&self.path]
    }

    fn read(&self) -> Result<Vec<u8>, DirectoryError> {
        private_file::read(&self.path).map_err(|error| DirectoryError::of_file(&self.path, &error))
    }

    fn digest(contents: &Vec<u8>) -> blake3::Hash {
        blake3::hash(contents)
    }

    fn parse(&self, contents: &Vec<u8>) -> Result<Directory, DirectoryError> {
        Directory::parse(file::text(contents, &self.path)?, &self.path)?.check_strength(&self.path)
    }

    fn log_reload(&self, before: &Directory, directory: &Directory) {
        let users = directory.user_count();
        let customers = directory.customer_count();
        tracing::info!(path = %self.path.display(), users, customers, "directory reloaded");
        audit::reloaded(Self::NAME, &before.changes(directory));
    }

    /// The file may have been changed by hand, so that nobody else ends these sessions. They are
    /// written by another thread: whoever holds the lock of the file must not hold up the change.
    fn before_replacing(&self, old: &Directory, new: &Directory) {
        let locked_out = locked_out(old.iter_users(), new);
        self.ended.ended().end_all(&locked_out, SystemTime::now());
    }
}

#[cfg(test)]
mod tests;
