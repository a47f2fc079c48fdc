//! A profile of a process's CPU time, taken by Linux's `perf`. It samples by the CPU clock, because
//! a virtual machine has no hardware counters.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tempfile::TempDir;

use super::folder;
use super::process::Process;

/// Samples a second of each thread: a prime number, so that no periodic work of the machine keeps
/// step with it.
const FREQUENCY: &str = "2999";
/// The time that `perf` needs to start. An idle process adds no samples meanwhile.
const BEGIN: Duration = Duration::from_millis(500);

/// A running `perf` that samples one process.
pub struct Sampler {
    perf: Child,
    folder: TempDir,
}

/// Shares of the samples. Together they are 1 until [`Profile::scaled`] is called.
#[derive(Default, Serialize)]
pub struct Profile {
    /// Shares by thread, and then by system call or by crate.
    pub places: BTreeMap<String, f64>,
    /// Shares by thread and function.
    pub functions: BTreeMap<String, f64>,
}

impl Sampler {
    /// Starts `perf`, and returns once it samples. It does so for `time`.
    pub fn start(process: Process, time: Duration) -> Self {
        let folder = folder::new("profile");
        let log = File::create(folder.path().join("log")).expect("the log is created");
        let perf = Command::new("perf")
            .args(["record", "--quiet", "-g"])
            .args(["--event", "cpu-clock"])
            .args(["--freq", FREQUENCY])
            .args(["--pid", &process.0.to_string()])
            .arg("--output")
            .arg(folder.path().join("data"))
            .args(["--", "sleep"])
            .arg((BEGIN + time).as_secs_f64().to_string())
            .stderr(log)
            .spawn()
            .expect("perf is installed: apt-get install linux-perf");
        thread::sleep(BEGIN);
        Self { perf, folder }
    }

    /// Waits for `perf` to end and returns the profile.
    pub fn end(mut self) -> Profile {
        let status = self.perf.wait().expect("perf is a child of this process");
        assert!(
            status.success(),
            "perf failed: {}",
            fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
        );
        let script = Command::new("perf")
            .args(["script", "--fields", "comm,ip,sym,dso", "--input"])
            .arg(self.folder.path().join("data"))
            .stderr(Stdio::null())
            .output()
            .expect("perf has run before");
        Profile::parse(&String::from_utf8_lossy(&script.stdout))
    }
}

impl Profile {
    /// Reads the output of `perf script`: blocks of a thread's name and the frames of its stack,
    /// innermost first.
    fn parse(script: &str) -> Self {
        let mut profile = Self::default();
        let samples: Vec<_> = script.split("\n\n").filter_map(sample).collect();
        let share = 1.0 / samples.len() as f64;
        for (thread, place, function) in samples {
            *profile
                .places
                .entry(format!("{thread}, {place}"))
                .or_default() += share;
            *profile
                .functions
                .entry(format!("{thread}, {function}"))
                .or_default() += share;
        }
        profile
    }

    /// Returns the profile with shares of `whole`.
    pub fn scaled(&self, whole: f64) -> Self {
        let scale = |shares: &BTreeMap<String, f64>| {
            shares
                .iter()
                .map(|(name, share)| (name.clone(), share * whole))
                .collect()
        };
        Self {
            places: scale(&self.places),
            functions: scale(&self.functions),
        }
    }
}

/// Returns the kind of the thread, the place and the function of a sample.
fn sample(block: &str) -> Option<(&str, String, &str)> {
    let mut lines = block.trim_start().lines();
    let thread = lines
        .next()?
        .trim()
        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let frames: Vec<(&str, &str)> = lines.filter_map(frame).collect();
    let (function, module) = *frames.first()?;
    let place = if module == "[kernel.kallsyms]" {
        format!("kernel: {}", call(&frames).unwrap_or("interrupts"))
    } else if module.contains(".so") || module.starts_with('[') {
        module.rsplit('/').next()?.to_owned()
    } else {
        krate(function).to_owned()
    };
    Some((thread, place, function))
}

/// Returns function and module of `address function (module)`.
fn frame(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (function, module) = rest.rsplit_once(" (")?;
    Some((function, module.trim_end_matches(')')))
}

/// Returns the system call of a stack in the kernel.
fn call<'a>(frames: &[(&'a str, &str)]) -> Option<&'a str> {
    let entry = frames
        .iter()
        .position(|(function, _)| *function == "do_syscall_64")?;
    let (function, _) = frames.get(entry.checked_sub(1)?)?;
    Some(
        ["__x64_sys_", "__do_sys_", "__sys_", "ksys_", "do_"]
            .iter()
            .find_map(|prefix| function.strip_prefix(prefix))
            .unwrap_or(function),
    )
}

/// Returns the crate of a function. An inlined function counts to the crate of its caller.
fn krate(function: &str) -> &str {
    let path = function
        .trim_start_matches(['<', '&', '(', '_'])
        .trim_start_matches("mut ");
    path.split("::")
        .next()
        .filter(|name| *name != path)
        .unwrap_or("C")
}
