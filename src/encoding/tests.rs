//! Each encoding as a whole and in chunks, at its limits, and with every kind of fault.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

const NO_LIMIT: usize = 64 << 20;
type Way = (Encoding, fn(&[u8]) -> Vec<u8>);
/// Each encoding with an encoder, raw deflate among them.
const WAYS: [Way; 4] = [
    (Encoding::Gzip, gzip),
    (Encoding::Deflate, zlib),
    (Encoding::Deflate, deflate),
    (Encoding::Zstd, zstd),
];

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("encoded")
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("encoded")
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("encoded")
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.include_checksum(true).expect("it takes that");
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("encoded")
}

fn unlimited() -> Arc<MemoryBudget> {
    MemoryBudget::new(usize::MAX / 2)
}

/// Decodes a body that arrives in chunks of `piece` bytes.
fn decode_pieces(
    encoding: Encoding,
    body: &[u8],
    piece: usize,
    limit: usize,
) -> Result<Vec<u8>, DecodeError> {
    let memory = unlimited();
    let mut output = Buffer::new(&memory, Some(limit));
    let mut decoder = Decoder::new(encoding, &memory)?;
    for mut input in body.chunks(piece) {
        let mut before = output.len();
        while decoder.step(&mut input, &mut output, limit)? {
            assert!(output.len() - before <= STEP_BYTES_MAX, "a step is bounded");
            before = output.len();
        }
        assert!(input.is_empty(), "all that is there is decoded");
    }
    decoder.finish()?;
    let plain = output.freeze().to_vec();
    assert_eq!(memory.used(), 0, "the decoder's state is given back");
    Ok(plain)
}

fn decode(encoding: Encoding, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    decode_pieces(encoding, body, body.len().max(1), NO_LIMIT)
}

fn is_corrupt(result: &Result<Vec<u8>, DecodeError>) -> bool {
    matches!(result, Err(DecodeError::Corrupt { .. }))
}

#[test]
fn an_encoded_body_is_decoded_in_chunks_of_any_size() {
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let spaces = vec![b' '; 3 * STEP_BYTES_MAX];
    for plain in [
        &b""[..],
        b"a",
        br#"{"envcustomerid":"acme"}"#,
        &spaces,
        &noise,
    ] {
        for (encoding, encode) in WAYS {
            let body = encode(plain);
            for piece in [1, 2, 3, 1000, body.len()] {
                let found = decode_pieces(encoding, &body, piece, NO_LIMIT).expect("valid");
                assert!(
                    found == plain,
                    "{encoding:?} of {} bytes in pieces of {piece}",
                    plain.len()
                );
            }
        }
    }
}

#[test]
fn the_limit_bounds_the_decoded_bytes() {
    let plain = vec![b'x'; 100_000];
    for (encoding, encode) in WAYS {
        let body = encode(&plain);
        assert!(decode_pieces(encoding, &body, 10, plain.len()).is_ok());
        assert_eq!(
            decode_pieces(encoding, &body, 10, plain.len() - 1),
            Err(DecodeError::TooLarge)
        );
    }
}

#[test]
fn a_body_that_is_cut_off_is_rejected() {
    for (encoding, encode) in WAYS {
        let body = encode(br#"{"envcustomerid":"acme","splitby":"acme"}"#);
        for end in 0..body.len() {
            let result = decode(encoding, &body[..end]);
            assert_eq!(
                result,
                Err(corrupt(encoding, "it is cut off")),
                "{end} of {}",
                body.len()
            );
        }
    }
}

#[test]
fn changed_or_trailing_bytes_are_rejected() {
    for (encoding, encode) in WAYS {
        let body = encode(&br#"{"envcustomerid":"acme"}"#.repeat(100));
        for behind in [
            &b"\0"[..],
            b"\0\0\0\0\0\0\0\0",
            b"x",
            b"{\"envcustomerid\":\"acme\"}",
        ] {
            assert!(
                is_corrupt(&decode(encoding, &[&body, behind].concat())),
                "{encoding:?} and {behind:?}"
            );
        }
        assert!(
            is_corrupt(&decode(encoding, br#"{"envcustomerid":"acme"}"#)),
            "{encoding:?}: plain JSON"
        );
    }
    for (encoding, encode) in [WAYS[0], WAYS[1], WAYS[3]] {
        let mut body = encode(b"a checksum tells");
        let last = body.len() - 1;
        body[last] ^= 1;
        assert!(
            is_corrupt(&decode(encoding, &body)),
            "{encoding:?}: a checksum that is wrong"
        );
    }
}

#[test]
fn the_message_of_a_fault_does_not_depend_on_the_chunks() {
    let body = br#"{"envcustomerid":"acme","splitby":"a"}"#.repeat(20);
    for piece in [1, 4, body.len()] {
        let result = decode_pieces(Encoding::Deflate, &body, piece, NO_LIMIT);
        assert_eq!(
            result,
            Err(corrupt(Encoding::Deflate, "it is corrupt")),
            "in pieces of {piece}"
        );
    }
}

#[test]
fn gzip_members_and_zstd_frames_are_concatenated() {
    for (encoding, encode) in [WAYS[0], WAYS[3]] {
        let body = [encode(b"one,"), encode(b""), encode(b"two")].concat();
        for piece in [1, 7, body.len()] {
            assert_eq!(
                decode_pieces(encoding, &body, piece, NO_LIMIT).as_deref(),
                Ok(&b"one,two"[..])
            );
        }
    }
    assert!(decode(Encoding::Gzip, &gzip(b"a").repeat(GZIP_MEMBERS_MAX)).is_ok());
    assert!(is_corrupt(&decode(
        Encoding::Gzip,
        &gzip(b"a").repeat(GZIP_MEMBERS_MAX + 1)
    )));
}

#[test]
fn a_window_beyond_the_bound_is_rejected() {
    let with_window = |log| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(log).expect("it takes that");
        encoder
            .write_all(&[b'x'; 1000])
            .and_then(|()| encoder.finish())
            .expect("encoded")
    };
    assert!(decode(Encoding::Zstd, &with_window(ZSTD_WINDOW_LOG_MAX)).is_ok());
    assert!(is_corrupt(&decode(
        Encoding::Zstd,
        &with_window(ZSTD_WINDOW_LOG_MAX + 1)
    )));
}

#[test]
fn the_decoders_state_is_counted_and_bounded() {
    let noise: Vec<u8> = (0..12_000_000_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder
        .window_log(ZSTD_WINDOW_LOG_MAX)
        .expect("it takes that");
    let large = encoder
        .write_all(&noise)
        .and_then(|()| encoder.finish())
        .expect("encoded");
    for (encoding, body, least) in [
        (Encoding::Zstd, large, 8 << 20),
        (Encoding::Gzip, gzip(&noise), 40 << 10),
    ] {
        let (memory, elsewhere) = (unlimited(), unlimited());
        let mut decoder = Decoder::new(encoding, &memory).expect("within the budget");
        let mut output = Buffer::new(&elsewhere, None);
        let mut rest = &body[..];
        decoder
            .step(&mut rest, &mut output, NO_LIMIT)
            .expect("valid");
        assert!(
            memory.used() < 1 << 20,
            "{encoding:?}: a beginning counts {}",
            memory.used()
        );
        while decoder
            .step(&mut rest, &mut output, NO_LIMIT)
            .expect("valid")
        {}
        assert!(
            (least..=STATE_BYTES_MAX).contains(&memory.used()),
            "{encoding:?}: {}",
            memory.used()
        );

        let little = MemoryBudget::new(memory.used() - 1);
        drop(decoder);
        assert_eq!(memory.used(), 0);
        let mut output = Buffer::new(&memory, None);
        let mut rest = &body[..];
        let rejected = Decoder::new(encoding, &little)
            .map_err(DecodeError::from)
            .and_then(|mut decoder| {
                while decoder.step(&mut rest, &mut output, NO_LIMIT)? {}
                Ok(())
            });
        assert_eq!(rejected, Err(DecodeError::Exhausted(Exhausted::All)));
        assert_eq!(little.used(), 0);
    }
}
