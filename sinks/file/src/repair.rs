//! What a crash left in a topic's folder, put right before the first write: temporaries and twins go, torn tails are cut
//! off, empty files removed. Never takes anything out of the middle of a file.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use iem_sink::SinkError;

use crate::disk::{Disk, failed};
use crate::name::{self, ARCHIVE, Form, LINES, Names, TEMPORARY};
use crate::root::Root;

/// How much of a file is looked at in one read.
const CHUNK_BYTES: usize = 8 << 10;

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
        found.names.saw(&stem);
        match form {
            Form::Lines => lines.push(stem),
            Form::Archive => drop(archives.insert(stem)),
            Form::Temporary => remove(&root.disk, &folder.join(stem + TEMPORARY), "unfinished")?,
        }
    }
    lines.sort();
    for stem in lines {
        let path = folder.join(format!("{stem}{LINES}"));
        let good = cut_torn_tail(&root.disk, &path).map_err(|error| failed("repair", &path, &error))?;
        if good == 0 {
            remove(&root.disk, &path, "empty")?;
            continue;
        }
        if archives.contains(&stem) {
            remove(&root.disk, &folder.join(stem + ARCHIVE), "the uncompressed file is still there")?;
        }
        found.closed.push(path);
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
    disk.remove(path).map_err(|error| failed("remove", path, &error))
}

/// Cuts off what stands behind the last well-formed line, and says how much is left.
fn cut_torn_tail(disk: &Disk, path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let good = good_length(&file, length)?;
    if good < length {
        tracing::warn!(path = %path.display(), bytes = length - good, "cutting off a torn tail");
        let file = File::options().write(true).open(path)?;
        disk.set_len(&file, good)?;
        disk.sync_data(&file)?;
    }
    Ok(good)
}

/// Where the last well-formed line ends. Well-formed is a line that begins with `{`, ends with `}` and a line break, and
/// holds no NUL, which is what a file system leaves where data did not reach the disk.
fn good_length(file: &File, length: u64) -> io::Result<u64> {
    let (mut end, _) = line_start(file, length)?;
    while end > 0 {
        let last = end - 1;
        let (start, holds_nul) = line_start(file, last)?;
        let is_object = start < last && byte_at(file, start)? == b'{' && byte_at(file, last - 1)? == b'}';
        if is_object && !holds_nul {
            break;
        }
        end = start;
    }
    Ok(end)
}

/// Where the line begins that reaches up to `end`, and whether it holds a NUL.
fn line_start(file: &File, end: u64) -> io::Result<(u64, bool)> {
    let mut buffer = [0; CHUNK_BYTES];
    let mut chunk_end = end;
    let mut holds_nul = false;
    while chunk_end > 0 {
        let chunk_start = chunk_end.saturating_sub(CHUNK_BYTES as u64);
        // At most a chunk, so it fits.
        #[allow(clippy::cast_possible_truncation)]
        let chunk = &mut buffer[..(chunk_end - chunk_start) as usize];
        file.read_exact_at(chunk, chunk_start)?;
        let line_break = memchr::memrchr(b'\n', chunk);
        let from = line_break.map_or(0, |at| at + 1);
        holds_nul |= memchr::memchr(0, &chunk[from..]).is_some();
        if line_break.is_some() {
            return Ok((chunk_start + from as u64, holds_nul));
        }
        chunk_end = chunk_start;
    }
    Ok((0, holds_nul))
}

fn byte_at(file: &File, offset: u64) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    Ok(byte[0])
}
