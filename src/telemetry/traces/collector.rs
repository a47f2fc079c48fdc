//! The collector: how it is reached, and what it says to a batch of spans.

use std::error::Error;
use std::io;
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::config::Traces;
use crate::tls::{TlsError, roots_pem};

/// The time that the collector has for a batch, in all attempts.
const BATCH_TIME: Duration = Duration::from_secs(10);
/// The time to connect to an address, and that for the TLS handshake.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// The time after which a connection in use is asked for a sign of life, and that for the sign.
const PING_TIME: Duration = Duration::from_secs(5);
/// The time after which the system asks an idle connection.
const IDLE_TIME: Duration = Duration::from_mins(1);
/// The time in which `check` wants an answer.
const CHECK_TIME: Duration = Duration::from_secs(5);
/// The wait before a batch is sent again that the collector could not take.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The reason why the collector cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The certificates that its own may be signed by are missing or invalid.
    #[error("traces.ca_file: {0}")]
    Ca(#[from] TlsError),
    /// The client's library does not take the address or the certificates.
    #[error("traces.endpoint: {}", with_sources(.0.to_string(), .0))]
    Client(#[from] tonic::transport::Error),
    /// The operating system denies a thread or a runtime.
    #[error("traces: {0}")]
    System(#[from] io::Error),
}

/// The spans that the collector has rejected.
#[derive(Default)]
pub(super) struct Rejected {
    pub(super) spans: usize,
    /// The collector's own words.
    pub(super) reason: String,
}

/// A client of the collector.
pub(super) struct Collector {
    client: TraceServiceClient<Channel>,
    resource: ResourceAttributesWithSchema,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Collector {
    /// Creates it, within the runtime on which it is to work. It connects when it is used. `name` is
    /// the name of the gateway.
    pub(super) fn new(config: &Traces, name: &str) -> Result<Self, CollectorError> {
        let mut endpoint = Endpoint::from_shared(config.endpoint.clone())?
            .connect_timeout(CONNECT_TIME)
            .timeout(BATCH_TIME)
            .http2_keep_alive_interval(PING_TIME)
            .keep_alive_timeout(PING_TIME)
            .tcp_keepalive(Some(IDLE_TIME));
        if config.is_encrypted() {
            endpoint = endpoint.tls_config(tls(config)?)?;
        }
        // With the attributes that the environment adds (OTEL_RESOURCE_ATTRIBUTES).
        let resource = Resource::builder()
            .with_service_name(name.to_owned())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let authorization = Some(&config.authorization.0).filter(|value| !value.is_empty());
        Ok(Self {
            client: TraceServiceClient::new(endpoint.connect_lazy()),
            resource: ResourceAttributesWithSchema::from(&resource),
            // The rules of the configuration let no other characters in.
            authorization: authorization.and_then(|value| value.parse().ok()),
        })
    }

    /// Sends spans, also again if the collector cannot take them now. Returns what it has rejected of
    /// them.
    ///
    /// # Errors
    /// The reason why it has not taken any, as far as is known.
    pub(super) async fn send(&mut self, spans: Vec<SpanData>) -> Result<Rejected, String> {
        let request = self.request(spans);
        let deadline = Instant::now() + BATCH_TIME;
        let mut last = None;
        loop {
            let Ok(answer) = timeout_at(deadline, self.attempt(request.clone())).await else {
                let before = last.map(|before| format!("; before that {before}"));
                let before = before.unwrap_or_default();
                return Err(format!("no answer for {} s{before}", BATCH_TIME.as_secs()));
            };
            let status = match answer {
                Ok(rejected) => return Ok(rejected),
                Err(status) => status,
            };
            let text = text_of(&status);
            if !may_pass(&status) || Instant::now() + RETRY_AFTER >= deadline {
                return Err(text);
            }
            last = Some(text);
            sleep(RETRY_AFTER).await;
        }
    }

    fn request(&self, spans: Vec<SpanData>) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(spans, &self.resource),
        }
    }

    async fn attempt(&mut self, spans: ExportTraceServiceRequest) -> Result<Rejected, Status> {
        let mut request = Request::new(spans);
        if let Some(value) = &self.authorization {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", value.clone());
        }
        let answer = self.client.export(request).await?.into_inner();
        Ok(answer
            .partial_success
            .map_or_else(Rejected::default, |partly| Rejected {
                spans: usize::try_from(partly.rejected_spans).unwrap_or(0),
                reason: partly.error_message,
            }))
    }
}

/// Returns whether the collector may take the same spans a little later: OTLP, section "Failures". It
/// has said nothing if the connection broke.
fn may_pass(status: &Status) -> bool {
    status.source().is_some()
        || matches!(
            status.code(),
            Code::Aborted
                | Code::Cancelled
                | Code::DataLoss
                | Code::DeadlineExceeded
                | Code::OutOfRange
                | Code::Unavailable
        )
}

fn tls(config: &Traces) -> Result<ClientTlsConfig, CollectorError> {
    let tls = ClientTlsConfig::new().timeout(CONNECT_TIME);
    if config.ca_file.as_os_str().is_empty() {
        return Ok(tls.with_native_roots());
    }
    let pem = roots_pem(&config.ca_file)?;
    Ok(tls.ca_certificate(Certificate::from_pem(pem)))
}

/// Returns the name under which this program makes spans.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

/// Returns a refusal of the collector as text.
fn text_of(status: &Status) -> String {
    let text = format!("{:?}: {}", status.code(), status.message());
    with_sources(text, status)
}

/// Adds the messages of an error's sources to its own, without what is said twice.
fn with_sources(mut text: String, error: &dyn Error) -> String {
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = error.source();
    }
    text
}

/// Asks the collector to take no spans. Returns the reason if it does not. Blocks for a few seconds at
/// most.
///
/// # Errors
/// [`CollectorError`] if it cannot be asked.
pub fn answers(config: &Traces) -> Result<Result<(), String>, CollectorError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(async {
        let mut collector = Collector::new(config, "")?;
        let request = collector.request(Vec::new());
        Ok(
            match timeout(CHECK_TIME, collector.attempt(request)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(status)) => Err(text_of(&status)),
                Err(_) => Err(format!("no answer for {} s", CHECK_TIME.as_secs())),
            },
        )
    });
    // It does not wait for a name that is still being looked up.
    runtime.shutdown_background();
    answer
}
