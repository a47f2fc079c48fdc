//! Files that hold secrets, or that say whom the gateway trusts.
//!
//! Such a file is written to a temporary file, which is synced and then renamed, so that a reader
//! and a crash see the old file or the new one, and no other user can read it at any time. It is
//! read only where no stranger on the machine can have written it.
//!
//! Reading follows symbolic links, because Kubernetes mounts files as such. Writing never does.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::geteuid;
use tempfile::NamedTempFile;

/// The mode of folders that are created: their group may look into them, and nobody else.
const FOLDER_MODE: u32 = 0o750;
/// The bit of a mode that lets everybody write.
const WORLD_WRITABLE: u32 = 0o002;
/// The bit of a folder's mode that lets nobody replace another user's file.
const STICKY: u32 = 0o1000;

/// Creates `path` with mode 0600. Returns `false`, and changes nothing, if there is one already.
///
/// A file that root makes belongs to the owner of its folder: an administrator who makes it must not
/// keep it from the gateway.
pub(super) fn create(path: &Path, contents: &[u8]) -> io::Result<bool> {
    let new = write_beside(path, contents)?;
    if geteuid().is_root() {
        keep_owner(new.as_file(), &fs::metadata(folder(path))?)?;
    }
    match new.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(refused) => Err(refused.error),
    }
}

/// Replaces `path`, which exists, keeping its mode and owner.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let old = fs::metadata(path)?;
    let new = write_beside(path, contents)?;
    keep_owner(new.as_file(), &old)?;
    new.as_file().set_permissions(old.permissions())?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|refused| refused.error)?;
    sync_folder(path)
}

/// Creates or replaces `path`.
pub(super) fn put(path: &Path, contents: &[u8]) -> io::Result<()> {
    if create(path, contents)? {
        return Ok(());
    }
    replace(path, contents)
}

/// Creates a folder and its parents with mode 0750. One that is there keeps its mode.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
}

/// Reads the whole of a file, as [`open`] opens it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    let mut contents = Vec::new();
    open(path)?.read_to_end(&mut contents)?;
    Ok(contents)
}

/// Opens a file for reading. Blocks.
///
/// # Errors
/// It cannot be opened, or every user of the machine may write it or put another one in its place:
/// see [`OpenError`].
pub(super) fn open(path: &Path) -> Result<File, OpenError> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode() & 0o7777;
    if mode & WORLD_WRITABLE != 0 {
        return Err(OpenError::Shared(mode));
    }
    check_folder(folder(path))?;
    check_folder(folder(&fs::canonicalize(path)?))?;
    Ok(file)
}

fn check_folder(folder: &Path) -> Result<(), OpenError> {
    let mode = fs::metadata(folder)?.mode() & 0o7777;
    let is_shared = mode & (WORLD_WRITABLE | STICKY) == WORLD_WRITABLE;
    // The folder of a mounted configuration map has such a mode, and nobody can write there.
    if is_shared && !is_read_only(folder)? {
        return Err(OpenError::SharedFolder {
            folder: folder.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn is_read_only(folder: &Path) -> io::Result<bool> {
    Ok(statvfs(folder)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The reason why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Everybody may write it. With its mode.
    #[error("everybody may change it (mode {0:04o}); `chmod o-w` it")]
    Shared(u32),
    /// Everybody may replace it: its folder, or that of the file it leads to, is writable for
    /// everybody and not sticky.
    #[error(
        "everybody may replace it: everybody may write in {} (mode {mode:04o}); \
         `chmod o-w` that folder",
        folder.display()
    )]
    SharedFolder {
        /// The folder.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

impl OpenError {
    /// Returns whether there is no such file.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Returns the folder that `path` is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Returns the path of a file in the same folder whose name has this suffix more.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path
        .file_name()
        .map_or_else(OsString::new, ToOwned::to_owned);
    name.push(suffix);
    path.with_file_name(name)
}

/// Gives `file` the owner of another file: an administrator who edits the gateway's file must not
/// take it away from the gateway.
pub(super) fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid())).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot keep the file's owner; run this as its owner: {error}"),
        )
    })
}

/// `NamedTempFile` creates with mode 0600 and removes the file again where it is not persisted.
fn write_beside(path: &Path, contents: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".iem-gateway-")
        .suffix(".new")
        .tempfile_in(folder(path))?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// A rename is on the disk once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(create(&path, b"one").unwrap());
        assert_eq!(mode(&path), 0o600);
        assert!(!create(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_replaced_file_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        fs::write(&path, "old").unwrap();
        set_mode(&path, 0o640);
        replace(&path, b"new").unwrap();
        assert_eq!(
            (mode(&path), fs::read(&path).unwrap()),
            (0o640, b"new".to_vec())
        );
    }

    #[test]
    fn folders_are_closed_to_strangers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one/two");
        create_folders(&path).unwrap();
        for made in [&path, path.parent().unwrap()] {
            assert_eq!(mode(made) & 0o027, 0, "{}", made.display());
        }
        set_mode(&path, 0o755);
        create_folders(&path).unwrap();
        assert_eq!(mode(&path), 0o755, "an operator's choice stays");
    }

    #[test]
    fn a_file_that_everybody_may_change_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        fs::write(&path, "text").unwrap();
        for allowed in [0o600, 0o640, 0o664, 0o444] {
            set_mode(&path, allowed);
            assert_eq!(read(&path).unwrap(), b"text", "{allowed:o}");
        }
        for refused in [0o602, 0o666] {
            set_mode(&path, refused);
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {refused:04o}")), "{error}");
        }
        assert!(!open(&path).unwrap_err().is_not_found());
        assert!(open(&path.join("nothing")).is_err());
        assert!(
            open(&folder.path().join("nothing"))
                .unwrap_err()
                .is_not_found()
        );
    }

    #[test]
    fn a_file_that_everybody_may_replace_is_not_read_by_either_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let [there, here] = ["there", "here"].map(|name| folder.path().join(name));
        for made in [&there, &here] {
            create_folders(made).unwrap();
        }
        let link = here.join("directory.toml");
        symlink("../there/directory.toml", &link).unwrap();
        fs::write(there.join("directory.toml"), "text").unwrap();
        assert_eq!(read(&link).unwrap(), b"text");
        for shared in [&there, &here] {
            set_mode(shared, 0o777);
            let error = read(&link).unwrap_err().to_string();
            assert!(
                error.contains(shared.file_name().unwrap().to_str().unwrap())
                    && error.contains("mode 0777"),
                "{error}"
            );
            // As /tmp: everybody may add files, and only an owner may replace one.
            set_mode(shared, 0o1777);
            assert_eq!(read(&link).unwrap(), b"text");
        }
    }
}
