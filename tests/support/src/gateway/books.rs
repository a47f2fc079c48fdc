//! The books of a gateway, as its metrics tell them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::answer::Answer;
use crate::client::Connection;
use crate::request::get;

/// The time between two scrapes of a [`BooksWatch`].
const PAUSE: Duration = Duration::from_millis(10);

/// The metrics whose sum is the number of accepted records. Of the first, without what found the
/// queue full.
const PLACES: [&str; 4] = [
    "iem_gateway_records_total",
    "iem_gateway_journal_records",
    "iem_gateway_in_flight_records",
    "iem_gateway_unaccounted_records",
];

/// Fails the test unless the books of each topic balance on this page, without a difference.
#[track_caller]
pub(super) fn check(page: &str) {
    let mut differences: BTreeMap<&str, i64> = BTreeMap::new();
    for (series, value) in page.lines().filter_map(|line| line.rsplit_once(' ')) {
        let Some((name, labels)) = series.split_once('{') else {
            continue;
        };
        let is_accepted = name == "iem_gateway_accepted_records_total";
        let is_place = PLACES.contains(&name) && !labels.contains("outcome=\"full\"");
        if !is_accepted && !is_place {
            continue;
        }
        let value: i64 = value.parse().expect("a number of records");
        assert!(
            name != "iem_gateway_unaccounted_records" || value == 0,
            "{value} records are unaccounted for:\n{page}"
        );
        let topic = labels.split("topic=\"").nth(1).expect("a topic");
        let topic = topic.split('"').next().expect("a topic");
        *differences.entry(topic).or_default() += if is_accepted { value } else { -value };
    }
    assert!(
        !differences.is_empty() && differences.values().all(|difference| *difference == 0),
        "the books do not balance: {differences:?}\n{page}"
    );
}

/// Scrapes a gateway again and again, until it is dropped. The test fails if the books of one scrape
/// do not balance. A gateway that does not answer ends it.
pub struct BooksWatch {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<usize>>,
}

impl BooksWatch {
    pub(super) fn start(admin: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut scrapes = 0;
            while !told.load(Ordering::Relaxed) {
                let Some(answer) = scrape(admin) else { break };
                check(&answer.text());
                scrapes += 1;
                std::thread::sleep(PAUSE);
            }
            scrapes
        });
        Self {
            is_over,
            thread: Some(thread),
        }
    }
}

/// Returns the page of metrics; `None` if the gateway has ended.
fn scrape(admin: SocketAddr) -> Option<Answer> {
    let mut connection = Connection::try_open(admin).ok()?;
    connection.try_send(get("/metrics").bytes()).ok()?;
    connection.try_answer().ok()?
}

impl Drop for BooksWatch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let scrapes = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            let scrapes = scrapes.and_then(Result::ok);
            assert!(scrapes.is_some_and(|scrapes| scrapes > 0), "the books");
        }
    }
}
