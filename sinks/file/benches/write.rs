//! A benchmark that writes batches of records of about 600 bytes to files, with and without sync.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{Outcome, Record};
use iem_sink_file::{Compression, FileConfig, FileSink};

const DATA_BYTES: usize = 600;

fn write(criterion: &mut Criterion) {
    for sync in [false, true] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sink = FileSink::open(FileConfig {
            path: folder.path().to_owned(),
            sync,
            rotate_size: 64 << 20,
            rotate_age: Duration::from_hours(1),
            compression: Compression::None,
        })
        .expect("the sink opens");
        let mut writer =
            BlockingWriter::open(&sink, &topic("iem-events")).expect("the writer opens");
        let mut group = criterion.benchmark_group(if sync { "file, synced" } else { "file" });
        for batch in [1, 100, 1000] {
            let records = records(batch);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
                bencher.iter(|| {
                    let mut outcomes = vec![Outcome::default(); batch];
                    let deadline = Instant::now() + Duration::from_secs(10);
                    writer
                        .write(black_box(&records), &mut outcomes, deadline)
                        .expect("the write succeeds");
                    outcomes
                });
            });
        }
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

criterion_group!(benches, write);
criterion_main!(benches);
