//! A benchmark of the path from submission to acknowledgement: channel, worker thread and receipt,
//! with a null sink.
//!
//! `1 at a time` is the wait of a single client: two hand-overs between threads. `64 at a time` is
//! the cost of a record in a busy gateway, in which a batch gathers while another is written.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iem_gateway::config::{Durability, SinkKind, Topic};
use iem_gateway::pipeline::{Backend, Demand, Observer, Pipeline, Receipt, Records};
use iem_gateway::shares::Claims;
use iem_sink::testing::NullSink;
use iem_sink::{Context, Record};

/// An observer that ignores everything.
struct Ignore;

impl Observer for Ignore {
    fn wrote(&self, _records: usize, _elapsed: Duration) {}
}

fn start() -> Pipeline {
    let topic = Topic {
        name: "events".to_owned(),
        sink: SinkKind::File,
        key: Vec::new(),
        queue_records: 65_536,
        queue_bytes: 64 << 20,
        batch_records: 4096,
        batch_bytes: 4 << 20,
        linger: Duration::ZERO,
        deadline: Duration::from_secs(10),
        workers: 1,
        ordering: false,
        durability: Durability::Delivered,
        dead_letter: false,
    };
    let observer: Arc<dyn Observer> = Arc::new(Ignore);
    let backend = Arc::new(Backend {
        name: "null",
        sink: Box::new(NullSink::default()),
    });
    Pipeline::start("events", &topic, &backend, &observer, None, None).expect("there are threads")
}

fn record() -> Record {
    Record {
        id: uuid::Uuid::now_v7(),
        context: Arc::new(Context {
            source: "iem-gateway".into(),
            kind: "iem.event".into(),
            time: SystemTime::now(),
            user: "nifi@example.com".into(),
            integration: None,
            actionable_state: None,
            traceparent: None,
            rejection: None,
            digests: None,
        }),
        customer: "acme".into(),
        key: "acme/web-01".into(),
        data: Bytes::from_static(include_bytes!("../tests/data/examples/event.json")),
    }
}

fn submit(pipeline: &Pipeline, record: &Record) -> Receipt {
    let records: Records = std::iter::once(record.clone()).collect();
    pipeline
        .submit(
            records,
            record.data.len(),
            Claims::default(),
            Demand::default(),
            Instant::now(),
        )
        .expect("the channel has capacity")
}

fn submit_to_acknowledgement(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime is created");
    let pipeline = start();
    let record = record();
    let mut group = criterion.benchmark_group("submit → acknowledge");
    for at_once in [1_usize, 64] {
        group.throughput(Throughput::Elements(at_once as u64));
        group.bench_function(
            BenchmarkId::from_parameter(format!("{at_once} at a time")),
            |bencher| {
                bencher.iter(|| {
                    runtime.block_on(async {
                        let receipts: Vec<_> =
                            (0..at_once).map(|_| submit(&pipeline, &record)).collect();
                        for receipt in receipts {
                            black_box(receipt.outcomes().await);
                        }
                    });
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, submit_to_acknowledgement);
criterion_main!(benches);
