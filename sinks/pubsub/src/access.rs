//! Where Pub/Sub is, and as whom to go there. Never shows a credential.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{
    Builder, Credentials, anonymous, external_account, impersonated, service_account, user_account,
};
use iem_sink::SinkError;
use tokio::runtime::Handle;

use crate::PubSubConfig;

/// Refused credentials are read anew at most so often.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Access {
    pub(crate) project: String,
    /// None: Google's own.
    pub(crate) endpoint: Option<String>,
    source: Source,
    current: Mutex<Current>,
    /// Where tokens are renewed.
    runtime: Handle,
}

/// Where credentials come from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Anonymous,
    File(PathBuf),
    ApplicationDefault,
}

struct Current {
    credentials: Credentials,
    since: Instant,
}

impl Access {
    /// # Errors
    /// Permanent: see [`PubSubSink::open`](crate::PubSubSink::open).
    pub(crate) fn new(
        config: &PubSubConfig,
        emulator: Option<&str>,
        runtime: Handle,
    ) -> Result<Self, SinkError> {
        let (endpoint, source) = target(config, emulator)?;
        if config.project.is_empty() {
            return Err(SinkError::permanent("no Pub/Sub project is configured"));
        }
        let current = Mutex::new(Current {
            credentials: read(&source, &runtime)?,
            since: Instant::now(),
        });
        Ok(Self {
            project: config.project.clone(),
            endpoint,
            source,
            current,
            runtime,
        })
    }

    pub(crate) fn credentials(&self) -> Credentials {
        self.lock().credentials.clone()
    }

    /// Reads the credentials again, after they were refused: the client gives up renewing tokens
    /// for good when it meets a permanent error, and a key file may have been replaced.
    pub(crate) fn renew(&self, now: Instant) {
        let mut current = self.lock();
        if now.saturating_duration_since(current.since) < RENEWAL_INTERVAL {
            return;
        }
        current.since = now;
        match read(&self.source, &self.runtime) {
            Ok(credentials) => current.credentials = credentials,
            Err(error) => {
                tracing::warn!(%error, "credentials that were refused cannot be read again")
            }
        }
    }

    /// The topic's full name.
    pub(crate) fn path(&self, topic: &str) -> String {
        format!("projects/{}/topics/{topic}", self.project)
    }

    /// The endpoint, for messages.
    pub(crate) fn address(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("pubsub.googleapis.com")
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The endpoint and whose credentials go there: none in the clear.
fn target(
    config: &PubSubConfig,
    emulator: Option<&str>,
) -> Result<(Option<String>, Source), SinkError> {
    let emulator =
        emulator
            .filter(|host| !host.is_empty())
            .map(|host| match host.split_once("://") {
                Some(_) => host.to_owned(),
                None => format!("http://{host}"),
            });
    let endpoint = config.endpoint.clone().or_else(|| emulator.clone());
    let source = match (&endpoint, &config.credentials) {
        (Some(endpoint), file) if endpoint.starts_with("http://") => {
            if file.is_some() && config.endpoint.is_some() {
                return Err(SinkError::permanent(format!(
                    "credentials are not sent over plain HTTP: use https:// in the Pub/Sub endpoint {endpoint}, \
                     or leave the credentials out (an emulator needs none)"
                )));
            }
            Source::Anonymous
        }
        (Some(endpoint), _) if !endpoint.starts_with("https://") => {
            return Err(SinkError::permanent(format!(
                "the Pub/Sub endpoint {endpoint} does not begin with https:// (or http://, for an emulator)"
            )));
        }
        (_, Some(file)) => Source::File(file.clone()),
        (_, None) => Source::ApplicationDefault,
    };
    Ok((endpoint, source))
}

fn read(source: &Source, runtime: &Handle) -> Result<Credentials, SinkError> {
    // The credentials renew their tokens on the runtime that they are made on.
    let _guard = runtime.enter();
    match source {
        Source::Anonymous => Ok(anonymous::Builder::new().build()),
        Source::File(path) => read_file(path),
        Source::ApplicationDefault => Builder::default().build().map_err(|error| {
            SinkError::permanent(format!(
                "no application default credentials for Pub/Sub: {error}. Run `gcloud auth application-default \
                 login`, set GOOGLE_APPLICATION_CREDENTIALS, or configure a credentials file"
            ))
        }),
    }
}

fn read_file(path: &Path) -> Result<Credentials, SinkError> {
    let fault = |what: &str| {
        SinkError::permanent(format!("Pub/Sub credentials {}: {what}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| fault(&error.to_string()))?;
    // A parser's message may quote what it read, and that is secret.
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        fault(&format!(
            "not JSON (line {}, column {})",
            error.line(),
            error.column()
        ))
    })?;
    let built = match json["type"].as_str() {
        Some("service_account") => service_account::Builder::new(json).build(),
        Some("external_account") => external_account::Builder::new(json).build(),
        Some("impersonated_service_account") => impersonated::Builder::new(json).build(),
        Some("authorized_user") => user_account::Builder::new(json).build(),
        _ => {
            return Err(fault(
                "its `type` is none of service_account, external_account, impersonated_service_account and \
                 authorized_user",
            ));
        }
    };
    built.map_err(|error| fault(unusable(&error)))
}

/// In our words: the client's may quote the file.
fn unusable(error: &BuildError) -> &'static str {
    if error.is_missing_field() {
        "a field that its `type` needs is missing"
    } else if error.is_parsing() {
        "a field is missing or malformed"
    } else {
        "they cannot be used"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: Option<&str>, credentials: Option<&str>) -> PubSubConfig {
        PubSubConfig {
            project: "p".into(),
            endpoint: endpoint.map(str::to_owned),
            credentials: credentials.map(PathBuf::from),
            ..PubSubConfig::default()
        }
    }

    #[test]
    fn credentials_go_to_https_alone() {
        let file = || Source::File("key.json".into());
        let cases = [
            (None, None, None, None, Source::ApplicationDefault),
            (None, Some("key.json"), None, None, file()),
            (
                None,
                None,
                Some("localhost:8085"),
                Some("http://localhost:8085"),
                Source::Anonymous,
            ),
            (
                None,
                None,
                Some("http://[::1]:8085"),
                Some("http://[::1]:8085"),
                Source::Anonymous,
            ),
            (
                None,
                Some("key.json"),
                Some("emulator:1"),
                Some("http://emulator:1"),
                Source::Anonymous,
            ),
            (None, None, Some(""), None, Source::ApplicationDefault),
            (
                Some("https://eu"),
                None,
                Some("localhost:1"),
                Some("https://eu"),
                Source::ApplicationDefault,
            ),
            (
                Some("https://eu"),
                Some("key.json"),
                None,
                Some("https://eu"),
                file(),
            ),
            (
                Some("http://127.0.0.1:1"),
                None,
                None,
                Some("http://127.0.0.1:1"),
                Source::Anonymous,
            ),
        ];
        for (endpoint, credentials, emulator, expected_endpoint, expected_source) in cases {
            let (endpoint, source) =
                target(&config(endpoint, credentials), emulator).expect("a target");
            assert_eq!(
                (endpoint.as_deref(), source),
                (expected_endpoint, expected_source)
            );
        }
        for (endpoint, credentials) in [
            ("http://127.0.0.1:1", Some("key.json")),
            ("pubsub:443", None),
        ] {
            let error = target(&config(Some(endpoint), credentials), None).expect_err("no target");
            assert!(error.message.contains("https://"), "{error}");
        }
    }
}
