//! A running gateway: inside this process, where only its answers matter, or as the real program,
//! where its exit, its signals or its death do. Dropping it ends it, in a test that panics too.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use iem_gateway::config::{self, Config, SinkKind};
use iem_gateway::pipeline::Backend;
use iem_gateway::sinks::Backends;
use iem_gateway::{RunError, StartError};
use iem_sink::testing::ScriptedSink;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use super::answer::Answer;
use super::connection::Connection;
use super::home::Home;
use super::http2::Http2;
use super::request::{Request, post};

/// Long enough for a real backend to fail and to come back: only a fault of the gateway misses it.
pub(crate) const AMPLE: Duration = Duration::from_mins(1);

/// How long a start or an end may take before the test is failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Gateway {
    pub(crate) home: Home,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    running: Running,
    alice: OnceLock<String>,
}

enum Running {
    Inside {
        stop: Option<oneshot::Sender<()>>,
        thread: Option<JoinHandle<Result<(), RunError>>>,
        reload: Mutex<Box<dyn Fn() + Send>>,
    },
    Program(Child),
}

impl Home {
    /// Starts the gateway inside this process.
    pub(crate) fn start(&self) -> Gateway {
        self.run_inside(iem_gateway::Gateway::open(&self.load()))
    }

    /// As `start`, with every topic on a sink that does as the test says.
    pub(crate) fn start_with(&self, sink: &ScriptedSink) -> Gateway {
        let backend = Arc::new(Backend {
            name: "file",
            sink: Box::new(sink.clone()),
        });
        let backends = Backends::from([(SinkKind::File, backend)]);
        self.run_inside(iem_gateway::Gateway::open_with_sinks(
            &self.load(),
            backends,
        ))
    }

    fn load(&self) -> Config {
        let loaded = config::load(Some(&self.config()), None);
        loaded
            .unwrap_or_else(|error| panic!("no configuration: {error}"))
            .config
    }

    fn run_inside(&self, opened: Result<iem_gateway::Gateway, StartError>) -> Gateway {
        let gateway = opened.unwrap_or_else(|error| panic!("no start: {error}"));
        let (address, admin) = (gateway.address(), gateway.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let reload: Box<dyn Fn() + Send> = Box::new(gateway.reloader());
        let reload = Mutex::new(reload);
        let thread = thread::spawn(move || {
            gateway.run(async {
                let _ = stopped.await;
            })
        });
        let running = Running::Inside {
            stop: Some(stop),
            thread: Some(thread),
            reload,
        };
        Gateway {
            home: self.clone(),
            address,
            admin,
            running,
            alice: OnceLock::new(),
        }
    }

    /// Starts the real program, and waits until it answers.
    pub(crate) fn spawn(&self) -> Gateway {
        let mut command = self.program();
        command.arg("serve");
        self.spawn_by(command)
    }

    /// Starts the real program, and waits only until its port is open.
    pub(crate) fn spawn_impatiently(&self) -> Gateway {
        let mut command = self.program();
        command.arg("serve");
        let mut gateway = self.launch_configured(command);
        gateway.wait_until(|address| TcpStream::connect(address).is_ok());
        gateway
    }

    /// Starts the real program, and waits for nothing: a test that does by itself speaks to it as
    /// only it can.
    pub(crate) fn spawn_without_waiting(&self) -> Gateway {
        let mut command = self.program();
        command.arg("serve");
        self.launch_configured(command)
    }

    /// As `spawn`, by a command which ends in running the program; `--config FILE` is added to its
    /// arguments.
    pub(crate) fn spawn_by(&self, command: Command) -> Gateway {
        let mut gateway = self.launch_configured(command);
        gateway.wait_until(answers);
        gateway
    }

    fn launch_configured(&self, mut command: Command) -> Gateway {
        let (address, admin) = (free_address(), free_address());
        let home = self
            .clone()
            .set("server.listen", address.to_string())
            .set("admin.listen", admin.to_string());
        command.arg("--config").arg(home.config());
        home.launch(command, address, admin)
    }

    /// Starts the real program without a configuration file; only its addresses are other than the
    /// defaults.
    pub(crate) fn spawn_on_defaults(&self) -> Gateway {
        let (address, admin) = (free_address(), free_address());
        let mut command = self.program();
        command.env("IEM_GATEWAY__SERVER__LISTEN", address.to_string());
        command.env("IEM_GATEWAY__ADMIN__LISTEN", admin.to_string());
        let mut gateway = self.launch(command, address, admin);
        gateway.wait_until(answers);
        gateway
    }

    fn launch(&self, mut command: Command, address: SocketAddr, admin: SocketAddr) -> Gateway {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log file");
        let output = log.try_clone().expect("a file's handle");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let running = Running::Program(child);
        Gateway {
            home: self.clone(),
            address,
            admin,
            running,
            alice: OnceLock::new(),
        }
    }
}

impl Gateway {
    fn wait_until(&mut self, started: impl Fn(SocketAddr) -> bool) {
        let late = Instant::now() + PATIENCE;
        while !started(self.address) {
            let ended = self.child().try_wait().expect("a child's state");
            assert!(
                ended.is_none() && Instant::now() < late,
                "no start ({ended:?}):\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        self.connect().send(request.bytes()).answer()
    }

    pub(crate) fn send_from(&self, peer: [u8; 4], request: &Request) -> Answer {
        Connection::from_peer(self.address, IpAddr::from(peer))
            .send(request.bytes())
            .answer()
    }

    pub(crate) fn log_in(&self, email: &str, password: &str) -> Answer {
        self.send(&post("/api/v1/user/token", "").basic(email, password))
    }

    /// An access token of a user of the tests' directory, by the part of the email before the `@`.
    pub(crate) fn token(&self, user: &str) -> String {
        self.log_in(email(user), &format!("{user}-password"))
            .expect(200)
            .access_token()
    }

    /// Publishes as alice, who belongs to the customer `acme`.
    pub(crate) fn publish(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let token = self.alice.get_or_init(|| self.token("alice"));
        self.send(&post(path, body).cookie(token))
    }

    /// A client that speaks HTTP/2 from its first byte on.
    pub(crate) fn http2(&self) -> Http2 {
        Http2::open(self.address)
    }

    /// An answer of the admin listener.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        Connection::open(self.admin)
            .send(super::request::get(path).bytes())
            .answer()
    }

    /// The sum of a metric's samples whose labels contain all of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("/metrics").text();
        let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
        samples
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value.parse::<f64>().expect("a sample is a number"))
            .sum()
    }

    /// How often clients have reached a limit.
    pub(crate) fn reached(&self, limit: &str) -> u64 {
        let label = format!("limit=\"{limit}\"");
        let page = self.admin("/metrics").text();
        let line = page
            .lines()
            .find(|line| line.starts_with("iem_gateway_limits_total") && line.contains(&label));
        let count = line
            .and_then(|line| line.rsplit_once(' '))
            .map(|(_, count)| count.parse());
        count
            .unwrap_or_else(|| panic!("no {limit} among the limits"))
            .expect("a count")
    }

    /// Waits until clients have reached a limit so often.
    #[track_caller]
    pub(crate) fn await_reached(&self, limit: &str, times: u64) {
        eventually(AMPLE, limit, || self.reached(limit) >= times);
        assert_eq!(self.reached(limit), times, "{limit}");
    }

    /// Waits until so many more publish calls of events have been answered with this status.
    #[track_caller]
    pub(crate) fn await_answers(&self, status: u16, count: u32) {
        let label = format!("status=\"{status}\"");
        let answers = || {
            self.metric(
                "iem_gateway_requests_total",
                &["endpoint=\"events\"", &label],
            )
        };
        let goal = answers() + f64::from(count);
        eventually(AMPLE, "so many answers", || answers() >= goal);
    }

    fn child(&mut self) -> &mut Child {
        match &mut self.running {
            Running::Program(child) => child,
            Running::Inside { .. } => panic!("this gateway runs inside the test"),
        }
    }

    pub(crate) fn pid(&mut self) -> u32 {
        self.child().id()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_child(self.child());
        kill_process(pid, signal).expect("the program takes a signal");
    }

    /// Ends the program at once, without a chance to tidy up.
    pub(crate) fn kill(&mut self) {
        self.child().kill().expect("the program is killed");
        self.child().wait().expect("the program's end");
    }

    /// Waits for the program to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
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

    /// Has a gateway inside this process read the directory again: when this returns, what is in
    /// the file holds.
    pub(crate) fn reload(&self) {
        let Running::Inside { reload, .. } = &self.running else {
            panic!("this gateway is a program")
        };
        reload.lock().expect("no reload has panicked")();
    }

    /// Tells a gateway inside this process to stop, and does not wait for it.
    pub(crate) fn begin_stop(&mut self) {
        let Running::Inside { stop, .. } = &mut self.running else {
            panic!("this gateway is a program")
        };
        drop(stop.take());
    }

    /// Drains and ends a gateway that runs inside this process; its error or panic is the test's.
    pub(crate) fn stop(&mut self) {
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

    /// What the program has written to its standard output and error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path("log")).unwrap_or_default()
    }

    /// The most memory that the program has held resident, in bytes.
    pub(crate) fn peak_memory(&mut self) -> u64 {
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

fn answers(address: SocketAddr) -> bool {
    Connection::try_open(address).is_ok_and(|mut connection| connection.is_usable())
}

/// The full email of a user of the tests' directory.
pub(crate) fn email(user: &str) -> &'static str {
    match user {
        "alice" => "alice@acme.example",
        "bob" => "bob@globex.example",
        "carol" => "carol@acme.example",
        "root" => "root@iem.example",
        "org" => "org@acme.example",
        "off" => "off@acme.example",
        other => panic!("no user {other} in the tests' directory"),
    }
}

/// An address for the program to listen on. Ports below the system's ephemeral range, so that no
/// test's outgoing connection takes one between this look and the program's start.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    loop {
        let port = 12_000 + (offset * 2 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Waits until `condition` holds; fails the test if it does not within `within`.
#[track_caller]
pub(crate) fn eventually(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let late = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < late, "not within {within:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
