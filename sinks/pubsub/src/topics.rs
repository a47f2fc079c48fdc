//! Whether topics are there and may be published to, and what to do about it where not.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::{join, join_all};
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::RetryPolicyExt;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::client::{SchemaService, TopicAdmin};
use google_cloud_pubsub::retry_policy::RetryableErrors;
use iem_sink::SinkError;
use tokio::time::timeout_at;

use crate::access::Access;
use crate::failure::{Failure, chain};
use crate::retry::backoff;

const PUBLISH: &str = "pubsub.topics.publish";
const ATTEMPTS: u32 = 2;

/// What is wrong with a topic, or with the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its name at the backend.
    pub(crate) topic: String,
    /// What is wrong.
    error: SinkError,
    /// The command that would put it right, where one would.
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

pub(crate) struct Topics {
    access: Arc<Access>,
    /// Dropped after a failure, so that the next look makes a new connection.
    client: Mutex<Option<Client>>,
}

#[derive(Clone)]
struct Client {
    topics: TopicAdmin,
    /// Asks for permissions on any resource of Pub/Sub; the client for topics lacks the call.
    permissions: SchemaService,
}

impl Topics {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        Self {
            access,
            client: Mutex::default(),
        }
    }

    pub(crate) async fn look_at_all(&self, topics: &[&str], deadline: Instant) -> Vec<Fault> {
        let looks = topics.iter().map(|topic| async {
            let look = timeout_at(deadline.into(), self.look_at(topic)).await;
            look.unwrap_or_else(|_| {
                self.forget();
                let error = format!(
                    "Pub/Sub at {} did not answer in time",
                    self.access.address()
                );
                Err(fault(topic, SinkError::transient(error), None))
            })
        });
        join_all(looks)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    async fn look_at(&self, topic: &str) -> Result<(), Fault> {
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
            // Whoever may only publish may not look: the permission is proof that the topic is
            // there.
            (Err(error), Ok(true)) if Failure::of(&error) == Failure::PermissionDenied => Ok(()),
            (Err(error), _) | (Ok(_), Err(error)) => Err(self.explain(topic, &error)),
        }
    }

    /// What a failed request says of the topic.
    pub(crate) fn explain(&self, topic: &str, error: &Error) -> Fault {
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
        if let Some(client) = &*self.lock() {
            return Ok(client.clone());
        }
        let no_client = |error| {
            SinkError::permanent(format!(
                "no Pub/Sub client for {}: {error}",
                self.access.address()
            ))
        };
        let client = self.connect().await.map_err(no_client)?;
        *self.lock() = Some(client.clone());
        Ok(client)
    }

    async fn connect(&self) -> google_cloud_gax::client_builder::Result<Client> {
        let retry = RetryableErrors.with_attempt_limit(ATTEMPTS);
        let mut topics = TopicAdmin::builder()
            .with_credentials(self.access.credentials())
            .with_retry_policy(retry)
            .with_backoff_policy(backoff());
        let retry = RetryableErrors.with_attempt_limit(ATTEMPTS);
        let mut permissions = SchemaService::builder()
            .with_credentials(self.access.credentials())
            .with_retry_policy(retry)
            .with_backoff_policy(backoff());
        if let Some(endpoint) = &self.access.endpoint {
            topics = topics.with_endpoint(endpoint);
            permissions = permissions.with_endpoint(endpoint);
        }
        Ok(Client {
            topics: topics.build().await?,
            permissions: permissions.build().await?,
        })
    }

    fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failed request in words for an operator, with the command that helps.
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
                "topic {path}: Pub/Sub refuses a request as invalid: the topic's name may not be one that Pub/Sub \
                 allows, or its schema does not fit the records"
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
        "gcloud pubsub topics add-iam-policy-binding {topic} --project={project} --role=roles/pubsub.publisher \
         --member=serviceAccount:<the gateway's>"
    )
}

fn fault(topic: &str, error: SinkError, remedy: Option<String>) -> Fault {
    Fault {
        topic: topic.to_owned(),
        error,
        remedy,
    }
}

/// Emulators know no permissions.
fn is_unimplemented(error: &Error) -> bool {
    error
        .status()
        .is_some_and(|status| status.code == Code::Unimplemented)
}
