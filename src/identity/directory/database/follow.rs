//! Keeps the directory in use like the one in the database.
//!
//! A background thread asks for the revision every 300 ms, and at once when the database tells of a
//! change, and reads what has changed. While the database is away, what was read last stays in use.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use iem_postgres::{Changes, Connection, Error};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::access::{Access, host, runtime};
use super::entries::{Building, Strength};
use super::in_use::{InUse, NAME};
use super::limits::SharedLimits;
use super::sessions;
use super::snapshot_file::SnapshotFile;
use crate::background::Background;
use crate::config::{Config, REFRESH_LIFETIME_MAX};
use crate::identity::directory::error::DirectoryError;
use crate::identity::sessions::milliseconds;
use crate::threads::all_ended;

/// The interval between two looks at the revision.
const POLL: Duration = Duration::from_millis(300);
/// The pause after the database told of a change, so that many changes are read together.
const TOGETHER: Duration = Duration::from_millis(20);
/// The interval between two notes that this gateway is here.
const HERE: Duration = Duration::from_secs(5);
/// The interval between two exchanges with other gateways of what limits count.
const EXCHANGE: Duration = Duration::from_secs(1);
/// The interval between two removals of what no token can belong to any longer.
const PRUNE: Duration = Duration::from_hours(1);
/// The longest time for the last words to the database.
const LAST_WORDS_MAX: Duration = Duration::from_secs(2);
/// The longest wait for the threads' end, the last words and the last copy among it.
const END_MAX: Duration = Duration::from_secs(5);

/// The database that is followed.
#[derive(Debug)]
pub(in crate::identity::directory) struct FollowedDatabase {
    access: Access,
    in_use: Arc<InUse>,
    limits: SharedLimits,
    snapshot: SnapshotFile,
    /// The name of this gateway among the others.
    gateway: String,
    refreshes_max: usize,
    wake: Arc<Notify>,
    /// Everything is to be read anew.
    is_to_reread: AtomicBool,
}

impl FollowedDatabase {
    /// Reads the directory from the database or, while it is away, from its copy. Blocks.
    ///
    /// # Errors
    /// The database refuses, or is away and there is no copy.
    pub(in crate::identity::directory) fn open(
        access: Access,
        config: &Config,
    ) -> Result<Self, DirectoryError> {
        let snapshot = SnapshotFile::new(&config.directory);
        let place = access.to_string();
        let read = access.run(async |connection| {
            let (revisions, building) = Building::read(connection, Strength::Strong).await?;
            let (_, rows) = connection.read_sessions(0, 0).await?;
            Ok((revisions, building, rows))
        });
        let in_use = match read {
            Ok((revisions, building, rows)) => {
                let in_use = InUse::read(place, building, revisions.directory);
                in_use.ended().merge(&sessions::ended(&rows));
                in_use
            }
            Err(error) if error.is_passing => {
                let (directory, ended, age) = snapshot.read().map_err(|fault| DirectoryError {
                    message: format!("{}; and its copy: {fault}", error.message),
                    ..error.clone()
                })?;
                tracing::warn!(%error, ?age, "starting with the copy of the directory");
                let in_use = InUse::copied(place, directory, age, error);
                in_use.ended().merge(&ended);
                in_use
            }
            Err(error) => return Err(error),
        };
        let server = &config.server;
        Ok(Self {
            access,
            in_use: Arc::new(in_use),
            limits: SharedLimits::default(),
            snapshot,
            gateway: format!("{}@{}:{}", server.name, host(), server.listen.port()),
            refreshes_max: config.tokens.cache_entries,
            wake: Arc::new(Notify::new()),
            is_to_reread: AtomicBool::new(false),
        })
    }

    /// Returns the directory in use.
    pub(in crate::identity::directory) fn in_use(&self) -> &Arc<InUse> {
        &self.in_use
    }

    /// Returns the limits that gateways share.
    pub(in crate::identity::directory) fn limits(&self) -> &SharedLimits {
        &self.limits
    }

    /// Has everything read anew, soon.
    pub(in crate::identity::directory) fn reread(&self) {
        self.is_to_reread.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Starts the threads that follow the database and keep the copy, until the `DatabaseFollower` is
    /// dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub(in crate::identity::directory) fn follow(self: &Arc<Self>) -> io::Result<DatabaseFollower> {
        let runtime = runtime()?;
        let (stop, stopped) = watch::channel(());
        let wake = Arc::clone(&self.wake);
        self.in_use.ended().wake_by(move || wake.notify_one());
        let followed = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || runtime.block_on(followed.run(stopped)))?;
        let followed = Arc::clone(self);
        let snapshot = Background::start("directory-copy", move |signals| {
            followed.snapshot.keep(&followed.in_use, signals);
        })?;
        Ok(DatabaseFollower {
            stop: Some(stop),
            thread,
            snapshot,
        })
    }

    /// Follows the database until `stopped` has no sender any more.
    async fn run(&self, mut stopped: watch::Receiver<()>) {
        let mut connection = None;
        let mut times = Times::default();
        loop {
            let done = self.look(&mut connection, &mut times).await;
            self.in_use.note_outcome(done.err());
            let told = async {
                match &connection {
                    Some(connection) => Connection::notified(connection).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopped.changed() => break,
                () = self.wake.notified() => {}
                () = told => sleep(TOGETHER).await,
                () = sleep(POLL) => {}
            }
        }
        if let Some(mut connection) = connection {
            let last_words = async {
                self.write_sessions(&mut connection).await?;
                connection.forget_gateway(&self.gateway).await
            };
            if !matches!(timeout(LAST_WORDS_MAX, last_words).await, Ok(Ok(()))) {
                tracing::warn!("the database did not take the last words of this gateway");
            }
        }
    }

    /// Looks once at what has changed, and writes what has ended here. After an error there is no
    /// connection.
    async fn look(
        &self,
        connection: &mut Option<Connection>,
        times: &mut Times,
    ) -> Result<(), Error> {
        let mut open = if let Some(open) = connection.take() {
            open
        } else {
            let new = self.access.open().await?;
            // First, so that no change falls between it and the reading.
            new.listen().await?;
            tracing::info!(database = %self.access, "following the directory's database");
            *times = Times::default();
            new
        };
        self.read(&mut open).await?;
        self.write_sessions(&mut open).await?;
        let revision = self.in_use.revision();
        if times.noted_revision != Some(revision) || is_due(times.here, HERE) {
            let version = env!("CARGO_PKG_VERSION");
            let gateways = open.note_gateway(&self.gateway, revision, version).await?;
            self.limits.set_gateways(gateways);
            times.noted_revision = Some(revision);
            times.here = Some(Instant::now());
        }
        if is_due(times.limits, EXCHANGE) {
            let now = Instant::now();
            let elapsed = times.limits.map_or(EXCHANGE, |last| now - last);
            times.limits = Some(now);
            let limits = &self.limits;
            limits.tell_failures(&open, &self.gateway).await?;
            limits
                .exchange_demand(&open, &self.gateway, elapsed)
                .await?;
        }
        if is_due(times.pruned, PRUNE) {
            let now = SystemTime::now();
            let long_ago = now.checked_sub(REFRESH_LIFETIME_MAX);
            let long_ago = long_ago.unwrap_or(SystemTime::UNIX_EPOCH);
            open.prune_sessions(milliseconds(long_ago)).await?;
            self.in_use.ended().prune(now);
            times.pruned = Some(Instant::now());
        }
        *connection = Some(open);
        Ok(())
    }

    async fn read(&self, connection: &mut Connection) -> Result<(), Error> {
        let found = connection.revisions().await?;
        let mut have = self.in_use.revisions();
        let rereads = self.is_to_reread.swap(false, Ordering::Relaxed);
        if rereads || found.directory != have.directory {
            let read = self.read_directory(connection, have.directory, rereads);
            have.directory = read.await.inspect_err(|_| {
                self.is_to_reread.fetch_or(rereads, Ordering::Relaxed);
            })?;
        }
        if found.sessions != have.sessions {
            let read = connection.read_sessions(have.sessions, self.refreshes_max);
            let (revision, rows) = read.await?;
            self.in_use.merge(&rows);
            have.sessions = revision;
        }
        if found.failures != have.failures {
            let read = connection.read_failures(&self.gateway, have.failures);
            let (revision, rows) = read.await?;
            self.limits.count_failures(&rows);
            // A database that was restored counts again from less.
            have.failures = if found.failures < have.failures {
                found.failures
            } else {
                found.failures.max(revision)
            };
        }
        self.in_use.note_current(have);
        Ok(())
    }

    /// Reads what has changed since a revision, or everything, and returns the revision that is in
    /// use from now on.
    async fn read_directory(
        &self,
        connection: &mut Connection,
        since: i64,
        rereads: bool,
    ) -> Result<i64, Error> {
        // A copy is of no revision.
        if !rereads && self.in_use.replaced() > 0 {
            let (found, changes) = connection.read_changes(since).await?;
            if let Changes::Some { customers, users } = changes {
                self.in_use.change(found.directory, customers, users);
                return Ok(found.directory);
            }
        }
        let (found, building) = Building::read(connection, Strength::Strong).await?;
        self.in_use.replace(found.directory, building);
        Ok(found.directory)
    }

    async fn write_sessions(&self, connection: &mut Connection) -> Result<(), Error> {
        let unwritten = self.in_use.take_unwritten();
        let written = if unwritten.rows.is_empty() {
            Ok(())
        } else {
            connection.write_sessions(&unwritten.rows).await
        };
        self.in_use.note_written(unwritten, written.is_ok());
        written
    }
}

/// The times of what is done now and then, on one connection.
#[derive(Default)]
struct Times {
    here: Option<Instant>,
    limits: Option<Instant>,
    noted_revision: Option<i64>,
    pruned: Option<Instant>,
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}

/// The threads that follow the database. They end when it is dropped.
#[derive(Debug)]
pub(in crate::identity::directory) struct DatabaseFollower {
    stop: Option<watch::Sender<()>>,
    thread: JoinHandle<()>,
    snapshot: Background,
}

impl Drop for DatabaseFollower {
    fn drop(&mut self) {
        let deadline = Instant::now() + END_MAX;
        self.stop = None;
        all_ended([&self.thread], deadline);
        // Last, so that it has what was read last.
        self.snapshot.stop(deadline);
    }
}
