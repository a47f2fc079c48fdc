//! A client of Pub/Sub: one connection, with the runtime that drives it. The client cannot take a
//! request back: only the end of its runtime ends one for certain.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::client::{BasePublisher, Publisher};
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::publisher::PublishFuture;
use iem_sink::SinkError;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell, Semaphore, SemaphorePermit, watch};
use tokio::time::{sleep, timeout_at};

use crate::access::Access;
use crate::message::{REQUEST_BYTES, REQUEST_MESSAGES};
use crate::retry::{Deadlines, backoff};
use crate::statistics::Statistics;
use crate::topics;

/// The publisher's timer. A flush ends each request first.
const NEVER: Duration = Duration::from_hours(1);

/// The requests of one connection at once. The client holds more of them back where no deadline
/// reaches them, and would still send them later.
const REQUESTS: usize = 100;

/// The time past a request's deadline in which the client has to say that it has ended it, and past
/// a probe's answer in which a connection in doubt has to answer too.
const GRACE: Duration = Duration::from_millis(200);

/// The time without any answer after which the connection is in doubt.
const DOUBT: Duration = Duration::from_secs(1);

/// The time without any answer after which what is under way may be given up. It is doubled after a
/// connection that was given up without a single answer: the service may just be slow to publish.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// The time without calls after which the connection is no longer in use. The pipeline waits less
/// before it sends again what failed.
const PAUSE: Duration = Duration::from_secs(3);

/// The time from one probe of a connection in doubt to the next. Each probe is a connection of its
/// own: one that was begun while the network was away may stay silent for long after its return.
const PROBE_INTERVAL: Duration = Duration::from_millis(400);

/// The time that a probe may take.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// One connection.
pub(crate) struct Client {
    access: Arc<Access>,
    statistics: Arc<Statistics>,
    topic: String,
    runtime: Handle,
    /// Built by the first request: a metadata server may take its time.
    base: OnceCell<BasePublisher>,
    deadlines: Arc<Deadlines>,
    permits: Semaphore,
    /// Held by a request until it has begun.
    turn: tokio::sync::Mutex<()>,
    traffic: Mutex<Traffic>,
    /// Notified when a call begins.
    begun: Notify,
    /// The time without any answer after which what is under way may be given up.
    patience: Duration,
    is_retired: AtomicBool,
    /// Whether what is under way is given up with the connection, to be sent again over another.
    /// Order by key does not allow that: a request that was given up may still arrive.
    gives_up: bool,
    given_up: watch::Sender<bool>,
}

struct Traffic {
    calls: usize,
    /// The time at which the last call ended that was alone.
    idle_since: Instant,
    last_answer: Option<Instant>,
    /// The time since when calls have been without an answer, one after another or together.
    silent_since: Option<Instant>,
}

impl Traffic {
    fn is_in_use(&self) -> bool {
        self.calls > 0 || self.idle_since.elapsed() < PAUSE
    }
}

/// The answer to a request. It holds for all of its messages.
pub(crate) enum Answer {
    Delivered,
    Failed(Arc<Error>),
    /// No client could be built.
    NoClient(SinkError),
    /// None came before the deadline.
    None,
    /// The connection was given up, because the service answers over another one.
    GivenUp,
}

impl Client {
    /// Creates the client, and has it watched. It connects when it is used.
    pub(crate) fn new(
        access: &Arc<Access>,
        statistics: &Arc<Statistics>,
        topic: &str,
        gives_up: bool,
        patience: Duration,
        runtime: Handle,
    ) -> Arc<Self> {
        let client = Arc::new(Self {
            access: access.clone(),
            statistics: statistics.clone(),
            topic: topic.to_owned(),
            runtime,
            base: OnceCell::new(),
            deadlines: Arc::new(Deadlines::new(statistics.clone())),
            permits: Semaphore::new(REQUESTS),
            turn: tokio::sync::Mutex::default(),
            traffic: Mutex::new(Traffic {
                calls: 0,
                idle_since: Instant::now(),
                last_answer: None,
                silent_since: None,
            }),
            begun: Notify::new(),
            patience,
            is_retired: AtomicBool::new(false),
            gives_up,
            given_up: watch::Sender::new(false),
        });
        client.runtime.spawn(client.clone().watch());
        client
    }

    /// Returns the runtime that drives the connection.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Sends messages that fit into one request, and waits for the answer until `deadline`, or until
    /// the connection is given up.
    pub(crate) async fn publish(
        &self,
        path: &str,
        messages: Vec<Message>,
        deadline: Instant,
    ) -> Answer {
        let mut given_up = self.given_up.subscribe();
        let given_up = pin!(given_up.wait_for(|is_given_up| *is_given_up));
        match select(pin!(self.request(path, messages, deadline)), given_up).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Answer::GivenUp,
        }
    }

    async fn request(&self, path: &str, messages: Vec<Message>, deadline: Instant) -> Answer {
        let (base, _permit) = match timeout_at(deadline.into(), self.ready()).await {
            Ok(Ok(ready)) if Instant::now() < deadline => ready,
            Ok(Err(error)) => return Answer::NoClient(error),
            Ok(Ok(_)) | Err(_) => return Answer::None,
        };
        let turn = self.turn.lock().await;
        let (noted, start) = self.deadlines.note(deadline);
        let began = Instant::now();
        let publisher = publisher(base, path);
        let answers: Vec<_> = messages
            .into_iter()
            .map(|message| publisher.publish(message))
            .collect();
        let end = pin!(timeout_at((deadline + GRACE).into(), publisher.flush()));
        let ended = match select(end, start).await {
            Either::Left((ended, _)) => ended,
            Either::Right((_, end)) => {
                drop(turn);
                end.await
            }
        };
        self.statistics.count_publish(began.elapsed());
        if ended.is_err() {
            // It may still wait for its connection, and be sent when that comes.
            self.retire();
            return Answer::None;
        }
        self.deadlines.forget(noted);
        let answer = common_answer(answers).await;
        if is_from_the_service(&answer) {
            let mut traffic = self.traffic.lock();
            traffic.last_answer = Some(Instant::now());
            traffic.silent_since = traffic.last_answer;
        }
        answer
    }

    /// Waits until the connection may carry another request.
    async fn ready(&self) -> Result<(&BasePublisher, Option<SemaphorePermit<'_>>), SinkError> {
        let permit = self.permits.acquire().await.ok();
        let base = self.base.get_or_try_init(|| self.build()).await?;
        Ok((base, permit))
    }

    async fn build(&self) -> Result<BasePublisher, SinkError> {
        let retry: Arc<dyn RetryPolicy> = self.deadlines.clone();
        let mut builder = BasePublisher::builder()
            .with_credentials(self.access.credentials())
            .with_retry_policy(retry)
            .with_backoff_policy(backoff());
        if let Some(endpoint) = &self.access.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().await.map_err(|error| {
            SinkError::permanent(format!(
                "cannot create a Pub/Sub client for {}: {error}",
                self.access.address()
            ))
        })
    }

    /// Has later calls use another client. Those under way go on.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// Counts a call as under way until the guard is dropped.
    pub(crate) fn begin_call(self: &Arc<Self>) -> CallGuard {
        let mut traffic = self.traffic.lock();
        if !traffic.is_in_use() {
            traffic.silent_since = None;
        }
        traffic.silent_since.get_or_insert_with(Instant::now);
        traffic.calls += 1;
        drop(traffic);
        self.begun.notify_one();
        CallGuard(self.clone())
    }

    /// Returns whether calls are under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.traffic.lock().calls > 0
    }

    /// Returns whether calls are under way, and none has been answered since then.
    pub(crate) fn is_silent_since(&self, since: Instant) -> bool {
        let traffic = self.traffic.lock();
        traffic.calls > 0 && traffic.last_answer.is_none_or(|answer| answer < since)
    }

    /// Returns whether calls have been without an answer for so long.
    fn is_silent_for(&self, time: Duration) -> bool {
        let since = self.traffic.lock().silent_since;
        since.is_some_and(|since| since.elapsed() >= time)
    }

    fn is_given_up(&self) -> bool {
        *self.given_up.borrow()
    }

    /// Returns the patience that the next client needs.
    pub(crate) fn next_patience(&self) -> Duration {
        if self.is_given_up() && self.traffic.lock().last_answer.is_none() {
            self.patience * 2
        } else {
            PATIENCE
        }
    }

    /// Retires the client once it is in doubt and the service answers over another connection. If
    /// it stays silent, gives up what is under way where the order of records allows that.
    async fn watch(self: Arc<Self>) {
        while !self.is_retired() || self.gives_up && !self.is_given_up() {
            sleep(PROBE_INTERVAL).await;
            let is_in_use = self.traffic.lock().is_in_use();
            if is_in_use && self.is_silent_for(DOUBT) {
                let client = self.clone();
                self.runtime.spawn(async move {
                    let answers = topics::answers(&client.access, &client.topic, PROBE_TIME).await;
                    // A service that goes on answers what has waited too.
                    sleep(GRACE).await;
                    if answers && client.is_silent_for(DOUBT) {
                        client.retire();
                        if client.gives_up && client.is_silent_for(client.patience) {
                            client.given_up.send_replace(true);
                        }
                    }
                });
            } else if !is_in_use {
                self.begun.notified().await;
            }
        }
    }
}

/// A guard that counts a call as under way.
pub(crate) struct CallGuard(Arc<Client>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        let mut traffic = self.0.traffic.lock();
        traffic.calls -= 1;
        if traffic.calls == 0 {
            traffic.idle_since = Instant::now();
            if traffic.silent_since == traffic.last_answer {
                traffic.silent_since = None;
            }
        }
    }
}

/// Creates a publisher for one request, which costs two tasks. A publisher that is kept has a task
/// for each ordering key that it has ever seen, flushes them all, and remembers which keys failed.
fn publisher(base: &BasePublisher, path: &str) -> Publisher {
    base.publisher(path)
        .set_message_count_threshold(REQUEST_MESSAGES)
        .set_byte_threshold(REQUEST_BYTES)
        .set_delay_threshold(NEVER)
        .build()
}

/// Returns the answer that all messages of a request that has ended have in common.
async fn common_answer(answers: Vec<PublishFuture>) -> Answer {
    let mut common = Answer::Delivered;
    for answer in answers {
        match answer.await {
            Ok(_) => {}
            Err(PublishError::Rpc(error)) => return Answer::Failed(error),
            Err(_) => common = Answer::None,
        }
    }
    common
}

fn is_from_the_service(answer: &Answer) -> bool {
    match answer {
        Answer::Delivered => true,
        Answer::Failed(error) => error.status().is_some(),
        Answer::NoClient(_) | Answer::None | Answer::GivenUp => false,
    }
}
