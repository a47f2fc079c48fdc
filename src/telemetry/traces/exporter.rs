//! The thread that sends spans to the collector, in batches.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::collector::{CollectorError, client};
use super::queue::SpanQueue;
use crate::config::{SPANS_OF_BATCH_MAX, Traces};
use crate::threads::all_ended;

/// The time in which spans gather for one call.
const GATHER: Duration = Duration::from_secs(1);
/// The time for the last calls after a stop.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// The thread that sends spans to the collector.
pub struct Exporter {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Exporter {
    /// Starts the thread. `name` is the name of the gateway.
    pub(super) fn start(
        config: &Traces,
        name: &str,
        queue: &Arc<SpanQueue>,
        spans: Receiver<SpanData>,
    ) -> Result<Self, CollectorError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = {
            let _inside = runtime.enter();
            client(config, name)?
        };
        let stop = CancellationToken::new();
        let sending = Sending {
            client,
            queue: Arc::clone(queue),
            spans,
            stop: stop.clone(),
            fails: false,
        };
        let thread = std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || runtime.block_on(sending.run()))?;
        Ok(Self { stop, thread })
    }

    /// Sends what waits, for two seconds at most, and ends the thread.
    pub fn stop(&self) {
        self.stop.cancel();
        all_ended(
            [&self.thread],
            Instant::now() + LAST_CALLS + Duration::from_secs(1),
        );
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Sending {
    client: SpanExporter,
    queue: Arc<SpanQueue>,
    spans: Receiver<SpanData>,
    stop: CancellationToken,
    /// The last call has failed.
    fails: bool,
}

impl Sending {
    async fn run(mut self) {
        let stop = self.stop.clone();
        let end = async {
            stop.cancelled().await;
            sleep(LAST_CALLS).await;
        };
        tokio::select! {
            () = self.send_all() => {}
            () = end => {}
        }
    }

    /// Sends all spans until it is told to stop, and then those that wait.
    async fn send_all(&mut self) {
        let stop = self.stop.clone();
        let mut batch = Vec::with_capacity(SPANS_OF_BATCH_MAX);
        while !stop.is_cancelled() {
            tokio::select! {
                _ = self.spans.recv_many(&mut batch, SPANS_OF_BATCH_MAX) => {}
                () = stop.cancelled() => {}
            }
            tokio::select! {
                _ = timeout(GATHER, self.fill(&mut batch)) => {}
                () = stop.cancelled() => {}
            }
            self.send(&mut batch).await;
        }
        self.spans.close();
        while self.spans.recv_many(&mut batch, SPANS_OF_BATCH_MAX).await > 0 {
            self.send(&mut batch).await;
        }
    }

    async fn fill(&mut self, batch: &mut Vec<SpanData>) {
        while batch.len() < SPANS_OF_BATCH_MAX {
            self.spans
                .recv_many(batch, SPANS_OF_BATCH_MAX - batch.len())
                .await;
        }
    }

    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.len();
        let sent = self.client.export(std::mem::take(batch)).await;
        self.queue.count_sent(spans, sent.is_ok());
        let failed_before = std::mem::replace(&mut self.fails, sent.is_err());
        match sent {
            Err(error) if !failed_before => {
                tracing::warn!(%error, "the collector does not take spans");
            }
            Ok(()) if failed_before => tracing::info!("the collector takes spans again"),
            Ok(()) | Err(_) => {}
        }
    }
}
