//! The emulator's process.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::brokers::process::{Folder, Guarded, tail};

/// Java starts slowly on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A running emulator, killed when this is dropped or the process ends.
pub(super) struct Emulator {
    pub(super) process: Guarded,
    /// Holds its log.
    folder: Folder,
}

impl Emulator {
    /// Returns when the emulator answers.
    ///
    /// # Panics
    /// Where it does not, with the end of its log.
    pub(super) fn start(java: &[&str], jar: &Path, port: u16) -> Self {
        let folder = Folder::new("iem-pubsub-");
        let jar = jar.to_str().expect("a plain path");
        let port_option = format!("--port={port}");
        let command = [
            &["java"],
            java,
            &["-jar", jar, "--host=127.0.0.1", &port_option],
        ]
        .concat();
        let process = Guarded::spawn(&folder.path().join("log"), &command);
        let emulator = Self { process, folder };
        emulator.wait_until_ready(port);
        emulator
    }

    fn wait_until_ready(&self, port: u16) {
        let end = Instant::now() + READY_WITHIN;
        while !answers(port) {
            assert!(
                Instant::now() < end && self.process.is_running(),
                "the Pub/Sub emulator does not start. It needs Java (`apt-get install default-jre-headless`):\n{}",
                tail(&self.folder.path().join("log"))
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether HTTP is answered on the port. The port is open a moment before that.
fn answers(port: u16) -> bool {
    let timeout = Duration::from_secs(5);
    let ask = || -> std::io::Result<String> {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status)?;
        Ok(status)
    };
    ask().is_ok_and(|status| status.contains("200"))
}
