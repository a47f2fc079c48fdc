//! A child process that does one piece of work as often as it can. Its cost is added to bare
//! hyper's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::process::Process;
use super::profile::Sampler;
use super::window::Window;

pub struct Worker {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts this program in a role. The child ends when its standard input is closed.
    pub fn start(role: &[&str]) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut child = Command::new(program)
            .arg("role")
            .args(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let orders = child.stdin.take().expect("standard input is piped");
        let reports = child.stdout.take().expect("standard output is piped");
        Self {
            child,
            orders,
            reports: BufReader::new(reports),
        }
    }

    pub fn process(&self) -> Process {
        Process(i32::try_from(self.child.id()).expect("a process id fits in an i32"))
    }

    /// Works for `time` and returns how often the work was done. Each time takes `records` records,
    /// where the work can choose.
    pub fn run(&mut self, records: usize, time: Duration) -> u64 {
        writeln!(self.orders, "{records} {}", time.as_millis()).expect("the worker runs");
        let mut line = String::new();
        self.reports
            .read_line(&mut line)
            .expect("the report is text");
        line.trim()
            .parse()
            .unwrap_or_else(|_| panic!("the worker has ended"))
    }

    /// Works for `time` and measures the process.
    pub fn measure(&mut self, records: usize, time: Duration, is_sampled: bool) -> Window {
        let process = self.process();
        let sampler = is_sampled.then(|| Sampler::start(process, time));
        let cpu_before = process.cpu();
        let began = Instant::now();
        let requests = self.run(records, time);
        let elapsed = began.elapsed();
        let cpu = process.settled_cpu().saturating_sub(cpu_before);
        Window {
            requests,
            records: requests * records as u64,
            elapsed,
            cpu,
            profile: sampler.map(Sampler::end),
            ..Window::default()
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
