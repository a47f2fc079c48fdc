//! The CPU time and the memory of a child process, as Linux reports them in `/proc`.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::Serialize;

/// The time in which a server finishes what follows its last answer: counting, logging, freeing.
const SETTLE: Duration = Duration::from_millis(5);

/// A child process, by its id.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub i32);

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Resident {
    pub now: u64,
    pub peak: u64,
}

impl Process {
    /// Returns the CPU time of the threads so far, exact to the nanosecond for threads that sleep
    /// now. A thread that has ended is not counted: servers start their threads before they are
    /// measured, and keep them.
    pub fn cpu(self) -> Duration {
        let threads = fs::read_dir(self.folder().join("task")).expect("the child runs");
        Duration::from_nanos(
            threads
                .flatten()
                .filter_map(|thread| run_time(&thread))
                .sum(),
        )
    }

    /// Returns the CPU time once the process has finished what follows its last answer.
    pub fn settled_cpu(self) -> Duration {
        thread::sleep(SETTLE);
        self.cpu()
    }

    pub fn resident(self) -> Resident {
        let status = fs::read_to_string(self.folder().join("status")).expect("the child runs");
        let bytes = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("Linux reports the memory");
            line.trim()
                .trim_end_matches(" kB")
                .parse::<u64>()
                .expect("the memory is a number of kB")
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

/// Returns the nanoseconds that a thread has run, or `None` if it has ended.
fn run_time(thread: &fs::DirEntry) -> Option<u64> {
    let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}
