//! A client that sends at a constant rate, whether it is answered or not. One that waits for its
//! answers would hide a stall.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::arrived::Arrived;
use crate::request::post;

/// The time that an answer has before the call counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time after its deadline in which a call is answered on a machine that is busy with other tests.
const GRACE: Duration = Duration::from_secs(10);

/// The time between two requests' coming to the gateway, by its own clock, from which on it has surely
/// taken the records of the first one first.
const APART: Duration = Duration::from_secs(1);

/// A running client. It sends nothing more once this is dropped.
pub struct OpenLoop {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Calls>>,
}

/// One request that was sent, and its answer.
#[derive(Clone, Debug)]
pub struct Call {
    /// The record's `test_id`: ids rise in the order in which they were sent.
    pub id: String,
    /// The record's ordering value.
    pub key: String,
    /// When it was due to be sent. What the client itself was late counts as waiting.
    pub due: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// The time from when it was due to the answer.
    pub wait: Duration,
    /// The status; 0 without an answer.
    pub status: u16,
}

/// The calls of one client, in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub struct Calls(pub Vec<Call>);

impl OpenLoop {
    /// Publishes `rate` events a second as the holder of `token`, with these ordering values in
    /// turn and ids that begin with `label`.
    pub fn start(
        address: SocketAddr,
        token: &str,
        label: &str,
        rate: u32,
        keys: &[String],
    ) -> Self {
        Self::start_at(address, "/publish/allevents/", token, label, rate, keys)
    }

    /// As [`start`](Self::start), with this path in place of that of events.
    pub fn start_at(
        address: SocketAddr,
        path: &'static str,
        token: &str,
        label: &str,
        rate: u32,
        keys: &[String],
    ) -> Self {
        let (token, keys) = (token.to_owned(), keys.to_owned());
        let request = move |number: usize, id: &str| {
            let key = keys[number % keys.len()].clone();
            let body = format!(r#"{{"envcustomerid":"acme","splitby":"{key}","test_id":"{id}"}}"#);
            let bytes = post(path, body).cookie(&token).bytes();
            (key, bytes)
        };
        let idle = Idle::default();
        let exchange = move |_, request: Vec<u8>| {
            let idle = Arc::clone(&idle);
            async move { exchange(address, &idle, &request).await }
        };
        Self::run(label, rate, Semaphore::MAX_PERMITS, request, exchange)
    }

    /// Sends `rate` requests a second, of which so many at once are under way: others wait for their
    /// turn, and their time has begun. `request` returns the key and the bytes of each, by its number
    /// and its id; `exchange` sends it, and returns the status of its answer.
    pub(super) fn run<F>(
        label: &str,
        rate: u32,
        under_way: usize,
        request: impl Fn(usize, &str) -> (String, Vec<u8>) + Send + 'static,
        exchange: impl Fn(usize, Vec<u8>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<u16>> + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let label = label.to_owned();
        let gap = Duration::from_secs(1) / rate;
        let turns = Arc::new(Semaphore::new(under_way));
        let send = async move {
            let mut tasks = Vec::new();
            let mut due = Instant::now();
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                let id = format!("{label}-{number:08}");
                let (key, bytes) = request(number, &id);
                let exchange = exchange(number, bytes);
                let turns = Arc::clone(&turns);
                tasks.push(tokio::spawn(async move {
                    let _turn = turns.acquire().await;
                    let sent = Instant::now();
                    let status = match tokio::time::timeout(PATIENCE, exchange).await {
                        Ok(Ok(status)) => status,
                        Ok(Err(_)) | Err(_) => 0,
                    };
                    Call {
                        id,
                        key,
                        due,
                        sent,
                        wait: due.elapsed(),
                        status,
                    }
                }));
                due += gap;
            }
            let mut calls = Vec::with_capacity(tasks.len());
            for task in tasks {
                calls.push(task.await.expect("a call does not panic"));
            }
            Calls(calls)
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(send)
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Sends nothing more, waits for the answers, and returns the calls.
    pub fn stop(mut self) -> Calls {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken only here");
        thread.join().expect("a client of the load")
    }
}

impl Drop for OpenLoop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Connections without a request on them.
type Idle = Arc<Mutex<Vec<TcpStream>>>;

/// Sends one request on a connection that is free, and returns the status of its answer.
async fn exchange(address: SocketAddr, idle: &Idle, request: &[u8]) -> io::Result<u16> {
    let mut stream = match take(idle) {
        Some(stream) => stream,
        None => TcpStream::connect(address).await?,
    };
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let answer = read_answer(&mut stream).await?;
    if answer.header("connection").is_none() {
        idle.lock().expect("no call panics").push(stream);
    }
    Ok(answer.status)
}

/// Reads an answer whose length is told to its end, and returns its head.
pub(super) async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = crate::find(&bytes, b"\r\n\r\n") {
            break end;
        }
        read_more(stream, &mut bytes).await?;
    };
    let answer = Answer::parse_head(&bytes[..head]);
    let length: usize = answer
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or_default();
    while bytes.len() < head + 4 + length {
        read_more(stream, &mut bytes).await?;
    }
    Ok(answer)
}

async fn read_more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Takes a free connection that the gateway has not closed.
fn take(idle: &Idle) -> Option<TcpStream> {
    let mut idle = idle.lock().expect("no call panics");
    std::iter::from_fn(|| idle.pop()).find(|stream| {
        let read = stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    })
}

impl Calls {
    /// Returns the calls that were due from `from` on, until before `to`.
    pub fn between(&self, from: Instant, to: Instant) -> Self {
        self.with(|call| call.due >= from && call.due < to)
    }

    /// Returns the calls that `chosen` chooses.
    pub fn with(&self, chosen: impl Fn(&Call) -> bool) -> Self {
        Self(self.0.iter().filter(|call| chosen(call)).cloned().collect())
    }

    /// Returns the share of calls that were answered 200, between 0 and 1; 1 of none.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 calls")]
    pub fn accepted(&self) -> f64 {
        if self.0.is_empty() {
            return 1.0;
        }
        self.published().count() as f64 / self.0.len() as f64
    }

    /// Returns the ids that were answered 200.
    pub fn published(&self) -> impl Iterator<Item = &String> {
        let accepted = self.0.iter().filter(|call| call.status == 200);
        accepted.map(|call| &call.id)
    }

    /// Returns the 99th percentile of the time to the answer.
    pub fn slow(&self) -> Duration {
        let mut waits: Vec<_> = self.0.iter().map(|call| call.wait).collect();
        waits.sort_unstable();
        waits
            .get(waits.len().saturating_sub(1) * 99 / 100)
            .copied()
            .unwrap_or_default()
    }

    /// Fails the test unless each call was answered, 200 or 503, by `deadline` and some grace.
    pub fn answered_within(&self, deadline: Duration) {
        for call in &self.0 {
            assert!(matches!(call.status, 200 | 503), "{call:?}");
            assert!(call.wait < deadline + GRACE, "{call:?}");
        }
    }

    /// Fails the test unless every record answered 200 is among `ids`, as they were stored.
    pub fn all_there(&self, ids: &[String]) {
        let there: HashSet<_> = ids.iter().collect();
        let lost: Vec<_> = self.published().filter(|id| !there.contains(id)).collect();
        assert!(lost.is_empty(), "answered 200 and lost: {lost:?}");
    }

    /// Fails the test unless the records of each key that were answered 200 stand in order, by their
    /// first places and by their last: behind those whose calls were answered before theirs were
    /// sent, and behind those that came to the gateway a second earlier. Others may have been under
    /// way at once, and the gateway may take them in any order. The time at which a client sent says
    /// less: a new connection may wait for longer than one that is open already.
    ///
    /// A record answered 503 may come late: a backend or a connection that hung with it in its hands
    /// goes on.
    pub fn in_order(&self, arrived: &[Arrived]) {
        self.in_order_of_answers(arrived);
        self.each_in_order(arrived, |before, record| {
            (
                before.received > record.received + APART,
                before.received < record.received,
            )
        });
    }

    /// The same for several gateways: those that were under way at once may have been at different
    /// ones, however long ago each came to its own.
    pub fn in_order_of_answers(&self, arrived: &[Arrived]) {
        self.each_in_order(arrived, |before, record| {
            let (before, record) = (before.call, record.call);
            (before.sent > record.answered(), before.sent < record.sent)
        });
    }

    /// Looks at the records of each key, by their first places and by their last. `compare` is told
    /// the one that is the latest so far, and the next one: it returns whether that stands wrongly
    /// behind it, and whether it is the later one.
    fn each_in_order(
        &self,
        arrived: &[Arrived],
        compare: impl Fn(&Stored<'_>, &Stored<'_>) -> (bool, bool),
    ) {
        let accepted = self.0.iter().filter(|call| call.status == 200);
        let call_of: HashMap<&String, &Call> = accepted.map(|call| (&call.id, call)).collect();
        let records: Vec<Stored> = arrived
            .iter()
            .filter_map(|record| {
                let call = call_of.get(&record.test_id()).copied()?;
                let received = record.received();
                Some(Stored { call, received })
            })
            .collect();
        let mut lasts = firsts(records.iter().rev());
        lasts.reverse();
        for (which, records) in [("first", firsts(records.iter())), ("last", lasts)] {
            let mut latest: HashMap<&String, &Stored> = HashMap::new();
            for record in records {
                let before = latest.entry(&record.call.key).or_insert(record);
                let (is_wrong, is_later) = compare(before, record);
                assert!(
                    !is_wrong,
                    "by their {which} places, {record:?} stands behind {before:?}"
                );
                if is_later {
                    *before = record;
                }
            }
        }
    }
}

/// A call's record as it was found where it is stored.
#[derive(Debug)]
struct Stored<'a> {
    call: &'a Call,
    /// When its request came to the gateway.
    received: SystemTime,
}

impl Call {
    /// Returns when the call was answered.
    fn answered(&self) -> Instant {
        self.due + self.wait
    }
}

/// Returns the records, each where it comes first.
fn firsts<'a>(records: impl Iterator<Item = &'a Stored<'a>>) -> Vec<&'a Stored<'a>> {
    let mut seen = HashSet::new();
    records
        .filter(|record| seen.insert(&record.call.id))
        .collect()
}
