//! Compresses bodies as clients do.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// Returns the body as `gzip`, `zlib`, raw `deflate` or `zstd`.
pub fn encoded(way: &str, plain: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    match way {
        "gzip" => write(GzEncoder::new(Vec::new(), level), plain).finish(),
        "zlib" => write(ZlibEncoder::new(Vec::new(), level), plain).finish(),
        "deflate" => write(DeflateEncoder::new(Vec::new(), level), plain).finish(),
        "zstd" => zstd::encode_all(plain, 3),
        other => panic!("no way to encode: {other}"),
    }
    .expect("memory takes all")
}

fn write<W: Write>(mut encoder: W, plain: &[u8]) -> W {
    encoder.write_all(plain).expect("memory takes all");
    encoder
}
