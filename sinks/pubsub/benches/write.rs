//! A benchmark that sends batches of records of about 600 bytes to the emulator: the sink's writer
//! beside a bare publisher of Google's that sends the same messages. Prints the ratio of the two:
//! 1.00 is as fast as the bare publisher.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{BasePublisher, Publisher};
use google_cloud_pubsub::model::Message;
use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{DATA_CONTENT_TYPE, Outcome, Record};
use iem_sink_pubsub::{PubSubConfig, PubSubSink};
use iem_test_support::brokers::pubsub::{PROJECT, PubSub};
use tokio::runtime::Runtime;

const DATA_BYTES: usize = 600;

/// A topic without a subscription, so that the emulator keeps no message.
const TOPIC: &str = "bench";

/// The rounds of alternating turns, so that other load on the machine slows both.
const ROUNDS: usize = 21;

fn write(criterion: &mut Criterion) {
    let pubsub = PubSub::start_for_benches();
    pubsub.create_topic(TOPIC);
    pubsub.delete_subscription(TOPIC);
    let sink = PubSubSink::open(PubSubConfig {
        project: PROJECT.to_owned(),
        endpoint: Some(pubsub.endpoint()),
        ..PubSubConfig::default()
    })
    .expect("the sink opens");
    let mut writer = BlockingWriter::open(&sink, &topic(TOPIC)).expect("the writer opens");
    let bare = Bare::connect(&pubsub.endpoint());

    for batch in [1, 100, 1000] {
        let records = records(batch);
        let mut group = criterion.benchmark_group("pubsub");
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("ours", batch), |bencher| {
            bencher.iter(|| ours(&mut writer, &records));
        });
        group.bench_function(BenchmarkId::new("bare", batch), |bencher| {
            bencher.iter(|| bare.publish(&records));
        });
        group.finish();
        compare(
            batch,
            || ours(&mut writer, &records),
            || bare.publish(&records),
        );
    }
}

/// Prints the median ratio of all rounds.
fn compare(batch: usize, mut ours: impl FnMut(), mut bare: impl FnMut()) {
    let calls = (5000 / batch).clamp(20, 500);
    let time = |call: &mut dyn FnMut()| {
        let began = Instant::now();
        (0..calls).for_each(|_| call());
        began.elapsed()
    };
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let ours = time(&mut ours);
            time(&mut bare).div_duration_f64(ours)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "pubsub, batches of {batch}: {:.2} x bare",
        ratios[ROUNDS / 2]
    );
}

fn ours(writer: &mut BlockingWriter, records: &[Record]) {
    let mut outcomes = vec![Outcome::default(); records.len()];
    let deadline = Instant::now() + Duration::from_secs(10);
    writer
        .write(black_box(records), &mut outcomes, deadline)
        .expect("the write succeeds");
    black_box(outcomes);
}

/// A publisher of Google's, used as in its documentation, with a flush for each batch.
struct Bare {
    runtime: Runtime,
    publisher: Publisher,
}

impl Bare {
    fn connect(endpoint: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime is created");
        let publisher = runtime.block_on(async {
            let base = BasePublisher::builder()
                .with_endpoint(endpoint)
                .with_credentials(anonymous::Builder::new().build())
                .build()
                .await
                .expect("a client is created");
            base.publisher(format!("projects/{PROJECT}/topics/{TOPIC}"))
                .set_message_count_threshold(1000)
                .set_byte_threshold(9_500_000)
                .set_delay_threshold(Duration::from_hours(1))
                .build()
        });
        Self { runtime, publisher }
    }

    fn publish(&self, records: &[Record]) {
        self.runtime.block_on(async {
            let answers: Vec<_> = records
                .iter()
                .map(|record| self.publisher.publish(message(record)))
                .collect();
            self.publisher.flush().await;
            for answer in answers {
                black_box(answer.await.expect("the message has an id"));
            }
        });
    }
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

/// Returns a message with the attributes that the sink's writer sends.
fn message(record: &Record) -> Message {
    let mut attributes = vec![("Content-Type".to_owned(), DATA_CONTENT_TYPE.to_owned())];
    record.for_each_attribute(|name, value| {
        attributes.push((format!("ce-{name}"), value.to_owned()));
    });
    Message::new()
        .set_data(record.data.clone())
        .set_attributes(attributes)
}

criterion_group!(benches, write);
criterion_main!(benches);
