//! The gateway under a service manager: what it tells it, and the sockets that it takes from it.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use iem_test_support::{AMPLE, Connection, Gateway, Home, get};

/// The socket of a service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn new(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path("notify")).expect("a socket");
        socket.set_read_timeout(Some(AMPLE)).expect("a time limit");
        Self(socket)
    }

    /// Starts the program, which is to tell this manager its state, and asks it for this watchdog.
    fn start(home: &Home, watchdog: Duration) -> Gateway {
        let mut command = home.program();
        command
            .arg("serve")
            .env("NOTIFY_SOCKET", home.path("notify"))
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        home.spawn_by(command)
    }

    /// Waits for the next message.
    fn next(&self) -> String {
        let mut message = [0; 1024];
        let length = self.0.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..length]).into_owned()
    }

    /// Waits for the next message with this line, and skips those of the watchdog.
    fn expect(&self, line: &str) -> String {
        loop {
            let message = self.next();
            if message.lines().any(|other| other == line) {
                return message;
            }
            assert_eq!(message, "WATCHDOG=1", "not {line}");
        }
    }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

#[test]
fn the_service_manager_is_told_of_start_reload_and_stop() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let mut gateway = Manager::start(&home, Duration::from_hours(1));
    let ready = manager.expect("READY=1");
    assert!(
        ready.contains(&format!("STATUS=Serving on {}", gateway.address)),
        "{ready}"
    );
    gateway.signal(Signal::HUP);
    let reloading = manager.expect("RELOADING=1");
    let time = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
        .expect("a time");
    assert!(time.parse::<u64>().expect("microseconds") > 0);
    assert!(
        reloading.contains("STATUS=Reading directory"),
        "{reloading}"
    );
    manager.expect("READY=1");
    gateway.signal(Signal::TERM);
    let stopping = manager.expect("STOPPING=1");
    assert!(stopping.contains("STATUS=Draining"), "{stopping}");
    assert!(
        stopping.contains("EXTEND_TIMEOUT_USEC=15000000"),
        "{stopping}"
    );
    assert!(gateway.wait().success());
}

#[test]
fn the_watchdog_is_told_while_the_gateway_serves() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let mut gateway = Manager::start(&home, Duration::from_millis(40));
    manager.expect("READY=1");
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    gateway.signal(Signal::TERM);
    manager.expect("STOPPING=1");
    gateway.wait();
    manager.0.set_nonblocking(true).expect("a socket");
    let mut message = [0; 16];
    assert!(manager.0.recv(&mut message).is_err(), "told after the end");
}

#[test]
fn a_restart_on_sockets_that_stay_open_loses_no_connection() {
    let home = Home::new();
    let (service, admin) = (listener(), listener());
    let mut gateway = home.spawn_on(&service, &admin);
    gateway.wait_for_answers();
    gateway.admin("/livez").expect(200);
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.log());

    let request = get("/publish/healthcheck/");
    let mut waiting = Connection::open(gateway.address);
    waiting.send(request.bytes());
    let _again = home.spawn_on(&service, &admin);
    waiting.answer().expect(200);
}

#[test]
fn a_socket_that_is_passed_keeps_to_the_rules_of_the_configuration() {
    let everywhere = TcpListener::bind("0.0.0.0:0").expect("a port");
    let check = |service: &TcpListener, admin: &TcpListener, code, words: &str| {
        let home = Home::new();
        let mut command = home.program_on(service, admin);
        let output = command.output().expect("the program ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    };
    check(
        &everywhere,
        &listener(),
        78,
        "LISTEN_FDS: server.listen: 0.0.0.0:",
    );
    check(
        &listener(),
        &everywhere,
        78,
        "LISTEN_FDS: admin.listen: 0.0.0.0:",
    );
}

#[test]
fn sockets_that_have_no_use_are_refused_by_name() {
    let home = Home::new();
    let output = home
        .program_on(&listener(), &listener())
        .env("LISTEN_FDNAMES", "iem-gateway.socket:iem-gateway-2.socket")
        .output()
        .expect("the program ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("socket 1 (iem-gateway-2.socket) is one too many"),
        "{said}"
    );
}
