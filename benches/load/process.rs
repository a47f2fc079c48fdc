//! What Linux says of a child: the CPU time of its threads, its memory.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// A child, by its id.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub i32);

/// In bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Resident {
    pub now: u64,
    pub peak: u64,
}

impl Process {
    /// What its threads have run so far, to the nanosecond for those that sleep now. It counts no
    /// thread that has ended: servers start theirs before they are measured, and keep them.
    pub fn cpu(self) -> Duration {
        let threads = fs::read_dir(self.folder().join("task")).expect("a child that runs");
        let run = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(threads.flatten().filter_map(run).sum())
    }

    pub fn resident(self) -> Resident {
        let status = fs::read_to_string(self.folder().join("status")).expect("a child that runs");
        let bytes = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("a size of memory");
            line.trim()
                .trim_end_matches(" kB")
                .parse::<u64>()
                .expect("a size in kB")
                * 1024
        };
        Resident {
            now: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
        }
    }

    fn folder(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0))
    }
}
