//! Starts of the real program by a service manager that passes it sockets.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::home::Home;
use super::{Gateway, Running};

/// Moves the two sockets from the standard input and output to where the protocol has them, and
/// becomes the program.
const PASS: &str = r#"exec 3<&0 4<&1 </dev/null >&2; LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" "$@" "#;

impl Home {
    /// Returns a command that runs the real program with these sockets passed: for the service and,
    /// by name, for probes and metrics. Its standard output is its standard error.
    pub fn program_on(&self, service: &TcpListener, admin: &TcpListener) -> Command {
        let stdio = |listener: &TcpListener| {
            let listener = listener.try_clone().expect("a socket's handle");
            Stdio::from(OwnedFd::from(listener))
        };
        let mut command = self.command("sh");
        command
            .args(["-c", PASS, &super::program(), "--config"])
            .arg(self.config())
            .env("LISTEN_FDNAMES", "service:admin")
            .stdin(stdio(service))
            .stdout(stdio(admin));
        command
    }

    /// Starts the real program on sockets that listen already, and waits for nothing.
    pub fn spawn_on(&self, service: &TcpListener, admin: &TcpListener) -> Gateway {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log file");
        let mut command = self.program_on(service, admin);
        let child = command.stderr(log).spawn().expect("the program starts");
        Gateway {
            home: self.clone(),
            address: service.local_addr().expect("its address"),
            admin: admin.local_addr().expect("its address"),
            running: Running::Program(child),
            alice: OnceLock::new(),
        }
    }
}
