//! A running gateway as its operator sees it: signals, the end, the log.

use std::fs;
use std::process::{Child, ExitStatus};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Gateway, PATIENCE, Running};

impl Gateway {
    pub(super) fn child(&mut self) -> &mut Child {
        match &mut self.running {
            Running::Program(child) => child,
            Running::Inside { .. } => panic!("this gateway runs inside the test"),
        }
    }

    /// The program's process id.
    pub fn pid(&mut self) -> u32 {
        self.child().id()
    }

    /// Sends the program a signal.
    pub fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_child(self.child());
        kill_process(pid, signal).expect("the program takes a signal");
    }

    /// Ends the program at once, without a chance to tidy up.
    pub fn kill(&mut self) {
        self.child().kill().expect("the program is killed");
        self.child().wait().expect("the program's end");
    }

    /// Waits for the program to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let late = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child().try_wait().expect("a child's state") {
                return status;
            }
            assert!(
                Instant::now() < late,
                "the program does not end:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has a gateway inside this process read the directory again. When this returns, the file's
    /// content holds.
    pub fn reload(&self) {
        let Running::Inside { reload, .. } = &self.running else {
            panic!("this gateway is a program")
        };
        reload.lock().expect("no reload has panicked")();
    }

    /// Tells a gateway inside this process to stop, and does not wait for it.
    pub fn begin_stop(&mut self) {
        let Running::Inside { stop, .. } = &mut self.running else {
            panic!("this gateway is a program")
        };
        drop(stop.take());
    }

    /// Drains and ends a gateway that runs inside this process; its error or panic is the test's.
    pub fn stop(&mut self) {
        let Running::Inside { stop, thread, .. } = &mut self.running else {
            panic!("this gateway is a program")
        };
        drop(stop.take());
        match thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => panic!("the gateway did not end in order: {error}"),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }

    /// Returns all that the program has written to its standard output and error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path("log")).unwrap_or_default()
    }

    /// Returns the most memory that the program has held resident, in bytes.
    pub fn peak_memory(&mut self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process stands");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("a peak of memory");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a size in kB")
            * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        match &mut self.running {
            Running::Program(child) => {
                let _ = child.kill();
                let _ = child.wait();
                if thread::panicking() {
                    eprintln!("the program's log:\n{}", self.log());
                }
            }
            Running::Inside { stop, thread, .. } => {
                drop(stop.take());
                if let Some(Err(_)) = thread.take().map(JoinHandle::join) {
                    eprintln!("the gateway panicked");
                }
            }
        }
    }
}
