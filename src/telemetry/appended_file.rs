//! A file that lines are appended to. It is made anew where it was moved away, as programs that rotate
//! logs do.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An open file, and the path that it should stand at.
pub(super) struct AppendedFile {
    path: PathBuf,
    file: File,
}

impl AppendedFile {
    /// Opens the file, or makes one that its owner writes and its group reads.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("audit log {}: {error}", path.display()),
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn follow(&mut self) -> io::Result<()> {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let own = identity(self.file.metadata()?);
        if fs::metadata(&self.path).map(identity).ok() != Some(own) {
            self.file = open(&self.path)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

impl Write for AppendedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A line goes to the file that was moved away rather than nowhere.
        let _ = self.follow();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        fs::write(&path, "before\n").expect("written");
        let mut log = AppendedFile::open(&path).expect("it opens");
        log.write_all(b"one\n").expect("written");
        fs::rename(&path, folder.path().join("audit.log.1")).expect("moved");
        log.write_all(b"two\n").expect("written");
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).expect("text");
        assert_eq!(text("audit.log.1"), "before\none\n");
        assert_eq!(text("audit.log"), "two\n");
        let mode = fs::metadata(&path).expect("metadata").mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{mode:o}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("missing/audit.log");
        let error = AppendedFile::open(&path).err().expect("no folder");
        assert!(error.to_string().contains("missing/audit.log"), "{error}");
    }
}
