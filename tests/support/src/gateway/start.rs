//! Starts of a gateway: inside this process, or as the real program.

use std::fs::File;
use std::future;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use iem_gateway::StartError;
use iem_gateway::config::{self, Config, SinkKind};
use iem_gateway::pipeline::Backend;
use iem_gateway::sinks::Backends;
use iem_sink::testing::ScriptedSink;
use tokio::sync::oneshot;

use super::home::Home;
use super::{Gateway, PATIENCE, Running};
use crate::client::Connection;

impl Home {
    /// Starts the gateway inside this process.
    pub fn start(&self) -> Gateway {
        self.run_inside(iem_gateway::Gateway::open(&self.load()))
    }

    /// As [`start`](Self::start), with every topic on a scripted sink.
    pub fn start_with(&self, sink: &ScriptedSink) -> Gateway {
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
        #[expect(
            clippy::async_yields_async,
            reason = "the second signal is awaited elsewhere"
        )]
        let shutdown = async {
            let _ = stopped.await;
            future::pending::<()>()
        };
        let thread = thread::spawn(move || gateway.run(shutdown));
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
    pub fn spawn(&self) -> Gateway {
        let mut command = self.program();
        command.arg("serve");
        self.spawn_by(command)
    }

    /// Starts the real program, and waits only until its port is open.
    pub fn spawn_impatiently(&self) -> Gateway {
        let mut command = self.program();
        command.arg("serve");
        let mut gateway = self.launch_configured(command);
        gateway.wait_until(|address| TcpStream::connect(address).is_ok());
        gateway
    }

    /// Starts the real program, and waits for nothing: the test that calls this speaks to it in a
    /// way of its own.
    pub fn spawn_without_waiting(&self) -> Gateway {
        let mut command = self.program();
        command.arg("serve");
        self.launch_configured(command)
    }

    /// As [`spawn`](Self::spawn), by a command that ends in running the program; `--config FILE` is
    /// added to its arguments.
    pub fn spawn_by(&self, command: Command) -> Gateway {
        let mut gateway = self.launch_configured(command);
        gateway.wait_until(answers);
        gateway
    }

    fn launch_configured(&self, command: Command) -> Gateway {
        self.launch_at(command, free_address(), free_address())
    }

    fn launch_at(&self, mut command: Command, address: SocketAddr, admin: SocketAddr) -> Gateway {
        let home = self
            .clone()
            .set("server.listen", address.to_string())
            .set("admin.listen", admin.to_string());
        command.arg("--config").arg(home.config());
        home.launch(command, address, admin)
    }

    /// Starts the real program without a configuration file; only its addresses are other than the
    /// defaults.
    pub fn spawn_on_defaults(&self) -> Gateway {
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
    /// Starts the program again with this home and on the same addresses, and does not wait. One that
    /// still runs is killed.
    pub fn start_again(&mut self, home: &Home) {
        let mut command = home.program();
        command.arg("serve");
        self.start_again_by(home, command);
    }

    /// As [`start_again`](Self::start_again), by a command that ends in running the program;
    /// `--config FILE` is added to its arguments.
    pub fn start_again_by(&mut self, home: &Home, command: Command) {
        self.kill();
        *self = home.launch_at(command, self.address, self.admin);
    }

    /// Waits until the program answers.
    pub fn wait_for_answers(&mut self) {
        self.wait_until(answers);
    }

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
}

fn answers(address: SocketAddr) -> bool {
    Connection::try_open(address).is_ok_and(|mut connection| connection.is_usable())
}

/// Returns a free address for the program to listen on. Its port is below the system's ephemeral
/// range, so that no outgoing connection of a test takes it before the program starts.
pub fn free_address() -> SocketAddr {
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
