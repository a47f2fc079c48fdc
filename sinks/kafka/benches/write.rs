//! A benchmark that sends batches of records of about 600 bytes to one real broker: the sink's
//! writer beside a bare librdkafka producer that sends the same messages with the same settings.
//! Prints the ratio of the two, measured in alternating turns.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iem_sink::testing::{record, topic};
use iem_sink::{DATA_CONTENT_TYPE, DeliveryToken, Outcome, Record, Sending, Settled, Sink, Writer};
use iem_sink_kafka::{KafkaConfig, KafkaSink};
use iem_test_support::brokers::kafka::{Kafka, Options};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

const DATA_BYTES: usize = 600;
const DEADLINE: Duration = Duration::from_secs(10);
const TOPIC: &str = "bench";
const TURNS: usize = 30;
const TURN: Duration = Duration::from_millis(100);

/// A countdown of delivery reports that wakes the thread waiting for the last one.
struct Countdown {
    left: AtomicUsize,
    waiting: Thread,
}

impl ClientContext for Countdown {}

impl ProducerContext for Countdown {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, _: usize) {
        assert!(result.is_ok(), "every record is delivered");
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiting.unpark();
        }
    }
}

struct Bare(ThreadedProducer<Countdown>);

impl Bare {
    fn open(bootstrap: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .set("batch.num.messages", "100000")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.messages", "0")
            .set("socket.nagle.disable", "true")
            .set("statistics.interval.ms", "5000")
            .set("message.timeout.ms", "11000");
        let countdown = Countdown {
            left: AtomicUsize::new(0),
            waiting: std::thread::current(),
        };
        Self(
            ThreadedProducer::from_config_and_context(&config, countdown)
                .expect("a producer is created"),
        )
    }

    fn write(&self, records: &[Record]) {
        let left = &self.0.context().left;
        left.store(records.len(), Ordering::Release);
        for record in records {
            let message = BaseRecord::with_opaque_to(TOPIC, 0)
                .key(&*record.key)
                .payload(&*record.data)
                .headers(headers(record));
            assert!(
                self.0.send(message).is_ok(),
                "the producer takes the record"
            );
        }
        while left.load(Ordering::Acquire) > 0 {
            std::thread::park();
        }
    }
}

fn headers(record: &Record) -> OwnedHeaders {
    let first = Header {
        key: "content-type",
        value: Some(DATA_CONTENT_TYPE),
    };
    let headers = Cell::new(OwnedHeaders::new_with_capacity(12).insert(first));
    record.for_each_attribute(|name, value| {
        let name = match name {
            "specversion" => "ce_specversion",
            "customerid" => "ce_customerid",
            "subject" => "ce_subject",
            "source" => "ce_source",
            "type" => "ce_type",
            "time" => "ce_time",
            "user" => "ce_user",
            _ => "ce_id",
        };
        headers.set(headers.take().insert(Header {
            key: name,
            value: Some(value),
        }));
    });
    headers.into_inner()
}

/// The sink's writer, and the tokens of the records that it is given.
struct Ours {
    writer: Box<dyn Writer>,
    tokens: u64,
    settled: Settled,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Ours {
    fn open(sink: &KafkaSink) -> Self {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        Self {
            writer: sink.writer(&topic(TOPIC), waker).expect("the writer opens"),
            tokens: 0,
            settled: Settled::default(),
        }
    }

    fn write(&mut self, records: &[Record]) {
        let first = self.tokens;
        let sending: Vec<_> = (first..)
            .map(DeliveryToken)
            .zip(black_box(records))
            .map(|(token, record)| Sending { token, record })
            .collect();
        self.tokens += records.len() as u64;
        self.settled.clear();
        let deadline = Instant::now() + DEADLINE;
        self.writer.send(&sending, deadline, &mut self.settled);
        loop {
            self.writer.settle(&mut self.settled);
            if self.settled.outcomes().len() == records.len() {
                break;
            }
            std::thread::park();
        }
        let outcomes = self.settled.outcomes();
        assert!(
            outcomes
                .iter()
                .all(|(_, outcome)| *outcome == Outcome::Delivered),
            "every record is delivered"
        );
    }
}

fn write(criterion: &mut Criterion) {
    let kafka = Kafka::start(&Options {
        for_load: true,
        ..Options::default()
    });
    kafka.create_topic(
        TOPIC,
        1,
        1,
        &[
            ("retention.bytes", "268435456"),
            ("segment.bytes", "67108864"),
        ],
    );
    let sink = KafkaSink::open(KafkaConfig {
        bootstrap_servers: kafka.bootstrap(),
        properties: std::collections::BTreeMap::new(),
        client_id: "bench".to_owned(),
        deadline: Some(DEADLINE),
        workers: 1,
    })
    .expect("the sink opens");
    let mut ours = Ours::open(&sink);
    let bare = Bare::open(&kafka.bootstrap());
    let mut group = criterion.benchmark_group("kafka");
    for batch in [1, 100, 1000] {
        let records = records(batch);
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("writer", batch), |bencher| {
            bencher.iter(|| ours.write(&records));
        });
        group.bench_function(BenchmarkId::new("bare", batch), |bencher| {
            bencher.iter(|| bare.write(&records));
        });
        let ratio = ratio(|| ours.write(&records), || bare.write(&records));
        println!(
            "kafka: batches of {batch}: the writer does {ratio:.2} × what the bare producer does"
        );
    }
}

/// Returns how often `one` runs in the time that `other` runs once: the median of alternating
/// turns.
fn ratio(mut one: impl FnMut(), mut other: impl FnMut()) -> f64 {
    let mut ratios: Vec<f64> = (0..TURNS)
        .map(|_| rate(&mut one) / rate(&mut other))
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[TURNS / 2]
}

fn rate(run: &mut impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut runs = 0.0;
    while began.elapsed() < TURN {
        run();
        runs += 1.0;
    }
    runs / began.elapsed().as_secs_f64()
}

fn records(batch: usize) -> Vec<Record> {
    let data = format!(
        r#"{{"text":"{}"}}"#,
        "x".repeat(DATA_BYTES - r#"{"text":""}"#.len())
    );
    (0..batch)
        .map(|n| record(&format!("1001/{n}"), data.clone()))
        .collect()
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20); targets = write }
criterion_main!(benches);
