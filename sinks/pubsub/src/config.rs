//! Configuration of the sink.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The project, the endpoint and the credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PubSubConfig {
    /// The project's id.
    pub project: String,
    /// An address that replaces Google's, with its scheme: a regional or private one, or an
    /// emulator's. Over `http://` no credentials are sent. If it is `None`, `PUBSUB_EMULATOR_HOST`
    /// replaces Google's address, over `http://`.
    pub endpoint: Option<String>,
    /// A credentials file: a service account's key, or a configuration of workload identity
    /// federation, of an impersonated service account or of a user. If it is `None`, the
    /// application default credentials are used: `GOOGLE_APPLICATION_CREDENTIALS`, else those of
    /// `gcloud auth application-default login`, else those of the machine or pod (workload
    /// identity).
    pub credentials: Option<PathBuf>,
    /// The topics, by their names at the backend, whose records carry their key as the ordering
    /// key.
    pub ordered_topics: BTreeSet<String>,
}
