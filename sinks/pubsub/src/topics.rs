//! Topics at the service: whether they exist and may be published to, and the command that puts a
//! fault right. Nothing here creates a topic or publishes to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::RetryPolicyExt;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::builder::topic_admin::ClientBuilder;
use google_cloud_pubsub::client::{SchemaService, TopicAdmin};
use google_cloud_pubsub::retry_policy::RetryableErrors;
use iem_sink::SinkError;
use parking_lot::Mutex;
use tokio::time::{timeout, timeout_at};

use crate::access::Access;
use crate::failure::{Failure, chain};
use crate::retry::backoff;

/// The permission that a publisher needs.
const PUBLISH: &str = "pubsub.topics.publish";
/// The most attempts at one request.
const ATTEMPTS: u32 = 2;

/// A fault of a topic, or of the connection to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its name at the backend.
    pub(crate) topic: String,
    error: SinkError,
    /// The command that puts it right, if one does.
    remedy: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.error)?;
        self.remedy
            .iter()
            .try_for_each(|remedy| write!(formatter, "; to change that: {remedy}"))
    }
}

impl From<Fault> for SinkError {
    fn from(fault: Fault) -> Self {
        Self {
            kind: fault.error.kind,
            message: fault.to_string(),
        }
    }
}

/// The client that looks topics up.
pub(crate) struct Topics {
    access: Arc<Access>,
    /// Dropped after a failure, so that the next check makes a new connection.
    client: Mutex<Option<Client>>,
    /// Whether each topic has a schema, as last seen. A credential that may only publish does not
    /// see it.
    schemas: Mutex<BTreeMap<String, bool>>,
}

#[derive(Clone)]
struct Client {
    topics: TopicAdmin,
    /// The client that tests permissions on any resource; the client for topics lacks the call.
    permissions: SchemaService,
}

impl Topics {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        Self {
            access,
            client: Mutex::default(),
            schemas: Mutex::default(),
        }
    }

    /// Returns whether a topic has a schema, if the credential may see it.
    pub(crate) fn has_schema(&self, topic: &str) -> Option<bool> {
        self.schemas.lock().get(topic).copied()
    }

    /// Checks topics, all at once. Returns a fault for each that cannot be published to.
    pub(crate) async fn check_all(&self, topics: &[&str], deadline: Instant) -> Vec<Fault> {
        let checks = topics.iter().map(|topic| async {
            let check = timeout_at(deadline.into(), self.check(topic)).await;
            check.unwrap_or_else(|_| {
                self.forget();
                let error = format!(
                    "Pub/Sub at {} did not answer in time",
                    self.access.address()
                );
                Err(fault(topic, SinkError::transient(error), None))
            })
        });
        join_all(checks)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    async fn check(&self, topic: &str) -> Result<(), Fault> {
        let client = self
            .client()
            .await
            .map_err(|error| fault(topic, error, None))?;
        let path = self.access.path(topic);
        let found = client.topics.get_topic().set_topic(&path).send();
        let permissions = client.permissions.test_iam_permissions();
        let allowed = permissions
            .set_resource(&path)
            .set_permissions([PUBLISH])
            .send();
        let (found, allowed) = join(found, allowed).await;
        if let Ok(found) = &found {
            let has_schema = found.schema_settings.is_some();
            self.schemas.lock().insert(topic.to_owned(), has_schema);
        }
        let allowed = match allowed {
            Ok(allowed) => Ok(allowed
                .permissions
                .iter()
                .any(|permission| permission == PUBLISH)),
            Err(error) if is_unimplemented(&error) => Ok(found.is_ok()),
            Err(error) => Err(error),
        };
        match (found, allowed) {
            (Ok(_), Ok(true)) => Ok(()),
            (Ok(_), Ok(false)) => Err(self.refused(topic, "the credential may not publish to it")),
            // A publisher may lack the right to get the topic. Its permission to publish proves
            // that the topic exists.
            (Err(error), Ok(true)) if Failure::of(&error) == Failure::PermissionDenied => Ok(()),
            (Err(error), _) | (Ok(_), Err(error)) => Err(self.explain(topic, &error)),
        }
    }

    /// Explains a failed request, and drops a client that may be at fault.
    fn explain(&self, topic: &str, error: &Error) -> Fault {
        let failure = Failure::of(error);
        if failure != Failure::NotFound && failure != Failure::PermissionDenied {
            self.forget();
        }
        if failure == Failure::Unauthenticated {
            self.access.renew(Instant::now());
        }
        explain(&self.access, topic, error)
    }

    fn refused(&self, topic: &str, what: &str) -> Fault {
        let error = SinkError::permanent(format!("topic {}: {what}", self.access.path(topic)));
        fault(topic, error, Some(grant(&self.access, topic)))
    }

    async fn client(&self) -> Result<Client, SinkError> {
        if let Some(client) = &*self.client.lock() {
            return Ok(client.clone());
        }
        let client = self.connect().await.map_err(|error| {
            SinkError::permanent(format!(
                "cannot create a Pub/Sub client for {}: {error}",
                self.access.address()
            ))
        })?;
        *self.client.lock() = Some(client.clone());
        Ok(client)
    }

    async fn connect(&self) -> google_cloud_gax::client_builder::Result<Client> {
        let topics = admin(&self.access, ATTEMPTS);
        let retry = RetryableErrors.with_attempt_limit(ATTEMPTS);
        let mut permissions = SchemaService::builder()
            .with_credentials(self.access.credentials())
            .with_retry_policy(retry)
            .with_backoff_policy(backoff());
        if let Some(endpoint) = &self.access.endpoint {
            permissions = permissions.with_endpoint(endpoint);
        }
        Ok(Client {
            topics: topics.build().await?,
            permissions: permissions.build().await?,
        })
    }

    fn forget(&self) {
        *self.client.lock() = None;
    }
}

/// Builds a client that looks topics up.
fn admin(access: &Access, attempts: u32) -> ClientBuilder {
    let builder = TopicAdmin::builder()
        .with_credentials(access.credentials())
        .with_retry_policy(RetryableErrors.with_attempt_limit(attempts))
        .with_backoff_policy(backoff());
    match &access.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder,
    }
}

/// Tells whether the service answers in time over a new connection, whatever it answers.
pub(crate) async fn answers(access: &Access, topic: &str, time: Duration) -> bool {
    let asked = async {
        let topics = admin(access, 1).build().await.ok()?;
        let found = topics.get_topic().set_topic(access.path(topic)).send();
        Some(found.await)
    };
    match timeout(time, asked).await {
        Ok(Some(Ok(_))) => true,
        Ok(Some(Err(error))) => error.status().is_some(),
        Ok(None) | Err(_) => false,
    }
}

/// Explains a failed request to an operator, with the command that helps.
pub(crate) fn explain(access: &Access, topic: &str, error: &Error) -> Fault {
    let path = access.path(topic);
    let failure = Failure::of(error);
    let (message, remedy) = match failure {
        Failure::NotFound => {
            let project = &access.project;
            let remedy = format!("gcloud pubsub topics create {topic} --project={project}");
            (format!("topic {path} does not exist"), Some(remedy))
        }
        Failure::PermissionDenied => (
            format!("topic {path}: the credential is not allowed to use it"),
            Some(grant(access, topic)),
        ),
        Failure::Unauthenticated => (
            format!("Pub/Sub refuses the credential: {}", chain(error)),
            None,
        ),
        // The service may quote what it was sent.
        Failure::InvalidArgument => (
            format!(
                "topic {path}: Pub/Sub refuses a request as invalid: Pub/Sub may not allow the \
                 topic's name, or the records do not fit its schema"
            ),
            None,
        ),
        Failure::Unavailable | Failure::DeadlineExceeded | Failure::Other => (
            format!("Pub/Sub at {}: {}", access.address(), chain(error)),
            None,
        ),
        Failure::FailedPrecondition | Failure::ResourceExhausted => {
            (format!("topic {path}: {}", chain(error)), None)
        }
    };
    fault(
        topic,
        SinkError {
            kind: failure.kind(),
            message,
        },
        remedy,
    )
}

fn grant(access: &Access, topic: &str) -> String {
    let project = &access.project;
    format!(
        "gcloud pubsub topics add-iam-policy-binding {topic} --project={project} \
         --role=roles/pubsub.publisher --member=serviceAccount:<the gateway's>"
    )
}

fn fault(topic: &str, error: SinkError, remedy: Option<String>) -> Fault {
    Fault {
        topic: topic.to_owned(),
        error,
        remedy,
    }
}

/// Tells whether the service lacks the call: emulators have no permissions.
fn is_unimplemented(error: &Error) -> bool {
    error
        .status()
        .is_some_and(|status| status.code == Code::Unimplemented)
}
