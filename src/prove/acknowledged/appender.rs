//! Appends to the file of acknowledged records, on a thread of its own. It writes and syncs what
//! has come in the meantime together.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::super::mark::Batch;
use super::{AcknowledgedError, Header, READ};

/// The acknowledgements that are written together at most.
const TOGETHER: usize = 4096;

/// A file of acknowledged records that is being written.
pub struct Appender {
    path: PathBuf,
    sender: Sender<Acknowledged>,
    thread: JoinHandle<io::Result<()>>,
}

/// An acknowledgement, and who waits until it is on the disk.
struct Acknowledged {
    batch: Batch,
    synced: oneshot::Sender<()>,
}

/// A handle that remembers acknowledgements.
#[derive(Clone)]
pub struct Recorder(Sender<Acknowledged>);

impl Appender {
    /// Makes the file, which must not be there yet, with its header, and syncs it and its name.
    pub fn create(path: &Path, header: &Header) -> Result<Self, AcknowledgedError> {
        let file = create(path, header).map_err(|error| AcknowledgedError::new(path, error))?;
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("acknowledged".to_owned())
            .spawn(move || append(file, &receiver))
            .map_err(|error| AcknowledgedError::new(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            sender,
            thread,
        })
    }

    /// Returns a handle for one who is answered. The file stays open until all of them are gone.
    pub fn recorder(&self) -> Recorder {
        Recorder(self.sender.clone())
    }

    /// Waits until everything is on the disk.
    pub fn finish(self) -> Result<(), AcknowledgedError> {
        drop(self.sender);
        let ended = self.thread.join();
        let written = ended.unwrap_or_else(|_| Err(io::Error::other("its thread has panicked")));
        written.map_err(|error| AcknowledgedError::new(&self.path, error))
    }
}

impl Recorder {
    /// Remembers records that were answered 200. Returns whether they are on the disk; if they are
    /// not, nothing else will be, and [`Appender::finish`] says why.
    pub async fn remember(&self, batch: Batch) -> bool {
        let (synced, waiting) = oneshot::channel();
        self.0.send(Acknowledged { batch, synced }).is_ok() && waiting.await.is_ok()
    }
}

/// Notes in a file that a reading has begun which takes the records away from the backend.
pub fn append_reading(path: &Path) -> Result<(), AcknowledgedError> {
    let append = || {
        let mut file = OpenOptions::new().append(true).open(path)?;
        // Behind a line that may be torn.
        file.write_all(format!("\0\n{READ}\n").as_bytes())?;
        file.sync_data()
    };
    append().map_err(|error| AcknowledgedError::new(path, error))
}

fn create(path: &Path, header: &Header) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let mut line = serde_json::to_vec(header)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_all()?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}

fn append(mut file: File, receiver: &Receiver<Acknowledged>) -> io::Result<()> {
    let mut text = String::new();
    let mut waiting = Vec::new();
    while let Ok(first) = receiver.recv() {
        text.clear();
        for Acknowledged { batch, synced } in
            std::iter::once(first).chain(receiver.try_iter().take(TOGETHER))
        {
            add_line(&mut text, &batch);
            waiting.push(synced);
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        for synced in waiting.drain(..) {
            // Nobody waits any more after a time-out.
            let _ = synced.send(());
        }
    }
    Ok(())
}

fn add_line(text: &mut String, batch: &Batch) {
    let Batch { key, numbers } = batch;
    let first = numbers.start;
    let written = match numbers.len() {
        1 => writeln!(text, "{key} {first}"),
        count => writeln!(text, "{key} {first} {count}"),
    };
    written.expect("a string takes text");
}
