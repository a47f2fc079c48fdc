//! The folder of all topics: held by one process at a time, for as long as anything may still touch
//! a file in it.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use iem_sink::SinkError;

use crate::FileConfig;
use crate::disk::{Disk, failed};

/// Names the process that holds the folder. Begins with a dot, as no topic does.
const LOCK: &str = ".lock";
/// Written and removed again to see whether the folder takes writes.
const PROBE: &str = ".probe";
/// As much as a batch of a hundred usual records: a single block may find room where no batch does.
const PROBE_BYTES: usize = 64 << 10;

/// The folder, with what everything below needs of it.
pub(crate) struct Root {
    pub(crate) config: FileConfig,
    pub(crate) disk: Disk,
    /// Released when it is closed.
    _lock: File,
}

impl Root {
    pub(crate) fn open(config: FileConfig) -> Result<Self, SinkError> {
        let disk = Disk::default();
        let path = &config.path;
        create_folder(&disk, path, config.sync)
            .map_err(|error| failed("make the folder", path, &error))?;
        let lock = lock(path)?;
        Ok(Self {
            config,
            disk,
            _lock: lock,
        })
    }

    /// Writes a file of 64 KiB, syncs it where the configuration asks for that, and removes it.
    pub(crate) fn probe(&self) -> Result<(), SinkError> {
        let path = self.config.path.join(PROBE);
        let written = File::create(&path).and_then(|mut file| {
            self.disk.write_all(&mut file, &vec![b' '; PROBE_BYTES])?;
            if self.config.sync {
                self.disk.sync_data(&file)
            } else {
                Ok(())
            }
        });
        let removed = fs::remove_file(&path);
        written
            .and(removed)
            .map_err(|error| failed("write", &path, &error))
    }
}

/// What a gateway that starts on this folder would find. Leaves the folder as it is.
pub(crate) fn inspect(path: &Path) -> Result<String, SinkError> {
    if !path
        .try_exists()
        .map_err(|error| failed("look at", path, &error))?
    {
        return Ok("made on first start".to_owned());
    }
    if let Ok(mut file) = File::open(path.join(LOCK))
        && matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    {
        return Ok(held(path, &mut file));
    }
    let probe = path.join(PROBE);
    let written = fs::write(&probe, vec![b' '; PROBE_BYTES]);
    let removed = fs::remove_file(&probe);
    written
        .and(removed)
        .map_err(|error| failed("write", &probe, &error))?;
    Ok("takes writes".to_owned())
}

/// Makes a folder and those above it. With `sync`, each is on the disk before anything is put into
/// it.
pub(crate) fn create_folder(disk: &Disk, path: &Path, sync: bool) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    create_folder(disk, parent, sync)?;
    fs::create_dir(path)?;
    if sync {
        // A folder that may not last must not be taken for one that does at the next attempt.
        disk.sync_folder(parent)
            .inspect_err(|_| drop(fs::remove_dir(path)))?;
    }
    Ok(())
}

/// Locks the folder by a file in it, until that is closed, and writes into the file who holds it.
fn lock(folder: &Path) -> Result<File, SinkError> {
    let path = &folder.join(LOCK);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| failed("open", path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(SinkError::permanent(held(folder, &mut file))),
        Err(TryLockError::Error(error)) => return Err(failed("lock", path, &error)),
    }
    // The lock holds without its note: a full disk is no reason not to start.
    if let Err(error) = sign(&mut file) {
        tracing::warn!(path = %path.display(), %error, "cannot note who holds the folder");
    }
    Ok(file)
}

fn sign(file: &mut File) -> io::Result<()> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    file.set_len(0)?;
    writeln!(file, "process {}, since {now}", std::process::id())
}

/// Who holds the folder, in words.
fn held(folder: &Path, file: &mut File) -> String {
    let mut holder = String::new();
    // Read for the message alone: without it the message is shorter.
    let _ = file.take(200).read_to_string(&mut holder);
    let folder = folder.display();
    match holder.trim() {
        "" => format!("{folder} is held by another process"),
        holder => format!("{folder} is held by another gateway: {holder}"),
    }
}
