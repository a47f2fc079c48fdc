//! A child that does one thing as often as it can, when it is told to: what is to be added to bare
//! hyper's cost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::process::Process;

pub struct Worker {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts this program in a role. It ends when nobody gives it orders any more.
    pub fn start(role: &[&str]) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command
            .arg("role")
            .args(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts");
        let orders = child.stdin.take().expect("it is piped");
        let reports = BufReader::new(child.stdout.take().expect("it is piped"));
        Self {
            child,
            orders,
            reports,
        }
    }

    pub fn process(&self) -> Process {
        Process(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Works for `time`, with so many records at a time where the work can choose. Says how often.
    pub fn run(&mut self, records: usize, time: Duration) -> u64 {
        writeln!(self.orders, "{records} {}", time.as_millis()).expect("a worker that runs");
        let mut line = String::new();
        self.reports.read_line(&mut line).expect("a report in text");
        line.trim()
            .parse()
            .unwrap_or_else(|_| panic!("the worker has ended"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
