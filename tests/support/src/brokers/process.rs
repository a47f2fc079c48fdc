//! A child that ends when its parent does. A guard's `drop` runs neither when a test process is
//! killed nor for a static, so a small shell stands between: it holds the child, reads a pipe that
//! only the parent has open for writing, and kills the child when that pipe closes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Prints the child's process id, then waits for the end of the pipe. `$0` is the log, the rest is
/// the command.
const KEEPER: &str = r#""$@" </dev/null >>"$0" 2>&1 & echo $!; exec >&-; read -r _; kill -9 $! 2>/dev/null; wait $!"#;

/// Removes the folder `$0` when the pipe ends and its users had time to die.
const SWEEPER: &str = r#"read -r _; sleep 1; rm -rf "$0""#;

/// A child process, killed when this is dropped or the process ends.
#[derive(Debug)]
pub struct Guarded {
    keeper: Child,
    pid: Pid,
}

impl Guarded {
    /// Starts `command`, whose output goes to the end of `log`.
    ///
    /// # Panics
    /// Where there is no shell or the command does not start.
    pub fn spawn(log: &Path, command: &[&str]) -> Self {
        let mut keeper = shell(KEEPER, log)
            .args(command)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("sh does not start: {error}"));
        let stdout = keeper.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the shell says a process id");
        let pid = line
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        Self { keeper, pid }
    }

    /// The child's process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    /// Whether the child still runs, as far as can be told without waiting for it.
    pub fn is_running(&self) -> bool {
        state(&self.folder()).is_some_and(|state| state != 'Z')
    }

    /// Stops the child where it stands, and waits until every thread of it has stopped.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        while !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets a stopped child go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn is_stopped(&self) -> bool {
        let Ok(threads) = fs::read_dir(self.folder().join("task")) else {
            return true;
        };
        threads
            .flatten()
            .all(|thread| state(&thread.path()).is_none_or(|state| matches!(state, 'T' | 'Z')))
    }

    /// The folder in which Linux tells of the child.
    fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid.as_raw_nonzero()))
    }

    /// Sends a signal to the child; one that has ended already gets none.
    fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Kills the child and waits for its end. Doing so twice is no fault.
    pub fn kill(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder under the system's temporary folder, removed when this is dropped or the process ends.
#[derive(Debug)]
pub struct Folder {
    folder: tempfile::TempDir,
    /// Its pipe closes with this process.
    _sweeper: Child,
}

impl Folder {
    /// Makes one whose name begins with `prefix`.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn new(prefix: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .expect("a temporary folder");
        let sweeper = shell(SWEEPER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh starts");
        Self {
            folder,
            _sweeper: sweeper,
        }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The state of a process or thread: the letter behind its name, which may hold anything itself.
fn state(folder: &Path) -> Option<char> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

fn shell(script: &str, zeroth: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(script)
        .arg(zeroth)
        .stdin(Stdio::piped())
        .stderr(Stdio::null());
    shell
}

/// The end of a log, for the message of a panic.
pub(crate) fn tail(log: &Path) -> String {
    let Ok(file) = File::open(log) else {
        return String::new();
    };
    let lines: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
