//! The producer in use, and its replacement when it fails for good.
//!
//! An idempotent producer that meets an error it cannot order records around is dead (librdkafka
//! calls it *fatal*). It is replaced: the records it held come back as not delivered, and writers
//! continue with the new one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use iem_sink::SinkError;
use parking_lot::Mutex;
use rdkafka::client::Client;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{Producer as _, PurgeConfig, ThreadedProducer};

use crate::config::KafkaConfig;
use crate::events::Events;
use crate::in_flight::InFlight;
use crate::properties::{BATCH_BYTES, client_config, config_error, token_file};
use crate::statistics::ProducerStatistics;

/// One producer of librdkafka's.
pub(crate) struct Producer {
    pub(crate) native: ThreadedProducer<Events>,
    /// A record of this size or more is alone in its batch.
    pub(crate) batch_bytes: usize,
    /// The servers in the commands that errors name.
    pub(crate) bootstrap_servers: String,
}

impl Producer {
    pub(crate) fn client(&self) -> &Client<Events> {
        self.native.client()
    }

    /// Returns why the producer can never send again, if it cannot.
    pub(crate) fn fatal(&self) -> Option<RDKafkaErrorCode> {
        self.client().fatal_error().map(|(code, _)| code)
    }

    pub(crate) fn events(&self) -> &Events {
        self.native.client().context()
    }
}

/// A producer and its successors, shared by one writer of each topic.
pub(crate) struct Producers {
    config: Arc<KafkaConfig>,
    in_flight: Arc<InFlight>,
    statistics: Arc<ProducerStatistics>,
    current: ArcSwap<Producer>,
    replacing: Mutex<()>,
}

impl Producers {
    pub(crate) fn open(
        config: Arc<KafkaConfig>,
        in_flight: Arc<InFlight>,
    ) -> Result<Self, SinkError> {
        let statistics = Arc::default();
        let first = create(&config, &in_flight, &statistics, BATCH_BYTES)?;
        let current = ArcSwap::from_pointee(first);
        Ok(Self {
            config,
            in_flight,
            statistics,
            current,
            replacing: Mutex::new(()),
        })
    }

    pub(crate) fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// Returns the statistics of the producer and of those it replaced.
    pub(crate) fn statistics(&self) -> &ProducerStatistics {
        &self.statistics
    }

    /// Returns the configuration of a client that only asks.
    pub(crate) fn admin_config(&self) -> Result<ClientConfig, SinkError> {
        let mut client = client_config(&self.config, BATCH_BYTES)?;
        client
            .set("enable.idempotence", "false")
            .set("statistics.interval.ms", "0")
            .set("log_level", "0");
        Ok(client)
    }

    pub(crate) fn token_file(&self) -> Option<String> {
        token_file(&self.config).map(str::to_owned)
    }

    pub(crate) fn current(&self) -> Arc<Producer> {
        self.current.load_full()
    }

    /// Makes batches smaller than a topic's limit of `limit` bytes.
    pub(crate) fn keep_batches_below(&self, limit: usize) -> Result<(), SinkError> {
        // Client and broker differ a little in how they count a batch's framing.
        let batch_bytes = limit - limit / 20;
        let current = self.current();
        if current.batch_bytes <= batch_bytes.max(1) {
            return Ok(());
        }
        self.replace(&current, batch_bytes)
    }

    /// Halves the batches, after one was refused as too large though its records were not.
    pub(crate) fn halve_batches(&self, failed: &Arc<Producer>) -> Result<(), SinkError> {
        tracing::warn!(
            batch_bytes = failed.batch_bytes,
            "a batch is larger than its Kafka topic takes; halving the batches"
        );
        self.replace(failed, failed.batch_bytes / 2)
    }

    /// Replaces a dead producer, unless another writer has done so.
    pub(crate) fn revive(&self, failed: &Arc<Producer>) -> Result<(), SinkError> {
        self.replace(failed, failed.batch_bytes)
    }

    fn replace(&self, old: &Arc<Producer>, batch_bytes: usize) -> Result<(), SinkError> {
        let _one_at_a_time = self.replacing.lock();
        if !Arc::ptr_eq(old, &self.current()) {
            return Ok(());
        }
        let batch_bytes = batch_bytes.max(1);
        let new = create(&self.config, &self.in_flight, &self.statistics, batch_bytes)?;
        self.statistics.count_replacement();
        retire(self.current.swap(Arc::new(new)));
        Ok(())
    }

    /// Waits until no record is in flight. Returns how many still are.
    pub(crate) fn flush(&self, deadline: Instant) -> usize {
        let producer = self.current();
        let _ = producer
            .native
            .flush(deadline.saturating_duration_since(Instant::now()));
        producer.native.in_flight_count().try_into().unwrap_or(0)
    }
}

fn create(
    config: &KafkaConfig,
    in_flight: &Arc<InFlight>,
    statistics: &Arc<ProducerStatistics>,
    batch_bytes: usize,
) -> Result<Producer, SinkError> {
    let token_file = token_file(config).map(str::to_owned);
    let events = Events::new(Arc::clone(in_flight), Arc::clone(statistics), token_file);
    let native =
        ThreadedProducer::from_config_and_context(&client_config(config, batch_bytes)?, events)
            .map_err(|error| config_error(&error))?;
    Ok(Producer {
        native,
        batch_bytes,
        bootstrap_servers: config.bootstrap_servers.clone(),
    })
}

/// Ends a producer on a thread of its own, since that takes a while: its records are reported as
/// failed at once, and it is dropped when no writer uses it any more.
fn retire(mut old: Arc<Producer>) {
    old.native.purge(PurgeConfig::default().queue().inflight());
    let ending = std::thread::Builder::new()
        .name("kafka-retire".to_owned())
        .spawn(move || {
            while let Err(still) = Arc::try_unwrap(old) {
                old = still;
                std::thread::sleep(Duration::from_millis(10));
            }
        });
    if let Err(error) = ending {
        tracing::warn!(%error, "cannot start the thread that ends a Kafka producer");
    }
}
