//! Keeps the directory in use like the one in the database.
//!
//! A background thread asks for the revision every 300 ms, and at once when the database tells of a
//! change, and reads what has changed. While the database is away, what was read last stays in use.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use iem_postgres::{Changes, Connection, Error, Revision};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::access::{Access, host, runtime};
use super::entries::{Building, Strength};
use super::in_use::{InUse, NAME};
use super::limits::SharedLimits;
use super::sessions::ReadSessions;
use super::snapshot_file::SnapshotFile;
use super::threads::DatabaseFollower;
use crate::background::Background;
use crate::config::{Config, REFRESH_LIFETIME_MAX};
use crate::identity::directory::error::DirectoryError;

/// The interval between two looks at the revision.
const POLL: Duration = Duration::from_millis(300);
/// The longest pause between two attempts to reach a database that is away.
const PAUSE_MAX: Duration = Duration::from_secs(2);
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

/// The database that is followed.
#[derive(Debug)]
pub(in crate::identity::directory) struct FollowedDatabase {
    access: Access,
    in_use: Arc<InUse>,
    limits: SharedLimits,
    snapshot: SnapshotFile,
    /// The name of this gateway among the others.
    gateway: String,
    /// As that, and this process: of what is told of limits, two gateways of one name tell apart.
    process: String,
    refreshes_max: usize,
    refresh_lifetime: Duration,
    max_staleness: Duration,
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
            let mut read = ReadSessions::default();
            let all = Revision::default();
            connection
                .read_sessions(&all, 0, |row| read.add(row))
                .await?;
            Ok((revisions, building, read.ended))
        });
        let in_use = match read {
            Ok((revisions, building, ended)) => {
                let in_use = InUse::read(place, building, revisions.directory);
                in_use.ended().merge(&ended);
                // What ended here while the database was away stands in the copy alone.
                match snapshot.read_ended() {
                    Ok(ended) => in_use.ended().add_unsaved(&ended),
                    Err(error) => {
                        tracing::error!(%error, "ended sessions of the copy are not known");
                    }
                }
                in_use
            }
            Err(error) if error.is_passing => {
                let (directory, ended, age) = snapshot.read().map_err(|fault| DirectoryError {
                    message: format!("{}; and its copy: {fault}", error.message),
                    ..error.clone()
                })?;
                tracing::warn!(%error, ?age, "starting with the copy of the directory");
                let in_use = InUse::copied(place, directory, age, error);
                in_use.ended().add_unsaved(&ended);
                in_use.judge_age(config.directory.max_staleness);
                in_use
            }
            Err(error) => return Err(error),
        };
        let server = &config.server;
        let listen = server.listen;
        let place = if listen.ip().is_unspecified() {
            listen.port().to_string()
        } else {
            listen.to_string()
        };
        let gateway = format!("{}@{}:{place}", server.name, host());
        Ok(Self {
            process: format!("{gateway}#{:016x}", rand::random::<u64>()),
            gateway,
            refresh_lifetime: config.tokens.refresh_lifetime,
            max_staleness: config.directory.max_staleness,
            access,
            in_use: Arc::new(in_use),
            limits: SharedLimits::default(),
            snapshot,
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
        Ok(DatabaseFollower::new(stop, thread, snapshot))
    }

    /// Follows the database until `stopped` has no sender any more.
    async fn run(&self, mut stopped: watch::Receiver<()>) {
        let mut connection = None;
        let mut times = Times::default();
        let mut pause = POLL;
        loop {
            let done = self.look(&mut connection, &mut times).await;
            pause = match &done {
                Err(error) if error.is_away() => (pause * 2).min(PAUSE_MAX),
                _ => POLL,
            };
            self.in_use.note_outcome(done.err());
            self.in_use.judge_age(self.max_staleness);
            let told = async {
                match &connection {
                    Some(connection) => Connection::notified(connection).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopped.changed() => break,
                () = self.wake.notified(), if connection.is_some() => {}
                () = told => sleep(TOGETHER).await,
                () = sleep(pause) => {}
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

    /// Looks once at what has changed, and tells what the others are to know. A connection that was
    /// lost, or that does not answer, is closed; one whose database refuses a statement goes on.
    async fn look(
        &self,
        connection: &mut Option<Connection>,
        times: &mut Times,
    ) -> Result<(), Error> {
        let open = if let Some(open) = connection {
            open
        } else {
            let new = self.access.open().await?;
            // First, so that no change falls between it and the reading.
            new.listen().await?;
            self.limits.set_login_key(&new.login_key().await?);
            tracing::info!(database = %self.access, "following the directory's database");
            *times = Times::default();
            connection.insert(new)
        };
        let mut refused = None;
        for step in Step::ALL {
            let Err(error) = self.take(step, open, times).await else {
                continue;
            };
            if error.is_away() {
                self.access.cancel(open).await;
                *connection = None;
                return Err(error);
            }
            refused.get_or_insert(error);
        }
        refused.map_or(Ok(()), Err)
    }

    async fn take(
        &self,
        step: Step,
        open: &mut Connection,
        times: &mut Times,
    ) -> Result<(), Error> {
        match step {
            Step::Read => self.read(open).await,
            Step::WriteSessions => self.write_sessions(open).await,
            Step::Here => {
                let revision = self.in_use.revision();
                let is_new = times.noted_revision.replace(revision) != Some(revision);
                if !take_due(&mut times.here, HERE) && !is_new {
                    return Ok(());
                }
                open.check().await?;
                let version = env!("CARGO_PKG_VERSION");
                let gateways = open.note_gateway(&self.gateway, revision, version).await?;
                self.limits.set_gateways(gateways);
                Ok(())
            }
            Step::Limits => {
                if !take_due(&mut times.limits, EXCHANGE) {
                    return Ok(());
                }
                self.limits.tell_failures(open, &self.process).await?;
                self.limits.exchange_demand(open, &self.process).await
            }
            Step::Prune => {
                if !take_due(&mut times.pruned, PRUNE) {
                    return Ok(());
                }
                self.in_use.ended().prune(SystemTime::now());
                open.prune(REFRESH_LIFETIME_MAX, self.refresh_lifetime)
                    .await
            }
        }
    }

    async fn read(&self, connection: &mut Connection) -> Result<(), Error> {
        let found = connection.revisions().await?;
        let mut have = self.in_use.revisions();
        let rereads = self.is_to_reread.swap(false, Ordering::Relaxed);
        if rereads || found.directory != have.directory {
            let read = self.read_directory(connection, &have.directory, rereads);
            have.directory = read.await.inspect_err(|_| {
                self.is_to_reread.fetch_or(rereads, Ordering::Relaxed);
            })?;
        }
        if found.sessions != have.sessions {
            let mut read = ReadSessions::default();
            let rows = connection.read_sessions(&have.sessions, self.refreshes_max, |row| {
                read.add(row);
            });
            let (revision, is_known) = rows.await?;
            self.in_use.merge(read);
            if !is_known && !have.sessions.mark.is_empty() {
                // It was restored: what it had before stands here alone.
                self.in_use.ended().write_all();
            }
            have.sessions = revision;
        }
        if found.failures != have.failures {
            // One that was restored counts again from less.
            let since = have.failures.number.min(found.failures.number);
            let (newest, rows) = connection.read_failures(&self.process, since).await?;
            self.limits.count_failures(&rows);
            // Later ones may have come with these.
            have.failures = Revision {
                number: newest.max(found.failures.number),
                ..found.failures
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
        since: &Revision,
        rereads: bool,
    ) -> Result<Revision, Error> {
        // A copy is of no revision that the database knows.
        if !rereads {
            let (found, changes) = connection.read_changes(since).await?;
            if let Changes::Some { customers, users } = changes {
                self.in_use.change(found.directory.number, customers, users);
                return Ok(found.directory);
            }
        }
        let (found, building) = Building::read(connection, Strength::Strong).await?;
        self.in_use.replace(found.directory.number, building);
        Ok(found.directory)
    }

    async fn write_sessions(&self, connection: &mut Connection) -> Result<(), Error> {
        let mut unwritten = self.in_use.take_unwritten();
        if unwritten.rows.is_empty() {
            self.in_use.note_written(unwritten, true);
            return Ok(());
        }
        let written = connection.write_sessions(&mut unwritten.rows).await;
        self.in_use.note_written(unwritten, written.is_ok());
        written
    }
}

/// A part of a look at the database. One that is refused holds up none of the others.
#[derive(Clone, Copy)]
enum Step {
    Read,
    WriteSessions,
    Here,
    Limits,
    Prune,
}

impl Step {
    const ALL: [Self; 5] = [
        Self::Read,
        Self::WriteSessions,
        Self::Here,
        Self::Limits,
        Self::Prune,
    ];
}

/// The times of what is done now and then, on one connection.
#[derive(Default)]
struct Times {
    here: Option<Instant>,
    limits: Option<Instant>,
    noted_revision: Option<i64>,
    pruned: Option<Instant>,
}

/// Returns whether something is due that was done last at this time, which is then now.
fn take_due(last: &mut Option<Instant>, interval: Duration) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= interval);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}
