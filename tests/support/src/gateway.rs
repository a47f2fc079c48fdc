//! A running gateway: inside this process, where only its answers matter, or as the real program,
//! where its exit, its signals or its death do. Dropping it ends it, in a test that panics too.

mod activation;
mod books;
mod certificates;
mod home;
pub mod issued_tokens;
mod running;
mod sinks;
mod small_disk;
mod start;

use std::net::{IpAddr, SocketAddr};
use std::process::Child;
use std::sync::{Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use iem_gateway::RunError;
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::client::{Connection, Http2};
use crate::directory::email;
use crate::eventually::{AMPLE, eventually};
use crate::request::{Request, get, post};
pub use books::BooksWatch;
pub use certificates::{Authority, Identity};
pub use home::{Home, program};
pub use small_disk::SmallDisk;

/// The time that a start or an end may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway.
pub struct Gateway {
    /// Its folder.
    pub home: Home,
    /// The address that clients connect to.
    pub address: SocketAddr,
    /// The address of the admin listener.
    pub admin: SocketAddr,
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

impl Gateway {
    /// Opens a connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Sends a request on a connection of its own.
    pub fn send(&self, request: &Request) -> Answer {
        self.connect().send(request.bytes()).answer()
    }

    /// As [`send`](Self::send), from this address of 127.0.0.0/8.
    pub fn send_from(&self, peer: [u8; 4], request: &Request) -> Answer {
        Connection::from_peer(self.address, IpAddr::from(peer))
            .send(request.bytes())
            .answer()
    }

    /// Asks for a token with these credentials.
    pub fn log_in(&self, email: &str, password: &str) -> Answer {
        self.send(&post("/api/v1/user/token", "").basic(email, password))
    }

    /// Returns an access token of a user of the tests' directory, named by the part of the email
    /// before the `@`.
    pub fn token(&self, user: &str) -> String {
        self.log_in(email(user), &format!("{user}-password"))
            .expect(200)
            .access_token()
    }

    /// Publishes as alice, who belongs to the customer `acme`.
    pub fn publish(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let token = self.alice.get_or_init(|| self.token("alice"));
        self.send(&post(path, body).cookie(token))
    }

    /// Opens a connection over HTTP/2 by prior knowledge.
    pub fn http2(&self) -> Http2 {
        Http2::open(self.address)
    }

    /// Asks the admin listener for a page.
    pub fn admin(&self, path: &str) -> Answer {
        Connection::open(self.admin)
            .send(get(path).bytes())
            .answer()
    }

    /// Returns the page of metrics. The test fails unless each topic's books balance on it.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let page = self.admin("/metrics").text();
        books::check(&page);
        page
    }

    /// Scrapes the metrics again and again: the test fails if the books do not balance once.
    #[must_use]
    pub fn watch_books(&self) -> BooksWatch {
        BooksWatch::start(self.admin)
    }

    /// Returns the sum of a metric's samples whose labels contain all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics();
        let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
        samples
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value.parse::<f64>().expect("a sample is a number"))
            .sum()
    }

    /// Returns how often clients have reached a limit.
    pub fn reached(&self, limit: &str) -> u64 {
        let label = format!("limit=\"{limit}\"");
        let page = self.metrics();
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
    pub fn await_reached(&self, limit: &str, times: u64) {
        eventually(AMPLE, limit, || self.reached(limit) >= times);
        assert_eq!(self.reached(limit), times, "{limit}");
    }

    /// Waits until so many more publish calls of events have been answered with this status.
    #[track_caller]
    pub fn await_answers(&self, status: u16, count: u32) {
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
}
