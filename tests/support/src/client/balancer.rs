//! A real balancer in front of gateways, with a configuration of `deploy/`, in which addresses, ports
//! and the folder of certificates alone are other ones.

mod envoy;
mod haproxy;
mod nginx;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::brokers::ports;
use crate::brokers::process::{Folder, Guarded};
use crate::eventually::{AMPLE, eventually};
use crate::gateway::{Authority, Gateway, Identity};

/// The folder of the configurations.
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
/// Runs a program, also where it is not in the path of a user.
const RUN: &str = "PATH=$PATH:/usr/sbin; exec \"$@\"";

/// A balancer of `deploy/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HAProxy, which balances requests.
    HaProxy,
    /// HAProxy, which balances connections.
    Passthrough,
    /// nginx, which balances requests and checks nothing.
    Nginx,
    /// Envoy, which balances requests.
    Envoy,
}

/// A running balancer. It ends when this is dropped, and with the process.
pub struct Balancer {
    /// The address that clients connect to.
    pub address: SocketAddr,
    kind: Kind,
    /// Envoy's admin listener.
    admin: SocketAddr,
    gateways: Vec<SocketAddr>,
    process: Guarded,
    folder: Folder,
}

/// The files and addresses of a balancer that is to be started.
struct Plan<'a> {
    folder: &'a Path,
    /// The configuration with the addresses of this run.
    configuration: PathBuf,
    admin: SocketAddr,
}

impl Kind {
    /// Whether the gateways are told of their clients by the PROXY protocol, and not by
    /// `X-Forwarded-For`.
    pub fn announces(self) -> bool {
        matches!(self, Self::Passthrough)
    }

    /// Returns the place of the configuration in `deploy/`.
    fn file(self) -> &'static str {
        match self {
            Self::HaProxy => "haproxy/haproxy.cfg",
            Self::Passthrough => "haproxy/passthrough.cfg",
            Self::Nginx => "nginx/iem-gateway.conf",
            Self::Envoy => "envoy/envoy.yaml",
        }
    }

    /// Returns how the configuration says that the balancer listens, and how that is said of a port.
    fn listens(self) -> (&'static str, &'static str) {
        match self {
            Self::HaProxy | Self::Passthrough => ("bind :443", "bind 127.0.0.1:{port}"),
            Self::Nginx => ("listen 443 ", "listen 127.0.0.1:{port} "),
            Self::Envoy => (
                "address: 0.0.0.0, port_value: 443",
                "address: 127.0.0.1, port_value: {port}",
            ),
        }
    }

    /// Returns the commands that check the configuration, and that run it.
    fn commands(self, plan: &Plan) -> [Vec<String>; 2] {
        match self {
            Self::HaProxy | Self::Passthrough => haproxy::commands(plan),
            Self::Nginx => nginx::commands(plan),
            Self::Envoy => envoy::commands(plan),
        }
    }
}

impl Balancer {
    /// Starts one in front of three gateways. It does not wait until one of them is ready.
    ///
    /// # Panics
    /// If it rejects the configuration, or does not start.
    pub fn start(
        kind: Kind,
        gateways: &[Gateway],
        authority: &Authority,
        identity: &Identity,
    ) -> Self {
        let folder = Folder::new("iem-balancer-");
        let [port, admin] = ports::free(2)[..] else {
            unreachable!("as many as were asked for")
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let admin = SocketAddr::from(([127, 0, 0, 1], admin));
        write_certificates(kind, folder.path(), authority, identity);
        let configuration = folder.path().join("configuration.yaml");
        let text = configure(kind, folder.path(), port, gateways);
        fs::write(&configuration, text).expect("a file");
        let plan = Plan {
            folder: folder.path(),
            configuration,
            admin,
        };
        let [check, run] = kind.commands(&plan);
        self::check(&check);
        let run: Vec<_> = ["sh", "-c", RUN, "sh"]
            .into_iter()
            .chain(run.iter().map(String::as_str))
            .collect();
        let process = Guarded::spawn(&folder.path().join("log"), &run);
        let balancer = Self {
            address,
            kind,
            admin,
            gateways: gateways.iter().map(|gateway| gateway.address).collect(),
            process,
            folder,
        };
        eventually(AMPLE, "the balancer listens", || {
            assert!(balancer.process.is_running(), "{}", balancer.log());
            TcpStream::connect(address).is_ok()
        });
        balancer
    }

    /// The id of its process.
    pub fn pid(&self) -> i32 {
        self.process.id()
    }

    /// Waits until it sends requests to this gateway, from 1 on. nginx checks no gateway, and is not
    /// waited for.
    #[track_caller]
    pub fn await_up(&self, gateway: usize) {
        eventually(AMPLE, "the balancer finds a gateway ready", || {
            self.is_up(gateway).unwrap_or(true)
        });
    }

    /// Waits until it sends this gateway, from 1 on, nothing. nginx is not waited for.
    #[track_caller]
    pub fn await_down(&self, gateway: usize) {
        eventually(AMPLE, "the balancer finds a gateway not ready", || {
            !self.is_up(gateway).unwrap_or(false)
        });
    }

    /// Returns the log without the requests that were answered 200.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines = log.split_inclusive('\n');
        lines.filter(|line| !line.contains(" 200 ")).collect()
    }

    /// Returns whether the balancer's checks find this gateway ready; `None` if it has none.
    fn is_up(&self, gateway: usize) -> Option<bool> {
        match self.kind {
            Kind::HaProxy | Kind::Passthrough => Some(haproxy::is_up(self.folder.path(), gateway)),
            Kind::Nginx => None,
            Kind::Envoy => Some(envoy::is_up(self.admin, self.gateways[gateway - 1])),
        }
    }
}

fn write_certificates(kind: Kind, folder: &Path, authority: &Authority, identity: &Identity) {
    let mut certificate = identity.certificate.clone();
    if matches!(kind, Kind::HaProxy) {
        certificate.push_str(&identity.key);
    }
    for (name, text) in [
        ("iem-gateway.pem", certificate),
        ("iem-gateway.key", identity.key.clone()),
        ("iem-gateway-ca.pem", authority.pem()),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
}

/// Returns the configuration with the addresses of this run.
fn configure(kind: Kind, folder: &Path, port: u16, gateways: &[Gateway]) -> String {
    let file = kind.file();
    let text = fs::read_to_string(Path::new(DEPLOY).join(file)).expect("a configuration");
    let program = file.split('/').next().expect("a folder");
    let (shipped, listens) = kind.listens();
    let mut text = text
        .replace(
            &format!("/etc/{program}/"),
            &format!("{}/", folder.display()),
        )
        .replace(shipped, &listens.replace("{port}", &port.to_string()));
    for number in 1..=gateways.len() {
        text = text.replacen("9090", &format!("{{admin {number}}}"), 1);
    }
    for (number, gateway) in (1..).zip(gateways) {
        let address = |ip: &str, port: u16| match kind {
            Kind::Envoy => format!("address: {ip}, port_value: {port}"),
            Kind::HaProxy | Kind::Passthrough | Kind::Nginx => format!("{ip}:{port}"),
        };
        let shipped = address(&format!("10.0.0.1{number}"), 8443);
        assert!(text.contains(&shipped), "{shipped}");
        text = text
            .replace(&shipped, &address("127.0.0.1", gateway.address.port()))
            .replace(
                &format!("{{admin {number}}}"),
                &gateway.admin.port().to_string(),
            );
    }
    text
}

/// Has a program check its configuration.
fn check(command: &[String]) {
    let output = Command::new("sh")
        .args(["-c", RUN, "sh"])
        .args(command)
        .output()
        .expect("sh starts");
    assert!(
        output.status.success(),
        "{command:?} fails; scripts/test installs it:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
