//! What a crash left in a topic's folder, put right before the first write: temporaries and twins
//! go, torn lines are taken out, empty files removed. Never takes a well-formed line.
//!
//! Of twins the archive stays: it was synced before it got its name, while the file of lines,
//! removed and brought back by the crash, may lack what was never synced. An archive that is not
//! whole, or holds less, is not ours, and goes.
//!
//! Behind the last well-formed line of a file everything is cut off. With
//! [`FileConfig::sync`](crate::FileConfig::sync) the files that were open at the end of the last
//! run, or may have been, are also read from the front: after a loss of power the end of a batch
//! may be on the disk without its beginning. All well-formed lines stay, also those behind a torn
//! one: it may be that they were written without sync, and are delivered. Without sync, files are
//! not read whole: there may be any number of them, and what stands in them is up to the operating
//! system.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use iem_sink::SinkError;

use crate::disk::{Disk, failed};
use crate::name::{self, ARCHIVE, Form, LINES, Names, TEMPORARY};
use crate::root::Root;
use crate::{mark, scan};

/// What stands in a topic's folder after its repair.
#[derive(Default)]
pub(crate) struct Found {
    /// The last of the names in use.
    pub(crate) names: Names,
    /// The files of lines, in name order. All are closed.
    pub(crate) closed: Vec<PathBuf>,
}

/// Repairs a topic's folder.
pub(crate) fn repair(root: &Root, folder: &Path) -> Result<Found, SinkError> {
    let mut found = Found::default();
    let mut archives = HashSet::new();
    let mut lines = Vec::new();
    for (stem, form) in list(folder).map_err(|error| failed("read the folder", folder, &error))? {
        found.names.observe(&stem);
        match form {
            Form::Lines => lines.push(stem),
            Form::Archive => drop(archives.insert(stem)),
            Form::Temporary => remove(&root.disk, &folder.join(stem + TEMPORARY), "unfinished")?,
        }
    }
    lines.sort();
    let closed = mark::read(folder);
    if let Some(stem) = &closed {
        found.names.observe(stem);
    }
    let was_open =
        |stem: &String| root.config.sync && closed.as_ref().is_none_or(|closed| stem > closed);
    let last_open = lines.last().filter(|stem| was_open(stem)).cloned();
    for stem in lines {
        let path = folder.join(format!("{stem}{LINES}"));
        let good = if was_open(&stem) {
            take_out_torn_lines(
                &root.disk,
                &path,
                &folder.join(format!("{stem}{TEMPORARY}")),
            )
        } else {
            cut_torn_tail(&root.disk, &path)
        };
        let good = match good {
            // A reader has taken it away since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            good => good.map_err(|error| failed("repair", &path, &error))?,
        };
        let archive = folder.join(format!("{stem}{ARCHIVE}"));
        if good == 0 {
            remove(&root.disk, &path, "empty")?;
        } else if !archives.contains(&stem) {
            found.closed.push(path);
        } else if archived_bytes(&archive).map_err(|error| failed("read", &archive, &error))?
            >= good
        {
            // The archive's name must be on the disk before the other one goes.
            root.disk
                .sync_folder(folder)
                .map_err(|error| failed("sync", folder, &error))?;
            remove(&root.disk, &path, "its archive is whole")?;
        } else {
            remove(&root.disk, &archive, "less than the uncompressed file")?;
            found.closed.push(path);
        }
    }
    if let Some(stem) = last_open {
        mark::write(folder, &stem);
    }
    Ok(found)
}

/// The sink's own files in a folder.
fn list(folder: &Path) -> io::Result<Vec<(String, Form)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        if let Some((stem, form)) = entry.file_name().to_str().and_then(name::parse) {
            files.push((stem.to_owned(), form));
        }
    }
    Ok(files)
}

fn remove(disk: &Disk, path: &Path, why: &str) -> Result<(), SinkError> {
    tracing::info!(path = %path.display(), why, "removing a file");
    disk.remove(path)
        .map_err(|error| failed("remove", path, &error))
}

/// How much an archive holds; nothing where it is not whole, by its frame's end and checksum.
fn archived_bytes(archive: &Path) -> io::Result<u64> {
    match io::copy(
        &mut zstd::Decoder::new(File::open(archive)?)?,
        &mut io::sink(),
    ) {
        // The decoder's own, not the operating system's: that one says nothing about what is in the
        // file.
        Err(error) if error.raw_os_error().is_none() => Ok(0),
        bytes => bytes,
    }
}

/// Cuts off what stands behind the last well-formed line, and says how much is left.
fn cut_torn_tail(disk: &Disk, path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let good = scan::good_length(&file, length)?;
    cut(disk, path, length, good)?;
    Ok(good)
}

/// Takes out all that is not a well-formed line, brings the file to the disk, and says how much is
/// left.
fn take_out_torn_lines(disk: &Disk, path: &Path, temporary: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let runs = scan::good_runs(&file)?;
    let good = runs.iter().map(|run| run.end - run.start).sum();
    if runs.last().is_none_or(|run| run.end == good) {
        cut(disk, path, length, good)?;
        disk.sync_data(&file)?;
    } else {
        tracing::warn!(path = %path.display(), bytes = length - good, "taking out torn lines");
        let whole = copy_runs(disk, file, &runs, temporary)?;
        disk.sync_data(&whole)?;
        disk.rename(temporary, path)?;
        disk.sync_folder(path.parent().unwrap_or(Path::new("")))?;
    }
    Ok(good)
}

fn cut(disk: &Disk, path: &Path, length: u64, good: u64) -> io::Result<()> {
    if good < length {
        tracing::warn!(path = %path.display(), bytes = length - good, "cutting off a torn tail");
        let file = File::options().write(true).open(path)?;
        disk.set_len(&file, good)?;
        disk.sync_data(&file)?;
    }
    Ok(())
}

fn copy_runs(disk: &Disk, mut from: File, runs: &[Range<u64>], to: &Path) -> io::Result<File> {
    let mut copy = disk.create(to)?;
    for run in runs {
        from.seek(SeekFrom::Start(run.start))?;
        io::copy(&mut (&from).take(run.end - run.start), &mut copy)?;
    }
    Ok(copy)
}
