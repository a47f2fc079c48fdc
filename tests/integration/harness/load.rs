//! Clients that publish without pause, each record with an id of its own, and keep account of what was answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connection::Connection;
use super::records::Line;
use super::request::post;

/// What came of the records that were sent. No record is ever sent twice.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The ids answered 200.
    pub(crate) published: Vec<String>,
    /// How many records got each status.
    pub(crate) answers: BTreeMap<u16, usize>,
    /// How many records got no answer: the connection failed under them.
    pub(crate) unanswered: usize,
}

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Lets `clients` publish events of `padding` bytes and some to `address`, with ids that begin with `label`. The
    /// records of one client share an ordering key, and their ids rise.
    pub(crate) fn start(
        address: SocketAddr,
        token: &str,
        label: &str,
        clients: usize,
        padding: usize,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|client| {
                let (stop, token, name) = (Arc::clone(&stop), token.to_owned(), format!("{label}-{client}"));
                thread::spawn(move || publish(address, &token, &name, padding, &stop))
            })
            .collect();
        Self { stop, clients }
    }

    /// Lets every client finish the record that it is at, and adds up what came of all.
    pub(crate) fn stop(mut self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        for client in self.clients.drain(..) {
            all.add(client.join().expect("a client of the load"));
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn publish(address: SocketAddr, token: &str, name: &str, padding: usize, stop: &AtomicBool) -> Ledger {
    let mut ledger = Ledger::default();
    let mut connection = None;
    let padding = "x".repeat(padding);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let Some(open) = connection.as_mut() else {
            connection = Connection::try_open(address).ok();
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let id = format!("{name}-{number:08}");
        let body = format!(
            r#"{{"envcustomerid":"acme","splitby":"{name}","test_id":"{id}","padding":"{padding}"}}"#
        );
        let request = post("/publish/allevents/", body).cookie(token).bytes();
        let Ok(Some(answer)) = open.try_send(request).and_then(|()| open.try_answer()) else {
            ledger.unanswered += 1;
            connection = None;
            continue;
        };
        *ledger.answers.entry(answer.status).or_default() += 1;
        if answer.status == 200 {
            ledger.published.push(id);
        }
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            connection = None;
        }
    }
    ledger
}

impl Ledger {
    pub(crate) fn add(&mut self, other: Self) {
        self.published.extend(other.published);
        self.unanswered += other.unanswered;
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
    }

    /// Fails the test unless every record answered 200 is among `lines`, none stands there twice, and each client's
    /// stand in the order in which it sent them.
    pub(crate) fn check_against(&self, lines: &[Line]) {
        let mut seen = BTreeMap::new();
        let mut latest = BTreeMap::new();
        for line in lines {
            let id = line.test_id();
            let (client, number) = id.rsplit_once('-').expect("an id of the load");
            if let Some(before) = latest.insert(client.to_owned(), number.to_owned()) {
                assert!(*before <= *number, "{id} stands after number {before}");
            }
            *seen.entry(id).or_insert(0) += 1;
        }
        let lost: Vec<_> = self.published.iter().filter(|id| !seen.contains_key(*id)).collect();
        assert!(
            lost.is_empty(),
            "{} of {} answered 200 are lost: {lost:?}",
            lost.len(),
            self.published.len()
        );
        let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "sent once, and written more often: {twice:?}");
    }
}
