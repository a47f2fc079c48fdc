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
use crate::arrived::{Line, read_lines, read_lines_so_far};
use crate::directory::{DIRECTORY, with_hashes};
use crate::topics::TOPICS;

/// A gateway's folder.
#[derive(Clone)]
pub struct Home {
    folder: Arc<TempDir>,
    settings: BTreeMap<String, toml::Value>,
}

// A folder is made, which `default` would not say.
#[allow(clippy::new_without_default)]
impl Home {
    /// Makes a folder with the tests' directory, and with a configuration that takes any free ports
    /// and delivers to files in the folder.
    pub fn new() -> Self {
        let home = Self::empty()
            .set("server.listen", "127.0.0.1:0")
            .set("server.drain", "5s")
            .set("admin.listen", "127.0.0.1:0")
            .set("directory.path", "directory.toml")
            .set("tokens.key_file", "token.key")
            .set("sink.type", "file")
            .set("sink.file.path", "data")
            .set("journal.path", "journal");
        home.write_directory(DIRECTORY);
        home
    }

    /// Has the gateway serve HTTPS with this certificate.
    pub fn with_tls(self, identity: &Identity) -> Self {
        self.write_identity("tls", identity);
        self.set("server.tls.certificate", "tls.pem")
            .set("server.tls.key", "tls.key")
    }

    /// Writes a certificate and its key as `name.pem` and `name.key`.
    pub fn write_identity(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.pem"), &identity.certificate);
        self.write_secret(&format!("{name}.key"), identity.key.as_bytes());
    }

    /// Makes an empty folder.
    pub fn empty() -> Self {
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
    pub fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.settings.insert(key.to_owned(), value.into());
        let lines = self
            .settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        self.write("gateway.toml", lines.collect::<Vec<_>>().concat());
        self
    }

    /// Shortens all that a request waits for, so that its whole time can be 8 s.
    pub fn with_short_times(self) -> Self {
        let mut home = self
            .set("server.header_timeout", "1s")
            .set("server.body_timeout", "1s");
        for topic in TOPICS {
            home = home.set(&format!("topics.{topic}.deadline"), "1s");
        }
        home.set("server.request_timeout", "8s")
    }

    /// Sets 13 MiB of memory for all bodies, and the queues and bodies of 1 MiB that fit it.
    pub fn with_little_memory(self) -> Self {
        let mut home = self.set("server.max_body", "1 MiB");
        for topic in TOPICS {
            home = home.set(&format!("topics.{topic}.queue_bytes"), "1 MiB");
            home = home.set(&format!("topics.{topic}.batch_bytes"), "1 MiB");
        }
        home.set("server.memory", "13 MiB")
    }

    /// Changes the directory file before the start, or behind a running gateway's back.
    pub fn edit_directory(self, edit: impl FnOnce(String) -> String) -> Self {
        let text = fs::read_to_string(self.path("directory.toml")).expect("the directory file");
        self.write_directory(&edit(text));
        self
    }

    fn write_directory(&self, text: &str) {
        // Beside and renamed: a gateway which follows the file must never see half of it.
        self.write("directory.toml.new", with_hashes(text, hash));
        fs::rename(self.path("directory.toml.new"), self.path("directory.toml")).expect("a rename");
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("a file in the test's own folder");
    }

    /// Writes a file that only its owner may read.
    pub fn write_secret(&self, name: &str, bytes: &[u8]) {
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

    /// The path of a file in the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of the configuration.
    pub fn config(&self) -> PathBuf {
        self.path("gateway.toml")
    }

    /// A command that runs the real program in this folder, with an environment of its own and
    /// without an argument.
    pub fn program(&self) -> Command {
        self.command(&program())
    }

    /// A command that runs any program in this folder, with an environment of its own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs the real program to its end with these arguments and this home's configuration.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// As [`run`](Self::run), with this text at the standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
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
    pub fn records(&self, topic: &str) -> Vec<Line> {
        read_lines(&self.path("data").join(topic))
    }

    /// As [`records`](Self::records), while the gateway writes.
    pub fn records_so_far(&self, topic: &str) -> Vec<Line> {
        read_lines_so_far(&self.path("data").join(topic))
    }
}

/// Returns the path of the real program, as cargo built it for this test run.
pub fn program() -> String {
    std::env::var("CARGO_BIN_EXE_iem-gateway").expect("cargo tells its tests where programs are")
}

/// Hashes a password at the lowest cost there is: tests log in hundreds of times. The salt is always
/// the same, so that a token stays valid in another home.
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
