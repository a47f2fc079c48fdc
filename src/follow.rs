//! A value that is read from files, and follows them while they change.
//!
//! A background thread compares the files' metadata every half second, and whenever the operating
//! system reports a change in their folders. Polling finds the changes that are not reported:
//! network file systems, mounted configuration maps, a folder that is replaced as a whole.
//!
//! Files that cannot be read, or are not valid, never replace the value in use.

mod look;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use crate::background::{Background, Signals};
use crate::telemetry::audit;
use look::Look;

/// The interval between two looks at the files.
const POLL: Duration = Duration::from_millis(500);
/// Looks after which files are read even if they are still changing.
const LOOKS_MAX: usize = 6;
/// The longest wait for the thread's end. On a file system that hangs it may never come.
const END_MAX: Duration = Duration::from_secs(2);

/// A kind of value that is read from files.
pub trait Source: Send + Sync + 'static {
    /// The files' bytes.
    type Contents;
    /// The value that the files hold.
    type Value: Send + Sync;
    /// The reason why the files do not hold a value.
    type Error: Clone + PartialEq + Display + Send;

    /// The value's name in logs.
    const NAME: &'static str;
    /// The time for which changed files must stay as they are before they are read.
    const STILL: Duration;

    /// Returns the files that are followed.
    fn paths(&self) -> Vec<&Path>;

    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// A file cannot be read.
    fn read(&self) -> Result<Self::Contents, Self::Error>;

    /// Returns a digest that differs when any file differs.
    fn digest(contents: &Self::Contents) -> blake3::Hash;

    /// Parses and checks what was read.
    ///
    /// # Errors
    /// The contents are not valid.
    fn parse(&self, contents: &Self::Contents) -> Result<Self::Value, Self::Error>;

    /// Logs that `after` is in use from now on, in place of `before`.
    fn log_reload(&self, before: &Self::Value, after: &Self::Value);

    /// Does what has to be done before `new` replaces `old`.
    fn before_replacing(&self, _old: &Self::Value, _new: &Self::Value) {}
}

/// A value read from files, and the result of the last reading.
#[derive(Debug)]
pub struct Followed<S: Source> {
    source: S,
    current: Arc<ArcSwap<S::Value>>,
    /// Held while the files are read, so that an older reading never replaces a newer one.
    reloading: Mutex<()>,
    /// Never held during file I/O: a file system that hangs must not block [`error`](Self::error).
    last: Mutex<LastReading<S::Error>>,
}

#[derive(Debug)]
struct LastReading<E> {
    /// `None` if the files may change again without their metadata showing it.
    look: Option<Look>,
    /// `None` if the files could not be read.
    digest: Option<blake3::Hash>,
    error: Option<E>,
    /// The time at which the value in use was last found to be that of the files.
    current_at: Instant,
}

impl<E> LastReading<E> {
    /// Notes that the files are as they were when they were read.
    fn note_unchanged(&mut self) {
        if self.error.is_none() {
            self.current_at = Instant::now();
        }
    }
}

impl<S: Source> Followed<S> {
    /// Reads the files for the first time. Blocks.
    ///
    /// # Errors
    /// The files cannot be read or are not valid: there is no earlier value to keep.
    pub fn open(source: S) -> Result<Self, S::Error> {
        let (look, contents) = read(&source);
        let contents = contents?;
        let value = source.parse(&contents)?;
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(value)),
            reloading: Mutex::default(),
            last: Mutex::new(LastReading {
                look,
                digest: Some(S::digest(&contents)),
                error: None,
                current_at: Instant::now(),
            }),
            source,
        })
    }

    /// Returns the value in use. Cheap; hold it for one decision, not across waits.
    pub fn load(&self) -> Guard<Arc<S::Value>> {
        self.current.load()
    }

    /// Returns where the value in use stands, for whoever only looks at it.
    pub fn current(&self) -> &Arc<ArcSwap<S::Value>> {
        &self.current
    }

    /// Returns how the value is read.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Returns why the files as they are now are not in use; `None` if they are.
    pub fn error(&self) -> Option<S::Error> {
        self.last.lock().error.clone()
    }

    /// Returns for how long it is not known that the value in use is that of the files: since a fault
    /// in them, or since the file system hangs.
    pub fn stale_for(&self) -> Duration {
        self.last.lock().current_at.elapsed()
    }

    /// Reads the files again, and replaces the value if they changed and are valid. Blocks.
    ///
    /// # Errors
    /// The files are not valid. This is logged once and returned each time; the value in use stays.
    pub fn reload(&self) -> Result<(), S::Error> {
        let _one_at_a_time = self.reloading.lock();
        let (look, contents) = read(&self.source);
        let digest = contents.as_ref().ok().map(S::digest);
        {
            let mut last = self.last.lock();
            last.look = look;
            if digest.is_some() && digest == last.digest {
                last.note_unchanged();
                return last.error.clone().map_or(Ok(()), Err);
            }
            last.digest = digest;
        }
        let value = contents.and_then(|contents| self.source.parse(&contents));
        let mut last = self.last.lock();
        match value {
            Ok(value) => {
                let before = self.current.load();
                self.source.log_reload(&before, &value);
                self.source.before_replacing(&before, &value);
                self.current.store(Arc::new(value));
                last.error = None;
                last.current_at = Instant::now();
                Ok(())
            }
            Err(error) => {
                if last.error.as_ref() != Some(&error) {
                    tracing::error!(%error, "{} not reloaded; the last good one stays", S::NAME);
                    audit::not_reloaded(S::NAME, &error.to_string());
                }
                last.error = Some(error.clone());
                Err(error)
            }
        }
    }

    fn look(&self) -> Look {
        Look::at(&self.source.paths())
    }

    /// Returns whether the files may differ from those last read.
    fn may_have_changed(&self) -> bool {
        let last = self.last.lock().look.clone();
        last.is_none_or(|last| last != self.look())
    }
}

/// Reads the files. The look is `None` if they must be read again although their metadata stays:
/// because they could not be read, or changed so recently that they may change again unseen.
fn read<S: Source>(source: &S) -> (Option<Look>, Result<S::Contents, S::Error>) {
    let before = Look::at(&source.paths());
    let contents = source.read();
    let after = Look::at(&source.paths());
    let settled = contents.is_ok() && before == after && after.is_settled();
    (settled.then_some(after), contents)
}

/// The thread that keeps a [`Followed`] up to date, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    name: &'static str,
    thread: Background,
    notifications: Option<RecommendedWatcher>,
}

impl Follower {
    /// Starts the thread. Without the system's notifications, which is logged, it polls alone.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn start<S: Source>(followed: Arc<Followed<S>>) -> io::Result<Self> {
        let paths: Vec<PathBuf> = followed
            .source
            .paths()
            .into_iter()
            .map(Path::to_owned)
            .collect();
        let thread = Background::start(S::NAME, move |signals| follow(&followed, signals))?;
        let notifications = watch(&paths, thread.waker());
        if let Err(error) = &notifications {
            tracing::warn!(%error, "cannot watch the folder of the {}; polling alone", S::NAME);
        }
        Ok(Self {
            name: S::NAME,
            thread,
            notifications: notifications.ok(),
        })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.notifications = None;
        if !self.thread.stop(Instant::now() + END_MAX) {
            let name = self.name;
            tracing::warn!("the file system of the {name} hangs; not waiting for it");
        }
    }
}

/// Calls `wake` when something changes in a folder of `paths`. A rename shows only in the folder. One
/// that is not there is left to the polls: that of a key, where a folder of keys takes its place.
fn watch(
    paths: &[PathBuf],
    wake: impl Fn() + Send + 'static,
) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files must not cause another look at them.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            wake();
        }
    })?;
    for path in paths {
        let path = std::path::absolute(path).map_err(notify::Error::io)?;
        let folder = path.parent().unwrap_or(&path);
        if folder.is_dir() {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
    }
    Ok(watcher)
}

fn follow<S: Source>(followed: &Followed<S>, signals: &Signals) {
    while signals.wait(POLL) {
        if !followed.may_have_changed() {
            followed.last.lock().note_unchanged();
        } else if wait_until_still(followed, signals) {
            // The error is logged, and kept for the metrics.
            let _ = followed.reload();
        }
    }
}

/// Waits until files that somebody is writing stay as they are; returns `false` once stopped.
fn wait_until_still<S: Source>(followed: &Followed<S>, signals: &Signals) -> bool {
    let mut before = followed.look();
    for _ in 0..LOOKS_MAX {
        if !signals.sleep(S::STILL) {
            return false;
        }
        let now = followed.look();
        if now == before {
            return true;
        }
        before = now;
    }
    true
}
