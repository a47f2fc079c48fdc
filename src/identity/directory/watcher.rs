//! Follows the directory file: a plain thread that reloads it within a second of a change.
//!
//! The operating system's notice makes it quick; a look at the file each second makes it certain
//! where there is no notice (network file systems, mounted configuration maps, a folder replaced as
//! a whole).

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode};

use super::LiveDirectory;
use super::live::{Look, look_at};
use crate::identity::private_file;

/// How often the file is looked at when nothing is heard.
const POLL: Duration = Duration::from_millis(700);
/// A file that somebody writes in place is read once it has been still for so long …
const STILL: Duration = Duration::from_millis(40);
/// … or after so many looks.
const LOOKS_MAX: usize = 6;
/// How long the end of the thread is waited for. On a file system that hangs it may never come.
const END_MAX: Duration = Duration::from_secs(2);

/// Keeps a [`LiveDirectory`] up to date until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    bell: Option<SyncSender<()>>,
    notices: Option<RecommendedWatcher>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Watcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread. Missing notices are no error: they are logged, and the looks
    /// remain.
    pub fn start(directory: Arc<LiveDirectory>) -> std::io::Result<Self> {
        // One notice waiting is as good as many.
        let (bell, heard) = sync_channel(1);
        let notices = subscribe(directory.path(), bell.clone());
        if let Err(error) = &notices {
            tracing::warn!(%error, "no notice of changes to the directory; looking each second");
        }
        let (end, ended) = channel();
        thread::Builder::new()
            .name("directory".to_owned())
            .spawn(move || {
                let _end: Sender<()> = end;
                follow(&directory, &heard);
            })?;
        Ok(Self {
            bell: Some(bell),
            notices: notices.ok(),
            ended: Mutex::new(ended),
        })
    }
}

impl Drop for Watcher {
    /// The thread ends when every sender of its channel is gone. One that hangs in a read is left
    /// behind: it holds nothing that the rest of the process needs.
    fn drop(&mut self) {
        self.notices = None;
        self.bell = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(END_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the directory's file system hangs; not waiting for it");
        }
    }
}

/// A rename is seen only by watching the folder. What the notice says is not needed: the file
/// itself is looked at.
fn subscribe(path: &Path, bell: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |_| {
        let _ = bell.try_send(());
    })?;
    notify::Watcher::watch(
        &mut watcher,
        private_file::folder(path),
        RecursiveMode::NonRecursive,
    )?;
    Ok(watcher)
}

fn follow(directory: &LiveDirectory, heard: &Receiver<()>) {
    while heard.recv_timeout(POLL) != Err(RecvTimeoutError::Disconnected) {
        if directory.may_have_changed() {
            wait_until_still(directory.path());
            // Logged and kept in the status; there is nothing else to do about it here.
            let _ = directory.reload();
        }
    }
}

fn wait_until_still(path: &Path) {
    let mut before = Look::Unsettled;
    for _ in 0..LOOKS_MAX {
        let now = look_at(path);
        if now == before {
            return;
        }
        before = now;
        thread::sleep(STILL);
    }
}

#[cfg(test)]
mod tests;
