//! Endpoint and credentials. No message and no log line ever quotes a credential.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{
    Builder, Credentials, anonymous, external_account, impersonated, service_account, user_account,
};
use iem_sink::SinkError;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::config::PubSubConfig;

/// The least time between two reads of credentials that the service refuses.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);

/// The way to Pub/Sub: project, endpoint and credentials.
pub(crate) struct Access {
    pub(crate) project: String,
    /// `None` for Google's own.
    pub(crate) endpoint: Option<String>,
    source: Source,
    current: Mutex<Current>,
    /// The runtime that renews tokens.
    runtime: Handle,
}

/// The source of credentials.
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
    /// Permanent where there are no credentials, they cannot be read, or the endpoint is invalid.
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
        self.current.lock().credentials.clone()
    }

    /// Reads refused credentials again: after a permanent error the client never renews a token
    /// again, and a key file may have been replaced.
    pub(crate) fn renew(&self, now: Instant) {
        let mut current = self.current.lock();
        if now.saturating_duration_since(current.since) < RENEWAL_INTERVAL {
            return;
        }
        current.since = now;
        match read(&self.source, &self.runtime) {
            Ok(credentials) => current.credentials = credentials,
            Err(error) => {
                tracing::warn!(%error, "cannot read refused credentials again");
            }
        }
    }

    /// Returns the topic's full name.
    pub(crate) fn path(&self, topic: &str) -> String {
        format!("projects/{}/topics/{topic}", self.project)
    }

    /// Returns the endpoint, for messages.
    pub(crate) fn address(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("pubsub.googleapis.com")
    }
}

/// Returns the endpoint and the source of its credentials. None are sent over plain HTTP.
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
                    "credentials are not sent over plain HTTP: use https:// in the Pub/Sub \
                     endpoint {endpoint}, or remove the credentials (an emulator needs none)"
                )));
            }
            Source::Anonymous
        }
        (Some(endpoint), _) if !endpoint.starts_with("https://") => {
            return Err(SinkError::permanent(format!(
                "the Pub/Sub endpoint {endpoint} does not begin with https:// \
                 (or http://, for an emulator)"
            )));
        }
        (_, Some(file)) => Source::File(file.clone()),
        (_, None) => Source::ApplicationDefault,
    };
    Ok((endpoint, source))
}

fn read(source: &Source, runtime: &Handle) -> Result<Credentials, SinkError> {
    // Credentials renew their tokens on the runtime that they are created on.
    let _guard = runtime.enter();
    match source {
        Source::Anonymous => Ok(anonymous::Builder::new().build()),
        Source::File(path) => read_file(path),
        Source::ApplicationDefault => Builder::default().build().map_err(|error| {
            SinkError::permanent(format!(
                "no application default credentials for Pub/Sub: {error}. \
                 Run `gcloud auth application-default login`, \
                 set GOOGLE_APPLICATION_CREDENTIALS, or configure a credentials file"
            ))
        }),
    }
}

fn read_file(path: &Path) -> Result<Credentials, SinkError> {
    let fault = |what: &str| {
        SinkError::permanent(format!("Pub/Sub credentials {}: {what}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| fault(&error.to_string()))?;
    // The parser's message may quote the text, which is secret.
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
                "its `type` is none of service_account, external_account, \
                 impersonated_service_account and authorized_user",
            ));
        }
    };
    built.map_err(|error| fault(unusable(&error)))
}

/// Describes the fault. The client's own message may quote the file.
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

    /// Checks the target of a configuration: endpoint and source of credentials.
    fn check(
        (endpoint, credentials, emulator): (Option<&str>, Option<&str>, Option<&str>),
        expected_endpoint: Option<&str>,
        expected_source: &Source,
    ) {
        let config = config(endpoint, credentials);
        let (endpoint, source) = target(&config, emulator).expect("a target");
        assert_eq!(endpoint.as_deref(), expected_endpoint);
        assert_eq!(source, *expected_source);
    }

    #[test]
    fn without_an_endpoint_credentials_go_to_google() {
        let default = Source::ApplicationDefault;
        check((None, None, None), None, &default);
        check((None, None, Some("")), None, &default);
        let file = Source::File("key.json".into());
        check((None, Some("key.json"), None), None, &file);
    }

    #[test]
    fn no_credentials_go_to_an_emulator() {
        let anonymous = Source::Anonymous;
        for (emulator, endpoint) in [
            ("localhost:8085", "http://localhost:8085"),
            ("http://[::1]:8085", "http://[::1]:8085"),
        ] {
            check((None, None, Some(emulator)), Some(endpoint), &anonymous);
        }
        check(
            (None, Some("key.json"), Some("emulator:1")),
            Some("http://emulator:1"),
            &anonymous,
        );
        let plain = Some("http://127.0.0.1:1");
        check((plain, None, None), plain, &anonymous);
    }

    #[test]
    fn credentials_go_to_an_https_endpoint() {
        let endpoint = Some("https://eu");
        let default = Source::ApplicationDefault;
        check((endpoint, None, Some("localhost:1")), endpoint, &default);
        let file = Source::File("key.json".into());
        check((endpoint, Some("key.json"), None), endpoint, &file);
    }

    #[test]
    fn an_endpoint_that_cannot_take_credentials_is_refused() {
        for (endpoint, credentials) in [
            ("http://127.0.0.1:1", Some("key.json")),
            ("pubsub:443", None),
        ] {
            let error = target(&config(Some(endpoint), credentials), None).expect_err("no target");
            assert!(error.message.contains("https://"), "{error}");
        }
    }
}
