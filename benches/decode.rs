//! A benchmark that decompresses a body of a thousand events: in pieces, as they arrive, with the
//! gateway's limits, and beside it with the library alone, from the whole body into a large enough
//! buffer.

#![allow(missing_docs)]
#![allow(
    dead_code,
    reason = "a module of the load bench, which is used here in part"
)]

#[path = "load/body.rs"]
mod body;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Decompress, FlushDecompress};
use iem_gateway::encoding::{Decoder, Encoding};
use iem_gateway::memory::{Buffer, MemoryBudget};
use zstd::zstd_safe::DCtx;

use body::{Body, Coding, Form};

const LIMIT: usize = 8 << 20;
const PIECE_BYTES: usize = 64 << 10;
/// The base 2 logarithm of gzip's window.
const WINDOW_LOG: u8 = 15;

fn decode(criterion: &mut Criterion) {
    let lines = Body::many(Form::Lines(1000));
    let length = lines.plain("acme", 0).len();
    for (coding, encoding) in [
        (Coding::Gzip, Encoding::Gzip),
        (Coding::Zstd, Encoding::Zstd),
    ] {
        let body = lines.encoded(coding).bytes("acme", 0);
        assert_eq!(in_pieces(encoding, &body).len(), length);
        let mut group = criterion.benchmark_group(format!("decode/{}", encoding.name()));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("in pieces", |b| {
            b.iter(|| in_pieces(encoding, black_box(&body)));
        });
        group.bench_function("library alone", |b| {
            b.iter(|| alone(coding, black_box(&body), length));
        });
        group.finish();
    }
}

fn in_pieces(encoding: Encoding, body: &[u8]) -> Bytes {
    let memory = MemoryBudget::new(2 * LIMIT);
    let mut output = Buffer::new(&memory, None);
    let mut decoder = Decoder::new(encoding, &memory).expect("the budget has memory for a decoder");
    for mut piece in body.chunks(PIECE_BYTES) {
        while decoder
            .step(&mut piece, &mut output, LIMIT)
            .expect("the body is valid")
        {}
    }
    decoder.finish().expect("the body is complete");
    output.freeze()
}

fn alone(coding: Coding, body: &[u8], length: usize) -> Vec<u8> {
    let mut plain = Vec::with_capacity(length);
    if coding == Coding::Gzip {
        let mut inflate = Decompress::new_gzip(WINDOW_LOG);
        inflate
            .decompress_vec(body, &mut plain, FlushDecompress::Finish)
            .expect("the body is valid");
    } else {
        DCtx::create()
            .decompress(&mut plain, body)
            .expect("the body is valid");
    }
    plain
}

criterion_group!(benches, decode);
criterion_main!(benches);
