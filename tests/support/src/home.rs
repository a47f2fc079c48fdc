//! A gateway's folder: its configuration, directory, keys and data, all under a folder of its own
//! that goes away with the last handle. Nothing in it is shared with another test.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tempfile::TempDir;

use super::certificates::Identity;
use super::records::{self, Line};

/// The real program, as cargo built it for this test run.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_iem-gateway");

const DIRECTORY: &str = include_str!("../../data/directory.toml");

#[derive(Clone)]
pub(crate) struct Home {
    folder: Arc<TempDir>,
    settings: BTreeMap<String, toml::Value>,
}

impl Home {
    /// A folder with the tests' directory and a configuration which writes to files under it, and
    /// has any free ports.
    pub(crate) fn new() -> Self {
        let home = Self::empty()
            .set("server.listen", "127.0.0.1:0")
            .set("server.drain", "5s")
            .set("admin.listen", "127.0.0.1:0")
            .set("directory.path", "directory.toml")
            .set("tokens.key_file", "token.key")
            .set("sink.type", "file")
            .set("sink.file.path", "data");
        home.write_directory(DIRECTORY);
        home
    }

    /// Serves HTTPS with this certificate.
    pub(crate) fn with_tls(self, identity: &Identity) -> Self {
        self.write_identity("tls", identity);
        self.set("server.tls.certificate", "tls.pem")
            .set("server.tls.key", "tls.key")
    }

    /// Writes a certificate and its key as `name.pem` and `name.key`.
    pub(crate) fn write_identity(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.pem"), &identity.certificate);
        self.write_secret(&format!("{name}.key"), identity.key.as_bytes());
    }

    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("iem-gateway-test-")
            .tempdir()
            .expect("a temporary folder");
        Self {
            folder: Arc::new(folder),
            settings: BTreeMap::new(),
        }
    }

    /// Sets one configuration key, `section.key`, and writes the configuration anew.
    pub(crate) fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.settings.insert(key.to_owned(), value.into());
        let lines = self
            .settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        self.write("gateway.toml", lines.collect::<Vec<_>>().concat());
        self
    }

    /// All that a request waits for takes so little that its whole time can be 8 s.
    pub(crate) fn with_short_times(self) -> Self {
        let topics = [
            "events",
            "metrics",
            "entities",
            "services",
            "healthchecks",
            "tickets",
        ];
        let deadline = |home: Self, topic| home.set(&format!("topics.{topic}.deadline"), "1s");
        let home = self
            .set("server.header_timeout", "1s")
            .set("server.body_timeout", "1s");
        topics
            .into_iter()
            .fold(home, deadline)
            .set("server.request_timeout", "8s")
    }

    /// Changes the directory file before the start, or behind a running gateway's back.
    pub(crate) fn edit_directory(self, edit: impl FnOnce(String) -> String) -> Self {
        let text = fs::read_to_string(self.path("directory.toml")).expect("the directory file");
        self.write_directory(&edit(text));
        self
    }

    fn write_directory(&self, text: &str) {
        let mut parts = text.split("{{hash:");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (password, rest) = part.split_once("}}").expect("a placeholder ends");
            whole.push_str(&hash(password));
            whole.push_str(rest);
        }
        // Beside and renamed: a gateway which follows the file must never see half of it.
        self.write("directory.toml.new", whole);
        fs::rename(self.path("directory.toml.new"), self.path("directory.toml")).expect("a rename");
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("a file in the test's own folder");
    }

    /// Writes a file which nobody but its owner may read.
    pub(crate) fn write_secret(&self, name: &str, bytes: &[u8]) {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path(name))
            .expect("a new file");
        file.write_all(bytes)
            .expect("a file in the test's own folder");
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("gateway.toml")
    }

    /// The real program in this folder, with an environment of its own; no argument yet.
    pub(crate) fn program(&self) -> Command {
        self.command(BINARY)
    }

    /// Any program in this folder, with an environment of its own.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs the real program to its end with these arguments and this home's configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .program()
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A program which reads no input may have closed it already.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(input.as_bytes());
        child.wait_with_output().expect("the program ends")
    }

    /// The records of a topic, in the order of the files that hold them.
    pub(crate) fn records(&self, topic: &str) -> Vec<Line> {
        records::read(&self.path("data").join(topic))
    }
}

/// An argon2id hash at the lowest cost there is: tests log in hundreds of times.
fn hash(password: &str) -> String {
    let salt = b"salt of tests 16";
    let mut hash = [0; 32];
    let params = Params::new(8, 1, 1, Some(hash.len())).expect("the lowest parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .expect("a hash");
    format!(
        "$argon2id$v=19$m=8,t=1,p=1${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    )
}
