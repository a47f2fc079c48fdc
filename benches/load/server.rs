//! A server under test: the gateway's program, a gateway with a null sink, or bare hyper. Each is a
//! process of its own, so that its cost can be told from that of the clients.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use iem_test_support::brokers::process::Guarded;
use iem_test_support::brokers::pubsub::PROJECT;
use tempfile::TempDir;

use super::case::{Serving, Setup, Sink, WORKERS_FAR};
use super::folder;
use super::process::Process;
use super::site::Site;

/// The gateway's program, built by cargo for this run.
const GATEWAY: &str = env!("CARGO_BIN_EXE_iem-gateway");
/// The longest time that a start may take.
const START_MAX: Duration = Duration::from_mins(1);
/// More than a gateway writes in a window.
const TOUCHED_MIB: usize = 640;
/// The time between two looks at whether a server has started.
const STEP: Duration = Duration::from_millis(1);
/// The longest time that a backlog may take.
const FORWARD_MAX: Duration = Duration::from_mins(1);
/// The time between two looks at a backlog, each of which takes the gateway's time.
const FORWARD_STEP: Duration = Duration::from_millis(10);

pub struct Server {
    folder: TempDir,
    child: Guarded,
    pub address: SocketAddr,
    /// The address of the gateway's admin listener.
    admin: Option<SocketAddr>,
}

/// The gateway's writes of events so far, to the sink or to the journal.
#[derive(Clone, Copy)]
pub struct Writes {
    count: f64,
    records: f64,
}

impl Writes {
    /// Returns the mean number of records of the writes from here to `after`, or `None` if there
    /// was none.
    pub fn mean_records_until(self, after: Self) -> Option<f64> {
        let count = after.count - self.count;
        (count > 0.0).then(|| (after.records - self.records) / count)
    }
}

impl Server {
    /// Starts a server and waits until it listens.
    pub fn start(serving: Serving, site: &Site) -> Self {
        match serving {
            Serving::Hyper => Self::hyper(site),
            Serving::Gateway(setup) => Self::gateway(site, setup),
        }
    }

    fn hyper(site: &Site) -> Self {
        let folder = folder::new("hyper");
        Self::spawn(
            folder,
            &[
                &own_program(),
                "role",
                "bare-hyper",
                &site.threads.to_string(),
            ],
        )
    }

    fn gateway(site: &Site, setup: Setup) -> Self {
        let folder = folder::new("gateway");
        let path = folder.path().join("gateway.toml");
        fs::write(&path, configuration(site, setup)).expect("the configuration is written");
        let path = path.to_str().expect("the path is UTF-8");
        let server = match setup.sink {
            Sink::Null => Self::spawn(folder, &[&own_program(), "role", "null-gateway", path, "0"]),
            Sink::NullFar => Self::spawn(
                folder,
                &[&own_program(), "role", "null-gateway", path, "30"],
            ),
            _ => Self::spawn(folder, &[GATEWAY, "--config", path, "serve"]),
        };
        if setup.is_watched {
            server.watch();
        }
        server
    }

    /// Reads the console's stream until the gateway ends, as a browser does: again when it has ended.
    fn watch(&self) {
        let admin = self.admin.expect("the gateway has an admin listener");
        thread::spawn(move || {
            while let Ok(mut stream) = TcpStream::connect(admin) {
                let request = b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
                let mut head = [0; 12];
                let answer = stream.write_all(request);
                if answer.and_then(|()| stream.read_exact(&mut head)).is_ok() {
                    assert_eq!(&head, b"HTTP/1.1 200", "the console has no stream");
                    let _ = io::copy(&mut stream, &mut io::sink());
                }
            }
        });
    }

    fn spawn(folder: TempDir, command: &[&str]) -> Self {
        let log = folder.path().join("log");
        let child = Guarded::spawn(&log, command);
        let deadline = Instant::now() + START_MAX;
        loop {
            // A line without its line feed is still being written.
            let text = fs::read_to_string(&log).unwrap_or_default();
            let mut lines = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            if let Some(line) = lines.find(|line| line.contains("listening")) {
                return Self {
                    folder,
                    child,
                    address: address(line, "address=")
                        .unwrap_or_else(|| panic!("no address in the log line: {line}")),
                    admin: address(line, "admin="),
                };
            }
            assert!(
                child.is_running() && Instant::now() < deadline,
                "{} has not started: {text}",
                command[0]
            );
            thread::sleep(STEP);
        }
    }

    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Waits until the gateway answers 200 at `/readyz?sinks`.
    pub fn wait_until_ready(&self) {
        let deadline = Instant::now() + START_MAX;
        while !self
            .admin("/readyz?sinks")
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200 "))
        {
            assert!(Instant::now() < deadline, "not ready: {}", self.log());
            thread::sleep(STEP);
        }
    }

    /// Returns the writes of events to the sink so far, or `None` if the server has no metrics.
    pub fn writes(&self) -> Option<Writes> {
        let [count, records] = self.samples(["batch_records_count", "batch_records_sum"])?;
        Some(Writes { count, records })
    }

    /// Returns the commits of events to the journal so far, or `None` if there is no journal.
    pub fn commits(&self) -> Option<Writes> {
        let names = ["journal_commits_total", "journal_committed_records_total"];
        let [count, records] = self.samples(names)?;
        Some(Writes { count, records })
    }

    /// Waits until the sink has all records of the journal. Returns at once if there is none.
    pub fn wait_until_forwarded(&self) {
        let deadline = Instant::now() + FORWARD_MAX;
        while let Some([records]) = self.samples(["journal_records"])
            && records > 0.0
        {
            assert!(Instant::now() < deadline, "{records} records are left");
            thread::sleep(FORWARD_STEP);
        }
    }

    /// Returns the values of metrics of events, or `None` if one is missing.
    fn samples<const N: usize>(&self, names: [&str; N]) -> Option<[f64; N]> {
        let text = self.admin("/metrics")?;
        let mut values = [0.0; N];
        for (value, name) in values.iter_mut().zip(names) {
            let series = format!("iem_gateway_{name}{{topic=\"events\"}} ");
            let sample = text.lines().find_map(|line| line.strip_prefix(&series))?;
            *value = sample.parse().ok()?;
        }
        Some(values)
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

    /// Writes a file and removes it, if the server writes records, so that the system has free pages
    /// for the next window. A virtual machine receives a page at its first touch, which costs more
    /// than everything that is measured here.
    pub fn touch_memory(&self) {
        let folders = ["data/events", "journal/events"];
        if !folders
            .iter()
            .any(|folder| self.folder.path().join(folder).is_dir())
        {
            return;
        }
        let path = self.folder.path().join("touched");
        let mut file = fs::File::create(&path).expect("the file is created");
        let page = vec![0; 1 << 20];
        (0..TOUCHED_MIB).for_each(|_| file.write_all(&page).expect("the disk is not full"));
        fs::remove_file(path).expect("the file is removed");
    }

    /// Removes the files that the gateway has closed, before the system writes them to the disk.
    pub fn remove_closed_files(&self) {
        let Ok(files) = fs::read_dir(self.folder.path().join("data/events")) else {
            return;
        };
        let mut paths: Vec<_> = files
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.extension() == Some("ndjson".as_ref()))
            .collect();
        paths.sort();
        // The last one is open.
        paths.pop();
        for path in paths {
            let _ = fs::remove_file(path);
        }
    }

    /// Returns what the server has printed.
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
        .expect("the path is UTF-8")
}

/// Returns the address behind `name` in a line of the log.
fn address(line: &str, name: &str) -> Option<SocketAddr> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(name))?
        .parse()
        .ok()
}

fn configuration(site: &Site, setup: Setup) -> String {
    let users = site.users(setup.users);
    let threads = site.threads;
    let cache = setup.users.max(65_536) * 2;
    let sink = sink(site, setup.sink);
    let durability = if setup.has_journal {
        "journaled"
    } else {
        "delivered"
    };
    format!(
        "server = {{ listen = \"127.0.0.1:0\", threads = {threads} }}\n\
         admin.listen = \"127.0.0.1:0\"\n\
         directory.path = '{}'\ntokens = {{ key_file = '{}', cache_entries = {cache} }}\n\
         sink.file.path = \"data\"\njournal.path = \"journal\"\n\
         topics.events.durability = \"{durability}\"\n{sink}",
        users.directory().display(),
        users.key().display()
    )
}

/// Returns the configuration of a sink. Only events go to another backend than files, since no case
/// sends anything else.
fn sink(site: &Site, sink: Sink) -> String {
    match sink {
        Sink::Null | Sink::NullFar | Sink::File => "sink.file.sync = false\n".to_owned(),
        Sink::FileSynced => "sink.file.sync = true\n".to_owned(),
        Sink::Kafka => kafka(site, &site.kafka().bootstrap(), 1),
        Sink::KafkaFar => kafka(site, &site.kafka().bootstrap_far(), WORKERS_FAR),
        Sink::PubSub => format!(
            "sink.pubsub = {{ project = \"{PROJECT}\", endpoint = \"{}\" }}\n\
             topics.events.sink = \"pubsub\"\ntopics.events.name = \"{}\"\n",
            site.pubsub().endpoint(),
            site.pubsub_topic()
        ),
    }
}

fn kafka(site: &Site, bootstrap: &str, workers: usize) -> String {
    let name = site.kafka_topic(workers);
    format!(
        "sink.kafka.bootstrap_servers = \"{bootstrap}\"\n\
         topics.events.sink = \"kafka\"\ntopics.events.name = \"{name}\"\n\
         topics.events.workers = {workers}\n"
    )
}
