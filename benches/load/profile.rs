//! Where a process spends its CPU time, by Linux's `perf`. It samples by a clock: a virtual machine
//! has no counters.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tempfile::TempDir;

use super::folder;
use super::process::Process;

/// Samples in a second of each thread. No clock of a machine's own beats as fast.
const FREQUENCY: &str = "2999";
/// Until `perf` samples. A process that does nothing meanwhile is not sampled.
const BEGIN: Duration = Duration::from_millis(500);

/// A `perf` that samples a process.
pub struct Sampler {
    perf: Child,
    folder: TempDir,
}

/// Shares of what all samples come to, 1 at first.
#[derive(Default, Serialize)]
pub struct Profile {
    /// By thread, and there by system call or by crate.
    pub places: BTreeMap<String, f64>,
    /// By thread and function.
    pub functions: BTreeMap<String, f64>,
}

impl Sampler {
    /// Samples for `time` from the return of this.
    pub fn start(process: Process, time: Duration) -> Self {
        let folder = folder::new("profile");
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        let mut command = Command::new("perf");
        command.args([
            "record",
            "--quiet",
            "--event",
            "cpu-clock",
            "--freq",
            FREQUENCY,
            "-g",
            "--pid",
        ]);
        command.arg(process.0.to_string()).arg("--output").arg(data);
        command
            .args(["--", "sleep"])
            .arg((BEGIN + time).as_secs_f64().to_string());
        let log = std::fs::File::create(log).expect("a file in a new folder");
        let perf = command
            .stderr(log)
            .spawn()
            .expect("perf of this Linux: apt-get install linux-perf");
        thread::sleep(BEGIN);
        Self { perf, folder }
    }

    /// What was seen.
    pub fn end(mut self) -> Profile {
        let ended = self.perf.wait().expect("a child of one's own");
        let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(ended.success(), "perf has not sampled: {}", log());
        let mut script = Command::new("perf");
        script
            .args(["script", "--fields", "comm,ip,sym,dso", "--input"])
            .arg(self.folder.path().join("data"));
        let script = script
            .stderr(Stdio::null())
            .output()
            .expect("perf has run before");
        Profile::of(&String::from_utf8_lossy(&script.stdout))
    }
}

impl Profile {
    /// Of `perf script`: blocks of a thread's name and the frames of its stack, innermost first.
    fn of(script: &str) -> Self {
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

    /// With shares of `whole`.
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

/// The thread's kind, the place and the function of a sample.
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

/// Function and module of `address function (module)`.
fn frame(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (function, module) = rest.rsplit_once(" (")?;
    Some((function, module.trim_end_matches(')')))
}

/// The system call that a stack of the kernel's is in.
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

/// Whose a function is. What has been compiled into another counts there.
fn krate(function: &str) -> &str {
    let path = function
        .trim_start_matches(['<', '&', '(', '_'])
        .trim_start_matches("mut ");
    path.split("::")
        .next()
        .filter(|name| *name != path)
        .unwrap_or("C")
}
