//! The collector: where it is, and how it is reached.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::SpanExporter as _;

use crate::config::Traces;

/// The time that the collector has for one call.
pub(super) const CALL_TIME: Duration = Duration::from_secs(10);
/// The time in which `check` wants an answer.
const CHECK_TIME: Duration = Duration::from_secs(3);

/// The reason why the collector cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// A file of certificates cannot be read.
    #[error("traces.ca_file: {path}: cannot be read: {error}", path = path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// The client's library does not take the address, the certificates or the credentials.
    #[error("traces: {0}")]
    Client(#[from] ExporterBuildError),
    /// The operating system denies a thread or a runtime.
    #[error("traces: {0}")]
    System(#[from] io::Error),
}

/// Returns a client of the collector. To be called within a runtime, on which it works.
pub(super) fn client(config: &Traces, name: &str) -> Result<SpanExporter, CollectorError> {
    let mut metadata = MetadataMap::new();
    // The rules of the configuration let no other characters in.
    if let Ok(value) = config.authorization.0.parse()
        && !config.authorization.0.is_empty()
    {
        metadata.insert("authorization", value);
    }
    let mut builder = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&config.endpoint)
        .with_timeout(CALL_TIME)
        .with_metadata(metadata);
    if config.is_encrypted() {
        builder = builder.with_tls_config(tls(config)?);
    }
    let mut client = builder.build()?;
    // Attributes of the environment (OTEL_RESOURCE_ATTRIBUTES) are added by the library.
    let resource = Resource::builder()
        .with_service_name(name.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    client.set_resource(&resource);
    Ok(client)
}

fn tls(config: &Traces) -> Result<ClientTlsConfig, CollectorError> {
    let path = &config.ca_file;
    if path.as_os_str().is_empty() {
        return Ok(ClientTlsConfig::new().with_native_roots());
    }
    let pem = fs::read(path).map_err(|error| CollectorError::Ca {
        path: path.clone(),
        error,
    })?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// Returns the name under which this program makes spans.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

/// Returns why the collector does not answer. Blocks for a few seconds at most.
///
/// # Errors
/// [`CollectorError`] if it cannot be asked.
pub fn answers(config: &Traces) -> Result<Result<(), OTelSdkError>, CollectorError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = client(config, "")?;
        let answer = tokio::time::timeout(CHECK_TIME, client.export(Vec::new())).await;
        Ok(answer.unwrap_or(Err(OTelSdkError::Timeout(CHECK_TIME))))
    })
}
