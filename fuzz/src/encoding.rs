//! Any bytes as a compressed body, and any bytes compressed and cut into pieces. Checked: nothing
//! panics; no step and no body exceeds its bound; the budget of memory is given back; what is
//! decoded is what other decoders make of it, and what was encoded comes out again.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use iem_gateway::encoding::{DecodeError, Decoder, Encoding, STEP_BYTES_MAX};
use iem_gateway::memory::{Buffer, MemoryBudget};

const LIMIT: usize = 256 << 10;

/// Checks one input.
pub fn check(input: &[u8]) {
    let [way, piece, body @ ..] = input else {
        return;
    };
    let piece = usize::from(*piece) + 1;
    for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
        let found = decode(encoding, body, piece);
        // Not which of two faults is met first: a step that fails adds nothing, so its output may
        // not reach the limit.
        let whole = decode(encoding, body, body.len().max(1));
        assert_eq!(
            found.as_ref().ok(),
            whole.as_ref().ok(),
            "the same in any pieces"
        );
        let reference = match encoding {
            Encoding::Gzip => read(MultiGzDecoder::new(body)),
            Encoding::Zstd => zstd::Decoder::new(body).ok().and_then(read),
            Encoding::Deflate => None,
        };
        if let (Ok(found), Some(reference)) = (&found, reference) {
            assert!(*found == reference);
        }
    }
    let (encoding, encoded) = encoded(*way, body);
    if body.len() <= LIMIT {
        assert_eq!(decode(encoding, &encoded, piece).as_deref(), Ok(body));
    }
    for end in [encoded.len() - 1, encoded.len() / 2] {
        assert!(decode(encoding, &encoded[..end], piece).is_err(), "cut off");
    }
}

fn decode(encoding: Encoding, body: &[u8], piece: usize) -> Result<Vec<u8>, DecodeError> {
    let memory = MemoryBudget::new(16 << 20);
    let decoded = decode_within(&memory, encoding, body, piece);
    assert_eq!(memory.used(), 0);
    decoded
}

fn decode_within(
    memory: &std::sync::Arc<MemoryBudget>,
    encoding: Encoding,
    body: &[u8],
    piece: usize,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(encoding, memory)?;
    let mut output = Buffer::new(memory, Some(LIMIT));
    for mut input in body.chunks(piece) {
        loop {
            let before = output.len();
            let more = decoder.step(&mut input, &mut output, LIMIT)?;
            assert!(output.len() - before <= STEP_BYTES_MAX && output.len() <= LIMIT);
            if !more {
                break;
            }
        }
        assert!(input.is_empty());
    }
    decoder.finish()?;
    Ok(output.freeze().to_vec())
}

/// Returns what another decoder makes of it.
fn read(decoder: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    decoder
        .take(LIMIT as u64 + 1)
        .read_to_end(&mut plain)
        .ok()?;
    Some(plain)
}

fn encoded(way: u8, plain: &[u8]) -> (Encoding, Vec<u8>) {
    let level = Compression::new(u32::from(way) / 4 % 10);
    let (encoding, encoded) = match way % 4 {
        0 => (
            Encoding::Gzip,
            written(GzEncoder::new(Vec::new(), level), plain).finish(),
        ),
        1 => (
            Encoding::Deflate,
            written(ZlibEncoder::new(Vec::new(), level), plain).finish(),
        ),
        2 => (
            Encoding::Deflate,
            written(DeflateEncoder::new(Vec::new(), level), plain).finish(),
        ),
        _ => (
            Encoding::Zstd,
            zstd::encode_all(plain, i32::from(way) / 4 % 10),
        ),
    };
    (encoding, encoded.expect("memory takes all"))
}

fn written<W: Write>(mut encoder: W, plain: &[u8]) -> W {
    encoder.write_all(plain).expect("memory takes all");
    encoder
}
