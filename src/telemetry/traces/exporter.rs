//! The thread that sends spans to the collector, in batches.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::collector::{Collector, CollectorError, Rejected};
use super::queue::SpanQueue;
use crate::config::{SPANS_OF_BATCH_MAX, Traces};
use crate::threads::all_ended;

/// The time in which spans gather for one call, and how often it is looked in it whether there are
/// enough.
const GATHER: Duration = Duration::from_secs(1);
const LOOKS: u32 = 100;
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
        let collector = {
            let _inside = runtime.enter();
            Collector::new(config, name)?
        };
        let stop = CancellationToken::new();
        let sending = Sending {
            collector,
            queue: Arc::clone(queue),
            spans,
            stop: stop.clone(),
            fails: false,
        };
        let thread = std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || {
                runtime.block_on(sending.run());
                // It does not wait for a name that is still being looked up.
                runtime.shutdown_background();
            })?;
        Ok(Self { stop, thread })
    }

    /// Has it send what waits, for two seconds at most, and end.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }
}

/// Waits until the last spans are sent.
impl Drop for Exporter {
    fn drop(&mut self) {
        self.begin_stop();
        let end = LAST_CALLS + Duration::from_secs(1);
        all_ended([&self.thread], Instant::now() + end);
    }
}

struct Sending {
    collector: Collector,
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
                () = self.gather(&mut batch) => {}
                () = stop.cancelled() => {}
            }
            self.send(&mut batch).await;
        }
        self.spans.close();
        while self.spans.recv_many(&mut batch, SPANS_OF_BATCH_MAX).await > 0 {
            self.send(&mut batch).await;
        }
    }

    /// Lets more spans come, and fills the batch. Those who tell spans wake nobody meanwhile.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) {
        for _ in 0..LOOKS {
            if batch.len() + self.spans.len() >= SPANS_OF_BATCH_MAX {
                break;
            }
            sleep(GATHER / LOOKS).await;
        }
        while batch.len() < SPANS_OF_BATCH_MAX
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
    }

    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.len();
        let sent = self.collector.send(std::mem::take(batch)).await;
        let failed = match &sent {
            Ok(rejected) => rejected.spans.min(spans),
            Err(_) => spans,
        };
        self.queue.count_sent(spans - failed, failed);
        let failed_before = std::mem::replace(&mut self.fails, failed > 0);
        match sent {
            Err(error) if !failed_before => {
                tracing::warn!(error, "the collector does not take spans");
            }
            Ok(Rejected { spans, reason }) if spans > 0 && !failed_before => {
                tracing::warn!(spans, reason, "the collector rejects spans");
            }
            Ok(Rejected { spans: 0, .. }) if failed_before => {
                tracing::info!("the collector takes spans again");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
