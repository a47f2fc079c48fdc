//! The emulator's process, tied to ours: a shell reads from a pipe whose other end only we hold, and kills the emulator
//! when that end closes, be it by a drop, a panic or SIGKILL.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

const WATCHDOG: &str = r#""$@" >/dev/null 2>&1 </dev/null & echo $!; cat >/dev/null; kill -KILL $!; wait"#;

/// Java starts slowly on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

pub(super) struct Process {
    watchdog: Child,
    /// Its end is the emulator's end.
    lifeline: Option<ChildStdin>,
    pid: String,
}

impl Process {
    /// Returns when the emulator answers.
    ///
    /// # Panics
    /// Where it does not.
    pub(super) fn start(java: &[&str], jar: &Path, port: u16) -> Self {
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", "java"])
            .args(java)
            .arg("-jar")
            .arg(jar)
            .args(["--host=127.0.0.1".to_owned(), format!("--port={port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let lifeline = watchdog.stdin.take();
        let mut pid = String::new();
        let said = watchdog.stdout.take().expect("a pipe");
        BufReader::new(said).read_line(&mut pid).expect("the emulator's process id");
        let process = Self { watchdog, lifeline, pid: pid.trim().to_owned() };
        process.wait_until_ready(port);
        process
    }

    fn wait_until_ready(&self, port: u16) {
        let began = Instant::now();
        while !answers(port) {
            assert!(
                began.elapsed() < READY_WITHIN && self.signal("0"),
                "the Pub/Sub emulator does not start. It needs Java (`apt-get install default-jre-headless`); what it says is \
                 seen with `java -jar …/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar`"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the emulator where it stands, and waits until each of its threads has stopped.
    pub(super) fn pause(&self) {
        self.signal("STOP");
        while !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets a stopped emulator go on.
    pub(super) fn resume(&self) {
        self.signal("CONT");
    }

    /// Sends a signal, and says whether there was a process to take it.
    fn signal(&self, signal: &str) -> bool {
        let status = Command::new("kill").args(["-s", signal, &self.pid]).stderr(Stdio::null()).status();
        status.expect("kill").success()
    }

    /// By what Linux tells of each thread: `<id> (<name>) <state> …`, `T` being stopped.
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid)).expect("the emulator's threads");
        let stat = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("stat"));
        let is_stopped =
            |stat: String| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'));
        threads.flatten().filter_map(|thread| stat(thread).ok()).all(is_stopped)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.watchdog.wait();
    }
}

/// Whether HTTP is answered on the port. The port is open a moment before that.
fn answers(port: u16) -> bool {
    let timeout = Duration::from_secs(5);
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status)?;
        Ok(status)
    };
    ask().is_ok_and(|status| status.contains("200"))
}
