//! The producer in use, and its replacement when it fails for good.
//!
//! An idempotent producer that meets an error it cannot order records around is dead (librdkafka
//! calls it *fatal*). It is replaced: the records that it has not sent come back as not delivered,
//! those that are on their way are answered or time out, and writers continue with the new one.

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
use crate::properties::{
    BATCH_BYTES, client_config, compresses, config_error, partitions_by_key_hash, token_file,
};
use crate::statistics::ProducerStatistics;

/// The time between a producer's creation and its replacement, if it dies at once.
const REVIVAL_INTERVAL: Duration = Duration::from_millis(200);

/// The time that a replaced producer has for records that do not time out.
const PATIENT_RETIREMENT: Duration = Duration::from_secs(30);

/// How long after the records' own timeout a replaced producer may take to report on them.
const REPORT_SLACK: Duration = Duration::from_secs(5);

/// The time between two looks at a replaced producer.
const RETIREMENT_POLL: Duration = Duration::from_millis(10);

/// One producer of librdkafka's.
pub(crate) struct Producer {
    pub(crate) native: ThreadedProducer<Events>,
    /// The producers of one sequence are counted from 0.
    pub(crate) number: u64,
    created: Instant,
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
    /// The number of the last producer that died and was replaced, and the cause.
    died: Mutex<Option<(u64, RDKafkaErrorCode)>>,
}

impl Producers {
    pub(crate) fn open(
        config: Arc<KafkaConfig>,
        in_flight: Arc<InFlight>,
    ) -> Result<Self, SinkError> {
        let statistics = Arc::default();
        let first = create(&config, &in_flight, &statistics, 0, BATCH_BYTES)?;
        let current = ArcSwap::from_pointee(first);
        Ok(Self {
            config,
            in_flight,
            statistics,
            current,
            replacing: Mutex::new(()),
            died: Mutex::new(None),
        })
    }

    pub(crate) fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// Tells whether a record's partition is the remainder of its key's hash.
    pub(crate) fn partitions_by_key_hash(&self) -> bool {
        partitions_by_key_hash(&self.config)
    }

    /// Tells whether batches are compressed.
    pub(crate) fn compress(&self) -> bool {
        compresses(&self.config)
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

    /// Returns the current producer, after it has been replaced if it is dead. One that dies over
    /// and over is replaced a few times a second.
    pub(crate) fn alive(&self) -> Arc<Producer> {
        let current = self.current();
        if current.fatal().is_none() || current.created.elapsed() < REVIVAL_INTERVAL {
            return current;
        }
        if let Err(error) = self.replace(&current, current.batch_bytes) {
            tracing::warn!(%error, "cannot replace a dead Kafka producer");
        }
        self.current()
    }

    /// Returns why the producer of this number died, if it did.
    pub(crate) fn cause_of_death(&self, number: u64) -> Option<RDKafkaErrorCode> {
        let current = self.current();
        if current.number == number {
            return current.fatal();
        }
        let died = self.died.lock();
        died.and_then(|(dead, cause)| (dead == number).then_some(cause))
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

    /// Halves the batches, after one of the producer of this number was refused as too large though
    /// its records were not.
    pub(crate) fn halve_batches(&self, number: u64) -> Result<(), SinkError> {
        let current = self.current();
        if current.number != number {
            return Ok(());
        }
        tracing::warn!(
            batch_bytes = current.batch_bytes,
            "a batch is larger than its Kafka topic takes; halving the batches"
        );
        self.replace(&current, current.batch_bytes / 2)
    }

    /// Replaces a producer, unless another writer has done so.
    fn replace(&self, old: &Arc<Producer>, batch_bytes: usize) -> Result<(), SinkError> {
        let _one_at_a_time = self.replacing.lock();
        if !Arc::ptr_eq(old, &self.current()) {
            return Ok(());
        }
        let new = create(
            &self.config,
            &self.in_flight,
            &self.statistics,
            old.number + 1,
            batch_bytes.max(1),
        )?;
        self.statistics.count_replacement();
        if let Some(cause) = old.fatal() {
            *self.died.lock() = Some((old.number, cause));
        }
        let old = self.current.swap(Arc::new(new));
        let timeout = self.config.deadline.unwrap_or(PATIENT_RETIREMENT);
        retire(old, timeout + REPORT_SLACK);
        Ok(())
    }

    /// Gives up all records in flight, whether a broker has them or not.
    pub(crate) fn give_up(&self) {
        let everything = PurgeConfig::default().queue().inflight();
        self.current().native.purge(everything);
    }

    /// Waits until the producer has no record in flight.
    pub(crate) fn flush(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = self.current().native.flush(left);
    }
}

fn create(
    config: &KafkaConfig,
    in_flight: &Arc<InFlight>,
    statistics: &Arc<ProducerStatistics>,
    number: u64,
    batch_bytes: usize,
) -> Result<Producer, SinkError> {
    let token_file = token_file(config).map(str::to_owned);
    let events = Events::new(
        number,
        Arc::clone(in_flight),
        Arc::clone(statistics),
        token_file,
    );
    let native =
        ThreadedProducer::from_config_and_context(&client_config(config, batch_bytes)?, events)
            .map_err(|error| config_error(&error))?;
    Ok(Producer {
        native,
        number,
        created: Instant::now(),
        batch_bytes,
        bootstrap_servers: config.bootstrap_servers.clone(),
    })
}

/// Ends a replaced producer on a thread of its own.
///
/// The records in its queue are reported as failed at once (`PurgeQueue`), and are sent again by
/// its successor. Requests on their way are left alone: until a request is answered, the broker may
/// store its records, and they must not be sent again. The producer is therefore kept until it has
/// reported on all of them, or `timeout` has passed: dropping it purges what is left.
///
/// librdkafka does the same on a fatal error: `rd_kafka_set_fatal_error0` in `rdkafka.c` purges the
/// queue, "but not in-flight since we'll want proper delivery status for transmitted requests". The
/// records of a request whose connection is lost later return to the queue of the dead producer,
/// which sends no more (`rd_kafka_toppar_producer_serve` in `rdkafka_broker.c`), and time out
/// there.
///
/// In two cases a broker may still handle an old request after the new producer's records of the
/// same key, since nothing fences the old producer's id:
/// - The connection was lost before the purge, or by it, and the broker had not read the request. A
///   purge that meets a half-sent request closes the connection, and the requests before it are
///   reported as purged too (`rd_kafka_broker_handle_purge_queues` in `rdkafka_broker.c`).
/// - The broker hangs past the records' timeout, and goes on with what it had received.
fn retire(mut old: Arc<Producer>, timeout: Duration) {
    let ending = std::thread::Builder::new()
        .name("kafka-retire".to_owned())
        .spawn(move || {
            old.native.purge(PurgeConfig::default().queue());
            // Writers hold the producer only while they send.
            let old = loop {
                match Arc::try_unwrap(old) {
                    Ok(alone) => break alone,
                    Err(still) => old = still,
                }
                std::thread::sleep(RETIREMENT_POLL);
            };
            let end = Instant::now() + timeout;
            while old.native.in_flight_count() > 0 && Instant::now() < end {
                std::thread::sleep(RETIREMENT_POLL);
            }
        });
    if let Err(error) = ending {
        tracing::warn!(%error, "cannot start the thread that ends a Kafka producer");
    }
}
