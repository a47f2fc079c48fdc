//! Delivery of requests to one topic: sends each, tells its records' outcomes as soon as it is
//! answered, and splits one that is refused until each record at fault is alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use google_cloud_pubsub::Error;
use iem_sink::{Reason, SinkError};

use crate::access::Access;
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::inbox::Inbox;
use crate::keys::Keys;
use crate::request::Request;
use crate::statistics::Statistics;
use crate::suspects::Suspects;
use crate::topics::{Topics, explain};

/// The parts of a refused request. They are sent together, so that three rounds find the records at
/// fault among a thousand.
const PARTS: usize = 10;

/// The parts of a refused request of one ordering key. They are sent one after another, so that
/// halves need the fewest requests.
const PARTS_IN_TURN: usize = 2;

/// The way of one writer's records to their topic.
pub(crate) struct Delivery {
    pub(crate) access: Arc<Access>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) topic: String,
    /// The topic's full name.
    pub(crate) path: String,
    pub(crate) ordered: bool,
    pub(crate) inbox: Inbox,
    pub(crate) suspects: Suspects,
    /// The ordering keys with requests under way.
    pub(crate) keys: Keys,
    /// Whether the topic has taken a record.
    pub(crate) has_delivered: AtomicBool,
}

/// The end of an attempt at a request.
enum Attempt {
    /// The outcome of each record is told, and nothing stands against later ones.
    Over,
    /// The request was refused as invalid, for one of its records or several.
    Refused(Request),
    /// The outcome of each record is told: none was delivered.
    Failed(SinkError),
}

impl Delivery {
    /// Sends requests together.
    pub(crate) async fn send_together(self: Arc<Self>, requests: Vec<Request>) {
        let attempts = requests.into_iter().map(|request| self.attempt(request));
        let mut under_way: FuturesUnordered<_> = attempts.collect();
        while let Some(attempt) = under_way.next().await {
            if let Attempt::Refused(request) = attempt {
                let parts = request.split(PARTS, &self.path, self.ordered);
                under_way.extend(parts.into_iter().map(|part| self.attempt(part)));
            }
        }
    }

    /// Sends the requests of these keys: those of one key in turn, and different keys together. The
    /// requests of later calls are sent too, until a key has none left.
    pub(crate) async fn send_keys(self: Arc<Self>, client: Arc<Client>, keys: Vec<Box<str>>) {
        let keys = keys.into_iter().map(|key| self.send_key(&client, key));
        keys.collect::<FuturesUnordered<_>>().collect::<()>().await;
    }

    async fn send_key(self: &Arc<Self>, client: &Arc<Client>, key: Box<str>) {
        while let Some(request) = self.keys.next(&key) {
            if !Arc::ptr_eq(client, &request.call.client) {
                // The next call may outlive this client.
                let client = request.call.client.clone();
                self.keys.put_back(&key, vec![request]);
                let runtime = client.runtime().clone();
                let delivery = self.clone();
                runtime.spawn(delivery.send_rest_of_key(client, key));
                return;
            }
            match self.attempt(request).await {
                Attempt::Over => {}
                Attempt::Refused(request) => {
                    let parts = request.split(PARTS_IN_TURN, &self.path, self.ordered);
                    self.keys.put_back(&key, parts);
                }
                // Nothing may be delivered past a record that is sent again.
                Attempt::Failed(error) => {
                    for request in self.keys.end(&key) {
                        self.inbox.failed(request.tokens(), error.clone());
                    }
                    return;
                }
            }
        }
    }

    /// Sends what is left of one key.
    fn send_rest_of_key(
        self: Arc<Self>,
        client: Arc<Client>,
        key: Box<str>,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.send_key(&client, key).await })
    }

    /// Sends a request, and tells the outcomes that its answer means.
    async fn attempt(&self, mut request: Request) -> Attempt {
        let call = request.call.clone();
        let in_flight = self
            .statistics
            .in_flight(request.sent.len(), request.data_bytes());
        let messages = request.take_messages();
        let answer = call.client.publish(&self.path, messages, call.deadline);
        // A panic of the library must not leave records without an outcome.
        let answer = AssertUnwindSafe(answer).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| {
            Answer::NoClient(SinkError::transient("Google's client has panicked"))
        });
        drop(in_flight);
        let error = match answer {
            Answer::Delivered => {
                self.has_delivered.store(true, Ordering::Relaxed);
                self.inbox.delivered(request.tokens());
                return Attempt::Over;
            }
            Answer::Failed(error) if Failure::of(&error) == Failure::InvalidArgument => {
                return self.refused(request, &error);
            }
            Answer::Failed(error) => {
                self.blame(&call.client, &error);
                explain(&self.access, &self.topic, &error).into()
            }
            Answer::NoClient(error) => {
                call.client.retire();
                error
            }
            Answer::GivenUp => SinkError::transient(format!(
                "Pub/Sub at {} answers over a new connection, and no longer over the last one",
                self.access.address()
            )),
            Answer::None => SinkError::transient(format!(
                "Pub/Sub at {} did not confirm before the deadline",
                self.access.address()
            )),
        };
        self.inbox.failed(request.tokens(), error.clone());
        Attempt::Failed(error)
    }

    /// Has others split a refused request. A record that is refused alone is the one at fault.
    fn refused(&self, request: Request, error: &Error) -> Attempt {
        let [sent] = &request.sent[..] else {
            return Attempt::Refused(request);
        };
        self.suspects.remember(&sent.record, Instant::now());
        if self.has_schema() {
            self.inbox.rejected(sent.token, Reason::Schema);
        } else {
            let error = explain(&self.access, &self.topic, error);
            self.inbox.failed(request.tokens(), error.into());
        }
        Attempt::Over
    }

    /// Tells whether the topic has a schema that can be the reason for a refusal. If the credential
    /// may not see that, a topic that has taken other records has one.
    fn has_schema(&self) -> bool {
        let seen = self.topics.has_schema(&self.topic);
        seen.unwrap_or_else(|| self.has_delivered.load(Ordering::Relaxed))
    }

    /// Retires a client that may be at fault, and renews refused credentials.
    fn blame(&self, client: &Client, error: &Error) {
        let failure = Failure::of(error);
        let is_refused = failure == Failure::Unauthenticated;
        let is_broken = error.status().is_none() && failure != Failure::DeadlineExceeded;
        if is_refused || is_broken {
            client.retire();
        }
        if is_refused {
            self.access.renew(Instant::now());
        }
    }
}
