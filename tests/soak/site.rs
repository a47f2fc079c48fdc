//! One gateway under soak: the real program with small limits, and what its clients need to know of
//! it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use super::client::{Door, trusting};
use super::tally::Tally;
use iem_test_support::{Authority, Gateway, Home, TOPICS, email, post};

pub(super) const BODY_BYTES_MAX: usize = 128 << 10;
pub(super) const CONNECTIONS_MAX: usize = 64;
pub(super) const QUEUE_RECORDS: usize = 48;
/// The shortest that there is.
pub(super) const IDLE_SECONDS: u64 = 301;

pub(super) struct Site {
    pub(super) label: &'static str,
    pub(super) gateway: Gateway,
    pub(super) pid: u32,
    /// Clients that speak HTTP/1.1.
    pub(super) door: Door,
    /// Clients that speak HTTP/2.
    pub(super) door2: Door,
    pub(super) authority: Option<Authority>,
    /// The token of a user who may send for all customers without a quota, and then that of a user
    /// whose customer has a quota.
    pub(super) token: String,
    pub(super) bounded_token: String,
    pub(super) tally: Arc<Tally>,
}

impl Site {
    pub(super) fn plain() -> Self {
        Self::new("plain", &home(), None)
    }

    pub(super) fn secured() -> Self {
        let authority = Authority::new("authority");
        let home = home().with_tls(&authority.gateway());
        Self::new("TLS", &home, Some(authority))
    }

    fn new(label: &'static str, home: &Home, authority: Option<Authority>) -> Self {
        let mut gateway = home.spawn_impatiently();
        let (pid, address) = (gateway.pid(), gateway.address);
        let door = |alpn: &[u8]| Door {
            address,
            tls: authority
                .as_ref()
                .map(|authority| trusting(&authority.pem(), &[alpn])),
        };
        let (door, door2) = (door(b"http/1.1"), door(b"h2"));
        let tally = Arc::default();
        let (token, bounded_token) = (log_in(&door, "carol"), log_in(&door, "bob"));
        Self {
            label,
            gateway,
            pid,
            door,
            door2,
            authority,
            token,
            bounded_token,
            tally,
        }
    }

    /// Returns the ceiling of memory that `check` prints.
    pub(super) fn ceiling(&self) -> u64 {
        ceiling(&self.gateway)
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.gateway.home.path("directory.toml")
    }

    /// How many descriptors the program has open.
    pub(super) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    /// A figure of the program's status: kilobytes, or a count.
    pub(super) fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }
}

/// Returns the ceiling of memory that `check` prints for a gateway.
pub(super) fn ceiling(gateway: &Gateway) -> u64 {
    let output = gateway.home.run(&["check", "--json"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("a report in JSON");
    report["memory"]["bytes"].as_u64().expect("a sum")
}

fn log_in(door: &Door, user: &str) -> String {
    let request = post("/api/v1/user/token", "").basic(email(user), &format!("{user}-password"));
    let mut client = door
        .open_from(Ipv4Addr::LOCALHOST)
        .expect("the gateway accepts a connection");
    let reply = client.exchange(&request.bytes()).expect("an answer");
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("a body in JSON");
    body["data"]["access_token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

fn home() -> Home {
    let mut home = Home::new()
        .set("logging.level", "warn")
        .set("server.threads", 2)
        .set(
            "server.max_connections",
            i64::try_from(CONNECTIONS_MAX).expect("small"),
        )
        .set("server.max_body", "128 KiB")
        .set("server.memory", "1 MiB")
        .set("server.header_timeout", "1s")
        .set("server.body_timeout", "1s")
        .set("server.idle_timeout", format!("{IDLE_SECONDS}s"))
        .set("server.http2.max_streams", 16)
        .set("server.http2.max_requests", 24)
        .set("login.failures_per_user", 5)
        .set("login.failures_per_peer", 20)
        .set("metrics.customer_series", 1)
        .set("sink.file.rotate_size", "256 KiB")
        .set("sink.file.rotate_age", "2s")
        .set("sink.file.compress", "zstd");
    for topic in TOPICS {
        let key = |name: &str| format!("topics.{topic}.{name}");
        home = home
            .set(
                &key("queue_records"),
                i64::try_from(QUEUE_RECORDS).expect("small"),
            )
            .set(&key("queue_bytes"), "128 KiB")
            .set(&key("batch_records"), 16)
            .set(&key("batch_bytes"), "64 KiB")
            .set(
                &key("deadline"),
                if topic == "services" { "10ms" } else { "3s" },
            );
    }
    let quota = "id = \"globex\"\nquota = { records = 50 }\n";
    home.edit_directory(|text| text.replace("id = \"globex\"\n", quota))
}
