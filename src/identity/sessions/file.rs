//! The file of ended sessions, beside the directory file. Gateways and commands change it one at a
//! time; each adds to what is there, so that nobody's end is lost.

use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ended::Ended;
use super::session::milliseconds;
use crate::identity::directory::edit::lock;
use crate::identity::directory::{DirectoryError, PasswordVersion};
use crate::identity::private_file;
use crate::telemetry::audit;

/// More than the ended sessions of any directory need.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Returns the path of the file of ended sessions, beside this directory file.
pub(in crate::identity) fn path_beside(directory: &Path) -> PathBuf {
    private_file::beside(directory, ".ended")
}

/// Ends all sessions of a user with this password that have begun until now, in the file beside
/// this directory file. Blocks, also while another process changes it. A running gateway follows
/// within a second.
///
/// # Errors
/// The file is faulty, or cannot be written.
pub fn record(
    directory: &Path,
    email: &str,
    password: PasswordVersion,
    now: SystemTime,
) -> Result<(), DirectoryError> {
    let end = |all: &mut Ended| all.end_all(&email.into(), password, milliseconds(now));
    change(directory, now, end)?;
    audit::sessions_ended(email, "all, by a command");
    Ok(())
}

/// Changes the file beside this directory file, and leaves out what no token can belong to any
/// longer. Nobody edits the directory meanwhile.
pub(super) fn change(
    directory: &Path,
    now: SystemTime,
    change: impl FnOnce(&mut Ended),
) -> Result<(), DirectoryError> {
    let path = &path_beside(directory);
    let locked = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let _lock = lock(&locked).map_err(|error| unwritable(path, &error))?;
    let before = read(path)?;
    let mut all = parse(&before, path)?;
    change(&mut all);
    all.prune(milliseconds(now));
    let after = all.to_text().into_bytes();
    if after == before {
        return Ok(());
    }
    if let Err(fault) = check_size(&after) {
        return Err(unwritable(path, &fault));
    }
    let is_new = private_file::create(path, &after).map_err(|error| unwritable(path, &error))?;
    if !is_new {
        private_file::replace(path, &after).map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &impl Display) -> DirectoryError {
    DirectoryError::of_file(path, &format!("ended sessions cannot be written: {error}"))
}

/// Refuses the contents of a file that nobody would read.
pub(in crate::identity) fn check_size(contents: impl AsRef<[u8]>) -> Result<(), &'static str> {
    if contents.as_ref().len() as u64 > FILE_BYTES_MAX {
        return Err("they are too many for the file");
    }
    Ok(())
}

/// Reads the ended sessions beside this directory file. Blocks.
pub(in crate::identity) fn read_beside(directory: &Path) -> Result<Ended, DirectoryError> {
    let path = path_beside(directory);
    parse(&read(&path)?, &path)
}

/// Reads the file; one that is missing is empty. Blocks.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DirectoryError> {
    let file = match private_file::open(path) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(DirectoryError::of_file(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| DirectoryError::of_file(path, &error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(DirectoryError::of_file(path, &"is larger than 64 MiB"));
    }
    Ok(bytes)
}

pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Ended, DirectoryError> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| DirectoryError::of_file(path, &"not UTF-8 text"))?;
    Ended::parse(text, path)
}
