//! A file that lines are appended to. It is made anew where it was moved away, as programs that rotate
//! logs do.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// An open file, and the path that it should stand at.
pub(super) struct AppendedFile {
    path: PathBuf,
    file: File,
    /// Why the file at the path is not the open one.
    fault: Option<String>,
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
            fault: None,
        })
    }

    /// Opens the file at the path anew, if it is another one by now.
    fn follow(&mut self) -> io::Result<()> {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let own = identity(self.file.metadata()?);
        if fs::metadata(&self.path).map(identity).ok() != Some(own) {
            self.file = open(&self.path)?;
        }
        Ok(())
    }
}

/// Opens the file, or makes one. A symbolic link is not followed: a command that root runs must not
/// write elsewhere. What root makes belongs to the owner of its folder, who is the gateway.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options
        .append(true)
        .mode(0o640)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(folder)?;
    let file = options.create(true).open(path)?;
    if geteuid().is_root() {
        let owner = fs::metadata(folder)?;
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(file)
}

impl Write for AppendedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A line goes to the file that was moved away rather than nowhere.
        let fault = self.follow().err().map(|error| error.to_string());
        if fault != self.fault {
            if let Some(error) = &fault {
                let path = self.path.display();
                tracing::error!(%path, error, "the audit log cannot be opened anew");
            }
            self.fault = fault;
        }
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
        let path = folder.path().join("new/audit.log");
        drop(AppendedFile::open(&path).expect("the folder is made"));
        fs::write(&path, "before\n").expect("written");
        let mut log = AppendedFile::open(&path).expect("it opens");
        log.write_all(b"one\n").expect("written");
        fs::rename(&path, folder.path().join("new/audit.log.1")).expect("moved");
        log.write_all(b"two\n").expect("written");
        let text =
            |name: &str| fs::read_to_string(folder.path().join("new").join(name)).expect("text");
        assert_eq!(text("audit.log.1"), "before\none\n");
        assert_eq!(text("audit.log"), "two\n");
        let mode = fs::metadata(&path).expect("metadata").mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{mode:o}");
    }

    #[test]
    fn a_symbolic_link_is_not_written_through() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, other] = ["audit.log", "other"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&other, &path).expect("linked");
        assert!(AppendedFile::open(&path).is_err());
        assert!(!other.exists());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), "").expect("written");
        let path = folder.path().join("file/audit.log");
        let error = AppendedFile::open(&path).err().expect("no folder");
        assert!(error.to_string().contains("file/audit.log"), "{error}");
    }
}
