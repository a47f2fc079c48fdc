//! The owner of a new file: an administrator who makes it must not keep it from the gateway.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// Gives `file` to the owner of `other`. A file that cannot be given away is removed, because its
/// readers could not read it.
///
/// # Errors
/// The operating system's, if it denies this.
pub(super) fn give_to_owner_of(other: &Path, file: &Path) -> io::Result<()> {
    let owner = fs::metadata(other)?;
    if fs::metadata(file)?.uid() == owner.uid() {
        return Ok(());
    }
    chown(file, Some(owner.uid()), Some(owner.gid())).map_err(|error| {
        let _ = fs::remove_file(file);
        io::Error::new(
            error.kind(),
            format!("cannot give it to its owner; run this as the owner: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_of_the_same_owner_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "text").unwrap();
        give_to_owner_of(folder.path(), &file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"text");
    }

    #[test]
    fn a_file_that_root_makes_is_given_to_the_other_owner() {
        let folder = tempfile::tempdir().unwrap();
        let [file, other] = ["file", "other"].map(|name| folder.path().join(name));
        fs::write(&file, "text").unwrap();
        fs::write(&other, "").unwrap();
        // Only root may do this, and so find another owner.
        if chown(&other, Some(12_345), Some(12_345)).is_err() {
            return;
        }
        give_to_owner_of(&other, &file).unwrap();
        let owner = fs::metadata(&file).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (12_345, 12_345));
    }
}
