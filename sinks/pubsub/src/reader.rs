//! A reader of a subscription. It acknowledges every message that it passes on, so a subscription
//! can be read once. It creates nothing.

use std::time::{Duration, Instant};

use google_cloud_gax::retry_policy::RetryPolicyExt;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::client::{Subscriber, SubscriptionAdmin};
use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::retry_policy::RetryableErrors;
use google_cloud_pubsub::subscriber::handler::Handler;
use google_cloud_pubsub::subscriber::{MessageStream, ShutdownToken};
use iem_sink::{Found, Reached, Reader, SinkError};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

use crate::access::Access;
use crate::config::PubSubConfig;
use crate::failure::{Failure, chain};
use crate::retry::backoff;
use crate::runtime::{emulator, runtime};

/// The attempts at one request.
const ATTEMPTS: u32 = 3;

/// The messages that wait for the reader.
const WAITING: usize = 100;

/// The time in which acknowledgements that are still here are sent.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A reader of one subscription.
pub struct PubSubReader {
    access: Access,
    subscription: String,
    stream: Option<Stream>,
    /// The last field, so that it outlives the tasks that run on it.
    runtime: Runtime,
}

/// A stream of messages, which a task of its own receives: a wait for one that is given up would
/// open the stream again.
struct Stream {
    messages: mpsc::Receiver<Result<(Message, Handler), Error>>,
    shutdown: ShutdownToken,
}

impl PubSubReader {
    /// Reads the credentials. Makes no connection yet.
    ///
    /// # Errors
    /// As those of [`PubSubSink::open`](crate::PubSubSink::open).
    pub fn new(config: &PubSubConfig, subscription: &str) -> Result<Self, SinkError> {
        let runtime = runtime("pubsub-reader")?;
        let emulator = emulator();
        let access = Access::new(config, emulator.as_deref(), runtime.handle().clone())?;
        Ok(Self {
            access,
            subscription: subscription.to_owned(),
            stream: None,
            runtime,
        })
    }

    /// Checks that the subscription is there, and that it is one of this topic.
    ///
    /// # Errors
    /// It is not, or it cannot be found out until `deadline`.
    pub fn check(&self, topic: &str, deadline: Instant) -> Result<(), SinkError> {
        let path = self.path();
        let found = self.topic_of_subscription(topic, deadline)?;
        let expected = self.access.path(topic);
        if found == expected {
            return Ok(());
        }
        Err(SinkError::permanent(format!(
            "subscription {path} is one of {found}, not of {expected}"
        )))
    }

    /// Begins to receive messages.
    ///
    /// # Errors
    /// There is no client for the endpoint.
    pub fn begin(&mut self) -> Result<(), SinkError> {
        let stream = self.runtime.block_on(self.open_stream())?;
        self.stream = Some(stream);
        Ok(())
    }

    async fn open_stream(&self) -> Result<Stream, SinkError> {
        let mut builder = Subscriber::builder().with_credentials(self.access.credentials());
        if let Some(endpoint) = &self.access.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let client = builder.build().await.map_err(|error| {
            SinkError::permanent(format!(
                "cannot create a Pub/Sub client for {}: {error}",
                self.access.address()
            ))
        })?;
        let stream = client.subscribe(self.path()).build();
        let shutdown = stream.shutdown_token();
        let (sender, messages) = mpsc::channel(WAITING);
        tokio::spawn(receive(stream, sender));
        Ok(Stream { messages, shutdown })
    }

    fn path(&self) -> String {
        format!(
            "projects/{}/subscriptions/{}",
            self.access.project, self.subscription
        )
    }

    /// Returns the full name of the subscription's topic. `topic` is for the command that creates
    /// a subscription that is missing.
    fn topic_of_subscription(&self, topic: &str, deadline: Instant) -> Result<String, SinkError> {
        let asked = async { timeout_at(deadline.into(), self.ask()).await };
        let asked = self.runtime.block_on(asked);
        match asked {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(self.explain(&error, topic)),
            Err(_) => Err(SinkError::transient(format!(
                "Pub/Sub at {} did not answer in time",
                self.access.address()
            ))),
        }
    }

    async fn ask(&self) -> Result<String, Error> {
        let mut builder = SubscriptionAdmin::builder()
            .with_credentials(self.access.credentials())
            .with_retry_policy(RetryableErrors.with_attempt_limit(ATTEMPTS))
            .with_backoff_policy(backoff());
        if let Some(endpoint) = &self.access.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let client = builder.build().await.map_err(Error::io)?;
        let request = client.get_subscription().set_subscription(self.path());
        Ok(request.send().await?.topic)
    }

    fn explain(&self, error: &Error, topic: &str) -> SinkError {
        let path = self.path();
        let name = &self.subscription;
        let project = &self.access.project;
        let failure = Failure::of(error);
        let message = match failure {
            Failure::NotFound => format!(
                "subscription {path} does not exist; to change that: \
                 gcloud pubsub subscriptions create {name} --topic={topic} --project={project}"
            ),
            Failure::PermissionDenied => format!(
                "subscription {path}: the credential is not allowed to use it; to change that: \
                 gcloud pubsub subscriptions add-iam-policy-binding {name} --project={project} \
                 --role=roles/pubsub.subscriber --member=…"
            ),
            Failure::Unauthenticated => {
                format!("Pub/Sub refuses the credential: {}", chain(error))
            }
            Failure::InvalidArgument
            | Failure::FailedPrecondition
            | Failure::ResourceExhausted
            | Failure::DeadlineExceeded
            | Failure::Unavailable
            | Failure::Other => format!(
                "subscription {path} at {}: {}",
                self.access.address(),
                chain(error)
            ),
        };
        SinkError {
            kind: failure.kind(),
            message,
        }
    }
}

impl Reader for PubSubReader {
    /// The end is reached when no message comes until `until`.
    fn read(
        &mut self,
        until: Instant,
        each: &mut dyn FnMut(Found<'_>),
    ) -> Result<Reached, SinkError> {
        let mut reached = Reached::End;
        loop {
            let Some(stream) = &mut self.stream else {
                return Err(SinkError::permanent("the subscription is not being read"));
            };
            let received = stream.messages.recv();
            let received = async { timeout_at(until.into(), received).await };
            match self.runtime.block_on(received) {
                Err(_) => return Ok(reached),
                Ok(Some(Ok((message, handler)))) => {
                    each(Found::Record(&message.data));
                    handler.ack();
                    reached = Reached::Middle;
                }
                Ok(Some(Err(error))) => return Err(self.explain(&error, "…")),
                Ok(None) => {
                    return Err(SinkError::permanent(format!(
                        "the stream of subscription {} has ended",
                        self.path()
                    )));
                }
            }
        }
    }

    /// Asks whether the subscription is there: a service that is away sends nothing either.
    fn check_end(&mut self, deadline: Instant) -> Result<(), SinkError> {
        self.topic_of_subscription("…", deadline).map(|_| ())
    }
}

impl Drop for PubSubReader {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            drop(stream.messages);
            let shutdown = stream.shutdown;
            let _ = self
                .runtime
                .block_on(async { timeout(CLOSE_TIME, shutdown.shutdown()).await });
        }
    }
}

/// Receives messages until the stream fails for good or nobody reads them any more.
async fn receive(
    mut stream: MessageStream,
    messages: mpsc::Sender<Result<(Message, Handler), Error>>,
) {
    while let Some(received) = stream.next().await {
        let failed = received.is_err();
        if messages.send(received).await.is_err() || failed {
            return;
        }
    }
}
