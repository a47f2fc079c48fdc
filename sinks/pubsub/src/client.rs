//! A writer's own connection, with the runtime that drives it. Dropping it ends both at once, with
//! every request under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_pubsub::client::{BasePublisher, Publisher};
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message;
use iem_sink::SinkError;
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

use crate::access::Access;
use crate::retry::{UntilDeadline, backoff};
use crate::statistics::Statistics;

/// Pub/Sub's limit on one request.
const REQUEST_MESSAGES: u32 = 1000;

/// The most bytes of one request. It leaves room below Pub/Sub's limit for the tags and lengths,
/// up to some 150 bytes a message, that the publisher does not count.
const REQUEST_BYTES: u32 = 9_500_000;

/// The publisher's timer. A flush ends each batch first.
const NEVER: Duration = Duration::from_hours(1);

/// The connection of one writer.
pub(crate) struct Client {
    base: BasePublisher,
    deadline: Arc<UntilDeadline>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// A message's answer; `None` if none came before the deadline.
pub(crate) type Answer = Option<Result<(), PublishError>>;

impl Client {
    /// # Errors
    /// The client cannot be set up. Whether Pub/Sub can be reached shows when it is used.
    pub(crate) fn new(
        access: &Access,
        statistics: &Arc<Statistics>,
        deadline: Instant,
    ) -> Result<Self, SinkError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pubsub-writer")
            .enable_all()
            .build()
            .map_err(|error| {
                SinkError::transient(format!(
                    "cannot start a thread for a Pub/Sub connection: {error}"
                ))
            })?;
        let policy = Arc::new(UntilDeadline::new(deadline, statistics.clone()));
        let retry: Arc<dyn RetryPolicy> = policy.clone();
        let mut builder = BasePublisher::builder()
            .with_credentials(access.credentials())
            .with_retry_policy(retry)
            .with_backoff_policy(backoff());
        if let Some(endpoint) = &access.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let built = runtime.block_on(async { timeout_at(deadline.into(), builder.build()).await });
        match built {
            Ok(Ok(base)) => Ok(Self {
                base,
                deadline: policy,
                runtime: Some(runtime),
            }),
            Ok(Err(error)) => Err(SinkError::permanent(format!(
                "cannot create a Pub/Sub client for {}: {error}",
                access.address()
            ))),
            Err(_) => {
                runtime.shutdown_background();
                Err(SinkError::transient(
                    "no credentials for Pub/Sub before the deadline",
                ))
            }
        }
    }

    /// Sends the messages in as few requests as the limits allow, in flight together, but one after
    /// another for one ordering key. Returns when all are answered, or at the deadline; then
    /// the client must be dropped.
    pub(crate) fn publish(
        &self,
        topic: &str,
        messages: impl Iterator<Item = Message>,
        deadline: Instant,
    ) -> Vec<Answer> {
        let Some(runtime) = &self.runtime else {
            return messages.map(|_| None).collect();
        };
        self.deadline.set(deadline);
        let _guard = runtime.enter();
        let publisher = self.publisher(topic);
        let answers: Vec<_> = messages.map(|message| publisher.publish(message)).collect();
        runtime.block_on(async { timeout_at(deadline.into(), publisher.flush()).await.ok() });
        answers
            .into_iter()
            .map(|answer| answer.now_or_never().map(|answer| answer.map(drop)))
            .collect()
    }

    /// Creates a publisher for one call, which costs two tasks. A publisher that is kept has a task
    /// for each ordering key that it has ever seen, flushes them all, and remembers which keys
    /// failed.
    fn publisher(&self, topic: &str) -> Publisher {
        self.base
            .publisher(topic)
            .set_message_count_threshold(REQUEST_MESSAGES)
            .set_byte_threshold(REQUEST_BYTES)
            .set_delay_threshold(NEVER)
            .build()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
