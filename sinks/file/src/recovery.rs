//! The recovery of a topic's folder after a crash, before the first write. It removes unfinished
//! archives, empty files and one of two files with the same stem, and takes out torn lines. It
//! never removes a well-formed line.
//!
//! If a file of lines and an archive have the same stem, the archive stays: it was synced before
//! it got its name. The file of lines had been removed and came back with the crash, so it may
//! lack data that was never synced. An archive that is incomplete, or holds less than the file of
//! lines, was not written by this sink, and is removed.
//!
//! Everything behind the last well-formed line of a file is cut off. With `sync`, the files that
//! were or may have been open at the end of the last run are also read from the front: after a
//! loss of power, the end of a batch may be on the disk without its beginning. The well-formed
//! lines behind a torn one stay, because they may have been written without sync, and delivered.
//! Without `sync`, files are not read as a whole: there may be any number of them, and the
//! operating system decides what they contain.

mod torn_lines;
mod well_formed;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use iem_disk::{Disk, DiskError};

use crate::checkpoint;
use crate::name::{self, ARCHIVE, Form, LINES, Names, TEMPORARY};

/// The state of a topic's folder after its recovery.
#[derive(Default)]
pub(crate) struct Recovered {
    /// The last of the names in use.
    pub(crate) names: Names,
    /// The files of lines, in name order. All are closed.
    pub(crate) closed: Vec<PathBuf>,
}

/// The stems of the sink's own files in a folder, by their form.
#[derive(Default)]
struct Stems {
    lines: BTreeSet<String>,
    archives: BTreeSet<String>,
    temporaries: BTreeSet<String>,
}

/// Recovers a topic's folder.
pub(crate) fn recover(disk: &Disk, folder: &Path, sync: bool) -> Result<Recovered, DiskError> {
    let stems =
        Stems::list(folder).map_err(|error| DiskError::new("read the folder", folder, error))?;
    let checkpoint = checkpoint::read(folder);
    let mut recovered = Recovered::default();
    for stem in stems.all().chain(&checkpoint) {
        recovered.names.observe(stem);
    }
    for stem in &stems.temporaries {
        remove(disk, &path(folder, stem, TEMPORARY), "unfinished")?;
    }
    let mut last_open = None;
    for stem in &stems.lines {
        let was_open = sync && checkpoint.as_ref().is_none_or(|closed| stem > closed);
        if was_open {
            last_open = Some(stem);
        }
        if recover_file(disk, folder, stem, was_open, &stems.archives)? {
            recovered.closed.push(path(folder, stem, LINES));
        }
    }
    if let Some(stem) = last_open {
        checkpoint::write(folder, stem);
    }
    Ok(recovered)
}

/// Recovers one file of lines. Returns whether it stays.
fn recover_file(
    disk: &Disk,
    folder: &Path,
    stem: &str,
    was_open: bool,
    archives: &BTreeSet<String>,
) -> Result<bool, DiskError> {
    let lines = path(folder, stem, LINES);
    let well_formed_bytes = if was_open {
        torn_lines::take_out(disk, &lines, &path(folder, stem, TEMPORARY))
    } else {
        torn_lines::cut_off_tail(disk, &lines)
    };
    let well_formed_bytes = match well_formed_bytes {
        // A reader has removed the file since it was listed.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        result => result.map_err(|error| DiskError::new("recover", &lines, error))?,
    };
    if well_formed_bytes == 0 {
        remove(disk, &lines, "empty")?;
        return Ok(false);
    }
    if !archives.contains(stem) {
        return Ok(true);
    }
    let archive = path(folder, stem, ARCHIVE);
    let archived_bytes =
        archived_bytes(&archive).map_err(|error| DiskError::new("read", &archive, error))?;
    if archived_bytes < well_formed_bytes {
        remove(disk, &archive, "holds less than the uncompressed file")?;
        return Ok(true);
    }
    // The archive's name must be on the disk before the other file is removed.
    disk.sync_folder(folder)
        .map_err(|error| DiskError::new("sync", folder, error))?;
    remove(disk, &lines, "its archive is complete")?;
    Ok(false)
}

impl Stems {
    fn list(folder: &Path) -> io::Result<Self> {
        let mut stems = Self::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            let name = entry.file_name();
            let Some((stem, form)) = name.to_str().and_then(name::parse) else {
                continue;
            };
            let of_this_form = match form {
                Form::Lines => &mut stems.lines,
                Form::Archive => &mut stems.archives,
                Form::Temporary => &mut stems.temporaries,
            };
            of_this_form.insert(stem.to_owned());
        }
        Ok(stems)
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.lines
            .iter()
            .chain(&self.archives)
            .chain(&self.temporaries)
    }
}

fn path(folder: &Path, stem: &str, ending: &str) -> PathBuf {
    folder.join(format!("{stem}{ending}"))
}

fn remove(disk: &Disk, path: &Path, reason: &str) -> Result<(), DiskError> {
    tracing::info!(path = %path.display(), reason, "removing a file");
    disk.remove(path)
        .map_err(|error| DiskError::new("remove", path, error))
}

/// Returns the uncompressed size of an archive, or 0 if its end or checksum shows that it is
/// incomplete.
pub(crate) fn archived_bytes(archive: &Path) -> io::Result<u64> {
    let mut decoder = zstd::Decoder::new(File::open(archive)?)?;
    match io::copy(&mut decoder, &mut io::sink()) {
        // An error of the decoder. One of the operating system says nothing about the content.
        Err(error) if error.raw_os_error().is_none() => Ok(0),
        result => result,
    }
}
