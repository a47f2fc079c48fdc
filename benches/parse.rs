//! Benchmarks of parsing a record: by the fast parser, by the thorough parser and, for comparison,
//! by simd-json's tape alone; and of parsing a body of a thousand records.

use std::hint::black_box;
use std::time::SystemTime;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use iem_gateway::record::{
    Form, KeyFields, Kind, TicketUpdate, next_id, parse, parse_body, parse_by_text,
};
use simd_json::{Buffers, INPUT_PADDING, Tape, fill_tape_padded};

fn examples(criterion: &mut Criterion) {
    for kind in Kind::ALL {
        let body = kind.example().as_bytes();
        let key = KeyFields::from(kind.default_key());
        let mut group = criterion.benchmark_group(format!("parse/{}", kind.topic()));
        group.throughput(Throughput::Bytes(body.len() as u64));
        if kind == Kind::Ticket {
            group.bench_function("fast", |b| {
                b.iter(|| TicketUpdate::parse(black_box(body), "acme", &key));
            });
            group.bench_function("thorough", |b| {
                b.iter(|| TicketUpdate::parse_by_text(black_box(body), "acme", &key));
            });
        } else {
            group.bench_function("fast", |b| b.iter(|| parse(black_box(body), &key)));
            group.bench_function("thorough", |b| {
                b.iter(|| parse_by_text(black_box(body), &key));
            });
        }
        group.bench_function("tape alone", |b| b.iter(tape_alone(body)));
        group.finish();
    }
}

/// Returns a function that builds the tape in buffers that it keeps.
fn tape_alone(body: &[u8]) -> impl FnMut() -> usize {
    let mut buffers = Buffers::new(body.len());
    let mut kept = Tape(Vec::new());
    let mut input = Vec::new();
    move || {
        input.clear();
        input.extend_from_slice(black_box(body));
        input.resize(body.len() + INPUT_PADDING, 0);
        let mut tape = std::mem::replace(&mut kept, Tape(Vec::new())).reset();
        fill_tape_padded(&mut input, body.len(), &mut buffers, &mut tape)
            .expect("the example is valid JSON");
        let nodes = tape.0.len();
        kept = tape.reset();
        nodes
    }
}

/// Measures a thousand events in one body, and one by one. The difference is the cost of splitting.
fn many(criterion: &mut Criterion) {
    const COUNT: usize = 1000;
    let key = KeyFields::from(Kind::Event.default_key());
    let event = compact(Kind::Event.example());
    let events = vec![event.as_str(); COUNT];
    let mut group =
        criterion.benchmark_group(format!("parse/{COUNT} events of {} bytes", event.len()));
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("one by one", |b| {
        b.iter(|| {
            events
                .iter()
                .filter(|event| parse(black_box(event.as_bytes()), &key).is_ok())
                .count()
        });
    });
    let bodies = [
        (Form::Json, format!("[{}]", events.join(","))),
        (Form::Lines, events.join("\n")),
    ];
    for (form, body) in bodies.map(|(form, body)| (form, Bytes::from(body))) {
        assert!(parse_body(&body, form, &key, COUNT).is_ok_and(|body| body.records.len() == COUNT));
        group.bench_function(format!("{form:?}"), |b| {
            b.iter(|| parse_body(black_box(&body), form, &key, COUNT));
        });
    }
    group.finish();
}

/// Returns an example on one line, without white space around its strings and numbers. None of its
/// strings holds a line feed.
fn compact(example: &str) -> String {
    example
        .lines()
        .map(str::trim)
        .collect::<String>()
        .replace("\": ", "\":")
}

/// Measures single records of several sizes.
fn sizes(criterion: &mut Criterion) {
    let key = KeyFields::from(Kind::Event.default_key());
    for kib in [1, 16, 64, 1024, 8192] {
        let body = event_of(kib * 1024);
        assert!(parse(&body, &key).is_ok_and(|parsed| parsed.customer() == "acme"));
        let mut group = criterion.benchmark_group(format!("parse/{kib} KiB"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("parse", |b| b.iter(|| parse(black_box(&body), &key)));
        group.bench_function("thorough", |b| {
            b.iter(|| parse_by_text(black_box(&body), &key));
        });
        group.finish();
    }
}

/// Returns an event of `len` bytes, with examples nested in an array.
fn event_of(len: usize) -> Vec<u8> {
    let example = Kind::Event.example();
    let mut body = String::from(r#"{"envcustomerid":"acme","nested":["#);
    let end = "0]}";
    while body.len() + example.len() + end.len() < len {
        body.push_str(example);
        body.push(',');
    }
    let space = " ".repeat(len - body.len() - end.len());
    (body + &space + end).into_bytes()
}

fn ids(criterion: &mut Criterion) {
    criterion.bench_function("next_id", |b| {
        b.iter(|| next_id(black_box(SystemTime::now())));
    });
}

criterion_group!(benches, examples, many, sizes, ids);
criterion_main!(benches);
