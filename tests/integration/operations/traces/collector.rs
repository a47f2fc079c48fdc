//! A collector that does on demand what a real one does on a bad day.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use iem_test_support::{AMPLE, Identity, eventually};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, async_trait};

/// The way in which it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// It takes what comes.
    #[default]
    Takes,
    /// It refuses all.
    Refuses,
    /// It never answers.
    Hangs,
    /// It takes the call, and rejects the spans.
    Rejects,
    /// It cannot take the next call, and takes all after it.
    IsBusyOnce,
}

#[derive(Default)]
struct State {
    mood: Mood,
    spans: Vec<Span>,
    authorization: Option<String>,
}

/// A running collector.
pub(super) struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    pub(super) fn start(mood: Mood) -> Self {
        Self::serve(Server::builder(), mood)
    }

    /// Starts it with TLS.
    pub(super) fn secure(identity: &Identity) -> Self {
        let identity = tonic::transport::Identity::from_pem(&identity.certificate, &identity.key);
        let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity));
        Self::serve(server.expect("an identity"), Mood::Takes)
    }

    fn serve(mut server: Server, mood: Mood) -> Self {
        let state = Arc::new(Mutex::new(State {
            mood,
            ..State::default()
        }));
        let service = TraceServiceServer::new(Taken(Arc::clone(&state)));
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("its address");
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let running = server
                    .add_service(service)
                    .serve_with_incoming(TcpIncoming::from(listener));
                tokio::select! {
                    ended = running => ended.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Returns the value of the last call's `authorization` header.
    pub(super) fn authorization(&self) -> Option<String> {
        self.state().authorization.clone()
    }

    /// Returns the spans of a trace that have come, in the order in which they were told.
    pub(super) fn spans(&self, trace_id: &str) -> Vec<Told> {
        let spans = &self.state().spans;
        let spans = spans.iter().filter(|span| hex(&span.trace_id) == trace_id);
        spans.map(Told::of).collect()
    }

    /// Waits for the span of this name in a trace.
    pub(super) fn await_span(&self, trace_id: &str, name: &str) -> Told {
        let mut found = None;
        eventually(AMPLE, name, || {
            let mut spans = self.spans(trace_id).into_iter();
            found = spans.find(|span| span.name == name);
            found.is_some()
        });
        found.expect("it was found")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked with it")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A span that has come.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) name: String,
    /// Its times, in nanoseconds since 1970.
    pub(super) began: u64,
    pub(super) ended: u64,
    /// The reason why it did not succeed; empty if it did.
    pub(super) fault: String,
    pub(super) fields: BTreeMap<String, String>,
}

impl Told {
    fn of(span: &Span) -> Self {
        let fields = span.attributes.iter().map(|field| {
            let value = field.value.as_ref().and_then(|value| value.value.as_ref());
            let value = match value {
                Some(Value::StringValue(text)) => text.clone(),
                Some(Value::IntValue(number)) => number.to_string(),
                other => panic!("{}: {other:?}", field.key),
            };
            (field.key.clone(), value)
        });
        let status = span.status.as_ref();
        Self {
            name: span.name.clone(),
            began: span.start_time_unix_nano,
            ended: span.end_time_unix_nano,
            fault: status
                .map(|status| status.message.clone())
                .unwrap_or_default(),
            fields: fields.collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes = bytes.iter().map(|byte| format!("{byte:02x}"));
    bytes.collect::<Vec<_>>().concat()
}

struct Taken(Arc<Mutex<State>>);

#[async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let mood = {
            let mut state = self.0.lock().expect("no test panicked with it");
            state.authorization = authorization.map(ToOwned::to_owned);
            state.mood
        };
        match mood {
            Mood::Takes => {}
            Mood::Refuses => return Err(Status::permission_denied("not today")),
            Mood::Hangs => std::future::pending().await,
            Mood::IsBusyOnce => {
                self.0.lock().expect("no test panicked with it").mood = Mood::Takes;
                return Err(Status::unavailable("in a moment"));
            }
            Mood::Rejects => {
                let rejected_spans = 1_000_000;
                let error_message = "the quota is used up".to_owned();
                return Ok(Response::new(ExportTraceServiceResponse {
                    partial_success: Some(ExportTracePartialSuccess {
                        rejected_spans,
                        error_message,
                    }),
                }));
            }
        }
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        let mut state = self.0.lock().expect("no test panicked with it");
        state.spans.extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
