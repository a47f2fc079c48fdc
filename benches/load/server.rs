//! A server under test: the gateway's own program, a gateway on a sink that only waits, or bare
//! hyper. Each is a process of its own, so that what it costs can be told from what the load costs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use iem_test_support::brokers::process::Guarded;
use iem_test_support::brokers::pubsub::PROJECT;
use tempfile::TempDir;

use super::case::{Setup, Sink, WORKERS_FAR};
use super::folder;
use super::process::Process;
use super::site::Site;

/// The gateway's program, as cargo built it for this run.
const GATEWAY: &str = env!("CARGO_BIN_EXE_iem-gateway");
/// How long a start may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// More than is written in a window.
const TOUCHED_MIB: usize = 640;
const STEP: Duration = Duration::from_millis(1);

pub struct Server {
    folder: TempDir,
    child: Guarded,
    pub address: SocketAddr,
    /// Of the gateway's own program.
    admin: Option<SocketAddr>,
}

impl Server {
    /// Starts bare hyper.
    pub fn hyper(site: &Site) -> Self {
        let folder = folder::new("hyper");
        Self::start(
            folder,
            &[
                &own_program(),
                "role",
                "bare-hyper",
                &site.threads.to_string(),
            ],
        )
    }

    /// Starts a gateway, and waits until it listens.
    pub fn gateway(site: &Site, setup: Setup) -> Self {
        let folder = folder::new("gateway");
        let path = folder.path().join("gateway.toml");
        fs::write(&path, configuration(site, setup)).expect("a file in a new folder");
        let path = path.to_str().expect("a path in UTF-8");
        match setup.sink {
            Sink::Null => Self::start(folder, &[&own_program(), "role", "null-gateway", path, "0"]),
            Sink::NullFar => Self::start(
                folder,
                &[&own_program(), "role", "null-gateway", path, "30"],
            ),
            _ => Self::start(folder, &[GATEWAY, "--config", path, "serve"]),
        }
    }

    fn start(folder: TempDir, command: &[&str]) -> Self {
        let log = folder.path().join("log");
        let child = Guarded::spawn(&log, command);
        let late = Instant::now() + PATIENCE;
        loop {
            // A line that is still being written does not count.
            let text = fs::read_to_string(&log).unwrap_or_default();
            let mut lines = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            if let Some(line) = lines.find(|line| line.contains("listening")) {
                let (address, admin) = (word(line, "address="), word(line, "admin="));
                let address = address.unwrap_or_else(|| panic!("no address: {line}"));
                return Self {
                    folder,
                    child,
                    address,
                    admin,
                };
            }
            assert!(
                child.is_running() && Instant::now() < late,
                "no start of {}: {text}",
                command[0]
            );
            thread::sleep(STEP);
        }
    }

    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Waits until the gateway says that it is ready.
    pub fn wait_until_ready(&self) {
        let late = Instant::now() + PATIENCE;
        while !self
            .admin("/readyz")
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200 "))
        {
            assert!(Instant::now() < late, "not ready: {}", self.log());
            thread::sleep(STEP);
        }
    }

    /// How many writes there have been of events, and of how many records.
    pub fn writes(&self) -> Option<(f64, f64)> {
        let text = self.admin("/metrics")?;
        let sample = |name: &str| {
            let series = format!("iem_gateway_batch_records_{name}{{topic=\"events\"}} ");
            text.lines()
                .find_map(|line| line.strip_prefix(&series))?
                .parse::<f64>()
                .ok()
        };
        Some((sample("count")?, sample("sum")?))
    }

    fn admin(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin?).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Where files are written: writes one and removes it, so that the system has memory at hand
    /// for what comes. A virtual machine is given a page when it is first touched, which costs
    /// more than all that is measured here.
    pub fn touch_memory(&self) {
        if !self.folder.path().join("data/events").is_dir() {
            return;
        }
        let path = self.folder.path().join("touched");
        let mut file = fs::File::create(&path).expect("a file in a new folder");
        let page = vec![0; 1 << 20];
        (0..TOUCHED_MIB).for_each(|_| file.write_all(&page).expect("a disk with room"));
        fs::remove_file(path).expect("a file of one's own");
    }

    /// Removes the files that the gateway has closed, before the system gets to writing them to the
    /// disk.
    pub fn remove_closed_files(&self) {
        let Ok(files) = fs::read_dir(self.folder.path().join("data/events")) else {
            return;
        };
        let records = files
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.extension() == Some("ndjson".as_ref()));
        let mut records: Vec<_> = records.collect();
        records.sort();
        records.pop();
        for path in records {
            let _ = fs::remove_file(path);
        }
    }

    /// What it has to say for itself.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the log of {}:\n{}", self.address, self.log());
        }
    }
}

fn own_program() -> String {
    let path = std::env::current_exe().expect("the path of this program");
    path.into_os_string()
        .into_string()
        .expect("a path in UTF-8")
}

fn word(line: &str, name: &str) -> Option<SocketAddr> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(name))?
        .parse()
        .ok()
}

fn configuration(site: &Site, setup: Setup) -> String {
    let users = site.users(setup.users);
    let (threads, cache) = (site.threads, setup.users.max(65_536) * 2);
    let (directory, key) = (users.directory(), users.key());
    let sink = sink(site, setup.sink);
    format!(
        "server = {{ listen = \"127.0.0.1:0\", threads = {threads} }}\nadmin.listen = \"127.0.0.1:0\"\n\
         directory.path = '{}'\ntokens = {{ key_file = '{}', cache_entries = {cache} }}\n\
         sink.file.path = \"data\"\n{sink}",
        directory.display(),
        key.display()
    )
}

/// Only events go to another backend than files: a topic for each would be made for nothing.
fn sink(site: &Site, sink: Sink) -> String {
    let kafka = |bootstrap: String, workers: usize| {
        let name = site.kafka_topic(workers);
        format!(
            "sink.kafka.bootstrap_servers = \"{bootstrap}\"\n\
             topics.events = {{ sink = \"kafka\", name = \"{name}\", workers = {workers} }}\n"
        )
    };
    match sink {
        Sink::Null | Sink::NullFar | Sink::File => "sink.file.sync = false\n".to_owned(),
        Sink::FileSynced => "sink.file.sync = true\n".to_owned(),
        Sink::Kafka => kafka(site.kafka().bootstrap(), 1),
        Sink::KafkaFar => kafka(site.kafka().bootstrap_far(), WORKERS_FAR),
        Sink::PubSub => format!(
            "sink.pubsub = {{ project = \"{PROJECT}\", endpoint = \"{}\" }}\n\
             topics.events = {{ sink = \"pubsub\", name = \"{}\" }}\n",
            site.pubsub().endpoint(),
            site.pubsub_topic()
        ),
    }
}
