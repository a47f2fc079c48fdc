//! Real clients: curl, openssl and promtool. A test fails if one is not installed, and names the
//! command that installs it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use crate::answer::Answer;
use crate::gateway::Home;

const STATUS_MARK: &str = "\n--- ";

/// One run of curl, in a gateway's folder.
pub struct Curl(Command);

impl Curl {
    /// Prepares a run. `ca` is the file of the gateway's authority, in the folder.
    pub fn new(home: &Home, ca: &str) -> Self {
        let mut command = home.command("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--cacert",
            ca,
        ]);
        command.args([
            "--write-out",
            &format!("{STATUS_MARK}%{{http_version}} %{{http_code}}"),
        ]);
        Self(command)
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<str>) -> Self {
        self.0.arg(argument.as_ref());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs curl to its end.
    pub fn run(mut self) -> Output {
        self.0
            .output()
            .unwrap_or_else(|error| panic!("curl does not run ({error}): apt-get install curl"))
    }

    /// Runs curl; returns the answer without its headers, or the error that curl prints.
    pub fn try_answer(self) -> Result<Answer, String> {
        let output = self.run();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).expect("an answer in UTF-8");
        let (body, mark) = text.rsplit_once(STATUS_MARK).expect("curl's last line");
        let (version, status) = mark.split_once(' ').expect("a version and a status");
        Ok(Answer {
            version: format!("HTTP/{version}"),
            status: status.parse().expect("a status"),
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            interim: 0,
        })
    }

    /// As [`try_answer`](Self::try_answer); fails the test where there is no answer.
    #[track_caller]
    pub fn answer(self) -> Answer {
        self.try_answer()
            .unwrap_or_else(|error| panic!("curl has no answer: {error}"))
    }
}

/// A connection by `openssl s_client`, which stays until it is dropped.
pub struct SecureClient(Child);

impl SecureClient {
    /// Connects to the gateway at `address`, which has to have a certificate of `ca`.
    pub fn open(home: &Home, address: SocketAddr, ca: &str, arguments: &[&str]) -> Self {
        let mut command = home.command("openssl");
        command.args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-CAfile",
            ca,
            "-connect",
        ]);
        command.arg(address.to_string()).args(arguments);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap_or_else(|error| {
            panic!("openssl does not run ({error}): apt-get install openssl")
        }))
    }

    /// Sends a request, and reads until the answer's body ends in these words.
    #[track_caller]
    pub fn exchange(&mut self, request: &[u8], words: &str) -> String {
        let input = self.0.stdin.as_mut().expect("a pipe");
        input
            .write_all(request)
            .and_then(|()| input.flush())
            .expect("openssl reads");
        let output = self.0.stdout.as_mut().expect("a pipe");
        let (mut text, mut chunk) = (String::new(), [0; 4096]);
        while !text.ends_with(words) {
            let length = output.read(&mut chunk).expect("openssl's output");
            assert_ne!(length, 0, "openssl has ended: {text}");
            text += &String::from_utf8_lossy(&chunk[..length]);
        }
        text
    }

    /// Waits for the connection's end; returns the errors that openssl prints.
    pub fn end(mut self) -> String {
        // openssl ends when its input does, so that is kept open.
        let input = self.0.stdin.take();
        let mut said = String::new();
        self.0
            .stderr
            .take()
            .expect("a pipe")
            .read_to_string(&mut said)
            .expect("openssl's words");
        drop(input);
        said
    }
}

impl Drop for SecureClient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has `promtool` check a page of metrics: its format, names, types and help texts.
#[track_caller]
pub fn check_metrics(page: &str) {
    promtool(&["check", "metrics"], page);
}

/// Runs `promtool` with this text at its standard input; fails the test with all that it says unless
/// it succeeds.
#[track_caller]
pub fn promtool(arguments: &[&str], text: &str) {
    let mut promtool = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "promtool does not run ({error}): \
                 apt-get install --no-install-recommends prometheus"
            )
        });
    let mut input = promtool.stdin.take().expect("a pipe");
    // It may read none.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = promtool.wait_with_output().expect("promtool's output");
    assert!(
        output.status.success(),
        "promtool: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
