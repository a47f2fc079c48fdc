//! The load: requests at a constant rate. A request is sent when it is due, whatever has become of
//! those before it, and its time counts from when it was due, not from when it was sent: else a
//! stall of the gateway would also stall the clock that measures it (coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use super::acknowledged::Recorder;
use super::keys::KeyPool;
use super::mark::{Batch, Template};
use super::pace::{InFlight, Pace};
use super::progress::Progress;
use super::schedule::Schedule;
use super::session::Session;
use super::tally::{ACKNOWLEDGED, Tally};
use crate::client::{Client, Failure};

/// The time between two looks at the progress.
const TICK: Duration = Duration::from_millis(250);

/// The shape of a load.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The times of the requests.
    pub schedule: Schedule,
    /// The requests that may be in flight.
    pub in_flight_max: usize,
    /// The keys that are used in turn.
    pub keys: usize,
    /// The records of a request.
    pub records: u32,
    /// The path of the requests.
    pub path: String,
    /// The time that an answer may take.
    pub timeout: Duration,
}

impl Shape {
    /// Returns the most keys that the load uses.
    pub fn keys_max(&self) -> usize {
        self.keys.max(self.in_flight_max)
    }

    /// Returns the most records that it sends.
    pub fn records_max(&self) -> u64 {
        self.schedule.requests() * u64::from(self.records)
    }
}

/// The parts that all requests of a load share.
struct Load {
    shape: Shape,
    template: Template,
    client: Arc<Client>,
    session: Session,
    recorder: Recorder,
    keys: Mutex<KeyPool>,
    tally: Mutex<Tally>,
    pace: Arc<Pace>,
}

/// The result of a load.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Requests that have been due.
    pub due: u64,
    /// Requests that were not sent when they were due.
    pub not_sent: u64,
    /// Those that were sent.
    pub tally: Tally,
    /// The time from the begin to the last answer.
    pub took: Duration,
}

/// Sends all requests, and waits for their answers. Ends early if an acknowledgement cannot be
/// remembered. `session` comes with the time after which it is to be renewed.
pub async fn run(
    shape: Shape,
    template: Template,
    client: Arc<Client>,
    (session, renew_after): (Session, Duration),
    recorder: Recorder,
    begin: Instant,
    progress: &Progress,
) -> std::io::Result<Outcome> {
    let pace = Pace::new(shape.in_flight_max);
    let (mut requests, clock) = pace.start(shape.schedule, begin)?;
    let keys = KeyPool::new(shape.keys, shape.keys_max());
    let load = Arc::new(Load {
        shape,
        template,
        client,
        session,
        recorder,
        keys: Mutex::new(keys),
        tally: Mutex::default(),
        pace,
    });
    let renewing = tokio::spawn({
        let load = Arc::clone(&load);
        async move { load.session.keep(renew_after).await }
    });
    send_all(&load, &mut requests, begin, progress).await;
    let took = begin.elapsed();
    renewing.abort();
    // What it shares with the load is gone only then.
    let _ = renewing.await;
    progress.end();
    let _ = clock.join();
    let tally = load.tally.lock().clone();
    Ok(Outcome {
        due: load.pace.due(),
        not_sent: load.pace.not_sent(),
        tally,
        took,
    })
}

/// Sends each request when it comes, and waits for all answers.
async fn send_all(
    load: &Arc<Load>,
    requests: &mut UnboundedReceiver<InFlight>,
    begin: Instant,
    progress: &Progress,
) {
    let tasks = TaskTracker::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                Some(in_flight) => {
                    tasks.spawn(Arc::clone(load).send(in_flight));
                }
                None => break,
            },
            _ = ticks.tick() => progress.show(Instant::now(), || load.line(begin)),
        }
    }
    tasks.close();
    loop {
        tokio::select! {
            () = tasks.wait() => break,
            _ = ticks.tick() => progress.show(Instant::now(), || load.line(begin)),
        }
    }
}

impl Load {
    /// Sends one request and takes note of its answer. Its key is idle again once the answer is
    /// remembered.
    async fn send(self: Arc<Self>, in_flight: InFlight) {
        let Some(batch) = self.keys.lock().take(self.shape.records) else {
            // There are as many keys as requests in flight.
            return self.pace.stop();
        };
        let key = batch.key;
        self.exchange(batch, in_flight.due).await;
        self.keys.lock().give_back(key);
        drop(in_flight);
    }

    async fn exchange(&self, batch: Batch, due: Instant) {
        let request = match self.request(&batch) {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::Connection(error.to_string());
                return self.tally.lock().count_failure(failure);
            }
        };
        self.tally.lock().sent += 1;
        let deadline = Instant::now() + self.shape.timeout;
        match self.client.send(request, deadline).await {
            Ok(answer) => {
                self.tally.lock().count_answer(&answer, due.elapsed());
                let is_acknowledged = answer.status == ACKNOWLEDGED;
                if is_acknowledged && !self.recorder.remember(batch).await {
                    self.pace.stop();
                }
            }
            Err(failure) => self.tally.lock().count_failure(failure),
        }
    }

    fn request(&self, batch: &Batch) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let content_type = if batch.numbers.len() > 1 {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        Request::post(self.client.url().target(&self.shape.path))
            .header(HOST, &self.client.url().authority)
            .header(AUTHORIZATION, self.session.authorization())
            .header(CONTENT_TYPE, content_type)
            .body(Full::from(self.template.body(batch)))
    }

    /// Returns a line about the progress.
    fn line(&self, begin: Instant) -> String {
        let tally = self.tally.lock();
        let acknowledged = tally.answered(ACKNOWLEDGED);
        format!(
            "{:4} s: {} requests sent, {acknowledged} answered 200, {} otherwise, {} not answered, \
             {} in flight, {} not sent in time",
            begin.elapsed().as_secs(),
            tally.sent,
            tally.answered_in_all() - acknowledged,
            tally.connection_errors + tally.time_outs,
            self.pace.in_flight(),
            self.pace.not_sent(),
        )
    }
}
