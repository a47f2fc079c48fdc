//! Clients that publish without pause, each record with an id of its own, and keep account of what
//! was answered.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::connection::Connection;
use crate::arrived::Line;
use crate::request::post;

/// The account of the records that were sent. No record is ever sent twice.
#[derive(Default)]
pub struct Ledger {
    /// The ids answered 200.
    pub published: Vec<String>,
    /// The number of records that got each status.
    pub answers: BTreeMap<u16, usize>,
    /// The number of records without an answer, because the connection failed.
    pub unanswered: usize,
    /// The time that each answer took.
    pub waits: Vec<Duration>,
}

/// The pause of a client after a rejection, so that rejections at once make no storm.
const PAUSE_REJECTED: Duration = Duration::from_millis(10);

/// The time that an answer may take past its deadline on a busy machine.
const GRACE: Duration = Duration::from_secs(4);

/// A running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Lets `clients` publish events of `padding` bytes and some to `address`, with ids that begin
    /// with `label`. The records of one client share an ordering key, and their ids rise.
    pub fn start(
        address: SocketAddr,
        token: &str,
        label: &str,
        clients: usize,
        padding: usize,
    ) -> Self {
        Self::start_with_pauses(address, token, label, clients, padding, Duration::ZERO)
    }

    /// As [`start`](Self::start), with a pause of every client after each answer, so that it is not
    /// the clients that keep the machine busy.
    pub fn start_with_pauses(
        address: SocketAddr,
        token: &str,
        label: &str,
        clients: usize,
        padding: usize,
        pause: Duration,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|client| {
                let stop = Arc::clone(&stop);
                let token = token.to_owned();
                let name = format!("{label}-{client}");
                thread::spawn(move || publish(address, &token, &name, padding, pause, &stop))
            })
            .collect();
        Self { stop, clients }
    }

    /// Lets every client finish its record, and adds up their accounts.
    pub fn stop(mut self) -> Ledger {
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

fn publish(
    address: SocketAddr,
    token: &str,
    name: &str,
    padding: usize,
    pause: Duration,
    stop: &AtomicBool,
) -> Ledger {
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
        let began = Instant::now();
        let Ok(Some(answer)) = open.try_send(request).and_then(|()| open.try_answer()) else {
            ledger.unanswered += 1;
            connection = None;
            continue;
        };
        ledger.waits.push(began.elapsed());
        *ledger.answers.entry(answer.status).or_default() += 1;
        if answer.status == 200 {
            ledger.published.push(id);
            thread::sleep(pause);
        } else {
            thread::sleep(pause.max(PAUSE_REJECTED));
        }
        if answer
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            connection = None;
        }
    }
    ledger
}

impl Ledger {
    /// Adds another account to this one.
    pub fn add(&mut self, other: Self) {
        self.published.extend(other.published);
        self.unanswered += other.unanswered;
        self.waits.extend(other.waits);
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
    }

    /// Fails the test unless every record answered 200 is among `lines`, none stands there twice,
    /// and each client's stand in the order in which it sent them.
    pub fn check_against(&self, lines: &[Line]) {
        let ids: Vec<_> = lines.iter().map(Line::test_id).collect();
        self.all_there(&ids);
        self.in_order(&ids);
        self.none_twice(&ids);
    }

    /// Fails the test unless every record was answered 200, and the records found are these, each
    /// once, in the order in which each client sent them.
    pub fn check_without_fault(&self, ids: &[String]) {
        let statuses: Vec<_> = self.answers.keys().collect();
        assert_eq!(statuses, [&200], "without a fault");
        self.all_there(ids);
        self.in_order(ids);
        self.none_twice(ids);
        let answered = self.published.len();
        assert_eq!(ids.len(), answered, "what was answered, and nothing else");
    }

    /// Fails the test unless every record answered 200 is among `ids`.
    pub fn all_there(&self, ids: &[String]) {
        let there: HashSet<_> = ids.iter().collect();
        let lost: Vec<_> = self
            .published
            .iter()
            .filter(|id| !there.contains(id))
            .collect();
        let (count, of) = (lost.len(), self.published.len());
        assert!(
            lost.is_empty(),
            "{count} of {of} answered 200 are lost: {lost:?}"
        );
    }

    /// Fails the test unless each client's records answered 200 stand in the order in which it sent
    /// them. Where one stands several times, its first place counts: before it is answered,
    /// nothing later of its client is sent.
    pub fn in_order(&self, ids: &[String]) {
        let mut places = HashMap::new();
        for (place, id) in ids.iter().enumerate() {
            places.entry(id).or_insert(place);
        }
        for pair in self
            .published
            .windows(2)
            .filter(|pair| client(&pair[0]) == client(&pair[1]))
        {
            let (first, second) = (places.get(&pair[0]), places.get(&pair[1]));
            assert!(
                first < second,
                "{} stands at {first:?}, {} at {second:?}",
                pair[0],
                pair[1]
            );
        }
    }

    /// Fails the test if one of `ids` stands there twice: each was sent once.
    pub fn none_twice(&self, ids: &[String]) {
        let mut seen = HashSet::new();
        let twice: Vec<_> = ids.iter().filter(|id| !seen.insert(*id)).collect();
        assert!(
            twice.is_empty(),
            "{} answered 200; found more than once: {twice:?}",
            self.published.len()
        );
    }

    /// Fails the test unless each record was answered, 200 or 503, within `deadline` and some
    /// grace.
    pub fn answered_within(&self, deadline: Duration) {
        assert_eq!(self.unanswered, 0, "{:?}", self.answers);
        assert!(
            self.answers
                .keys()
                .all(|status| matches!(status, 200 | 503)),
            "{:?}",
            self.answers
        );
        let slowest = self.waits.iter().max();
        assert!(
            slowest < Some(&(deadline + GRACE)),
            "{slowest:?} of {deadline:?}"
        );
    }

    /// Returns the median time of an answer.
    pub fn median_wait(&self) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits[waits.len() / 2]
    }
}

/// Returns the name of the client that sent this record.
fn client(id: &str) -> &str {
    id.rsplit_once('-').expect("an id of the load").0
}
