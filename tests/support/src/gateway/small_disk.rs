//! A small file system that only the programs on it see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::home::{Home, program};
use crate::brokers::process::Guarded;
use crate::eventually::{AMPLE, eventually};

/// A file system in memory, mounted at a folder in a mount namespace of its own. It ends with the
/// last process in the namespace, of which this is one.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Guarded,
    path: PathBuf,
    is_root: bool,
}

impl SmallDisk {
    /// Mounts `mebibytes` at a folder of a home.
    ///
    /// # Panics
    /// Without the right to mount anything, with what gives it.
    pub fn mount(home: &Home, folder: &str, mebibytes: usize) -> Self {
        let folder = home.path(folder);
        fs::create_dir_all(&folder).expect("a folder");
        let is_root = is_root();
        let place = folder
            .to_str()
            .expect("a temporary folder has a plain name");
        let script = format!("mount -t tmpfs -o size={mebibytes}m tmpfs {place} && exec sleep 1d");
        let unshare = [&["unshare"], options(is_root), &["sh", "-c", &script]].concat();
        let holder = Guarded::spawn(&home.path("disk.log"), &unshare);
        let mounts = format!("/proc/{}/mounts", holder.id());
        eventually(AMPLE, "a small disk", || {
            fs::read_to_string(&mounts).is_ok_and(|mounts| mounts.contains(place))
        });
        let inside = folder.strip_prefix("/").expect("an absolute path");
        let path = Path::new("/proc").join(holder.id().to_string());
        Self {
            path: path.join("root").join(inside),
            holder,
            is_root,
        }
    }

    /// The folder, as it is seen from here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a command that runs the gateway on the disk.
    pub fn serve(&self, home: &Home) -> Command {
        let mut command = home.command("nsenter");
        command.args(["--mount", &format!("--target={}", self.holder.id())]);
        if !self.is_root {
            command.args(["--user", "--preserve-credentials"]);
        }
        let folder = home.path("");
        command.arg(format!("--wd={}", folder.display()));
        command.args([&*program(), "serve"]);
        command
    }
}

/// The options of `unshare`: others than root need a user namespace.
fn options(is_root: bool) -> &'static [&'static str] {
    if is_root {
        &["--mount"]
    } else {
        &["--mount", "--map-root-user"]
    }
}

/// Returns whether a mount succeeds without a user namespace.
fn is_root() -> bool {
    [true, false]
        .into_iter()
        .find(|is_root| can_mount(options(*is_root)))
        .expect(
            "this test mounts a small file system of its own: it needs util-linux's `unshare`, \
         and root or unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
         or user.max_user_namespaces above 0)",
        )
}

/// Returns whether a mount succeeds with these options of `unshare`.
fn can_mount(options: &[&str]) -> bool {
    Command::new("unshare")
        .args(options)
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
