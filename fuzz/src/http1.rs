//! Any bytes as one client's connection, two bytes first that say how the client behaves and in how
//! many pieces it sends. Placeholders stand for tokens and the like. Checked: the connection ends;
//! nothing panics, nothing is a 500; every answer is one of the contract's; every record in the
//! sink is of the input, is JSON, and is of a customer that the token's user may send for; no more
//! is acknowledged than the sink has; memory and queues are given back.

use std::io::Read;
use std::time::Duration;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use iem_test_support::find;
use iem_test_support::frames::PREFACE;
use iem_test_support::memory_sink::Seen;

use crate::answer::{check as check_answer, forms_of, is_published, parse_http1};
use crate::expansion::{Expanded, expand};
use crate::gateway::{Conduct, Exchange, GATEWAY, Step};

/// Pieces beyond so many come as one.
const PIECES_MAX: usize = 64;
/// The gateway has done what there is to do before the next piece.
const BETWEEN: Duration = Duration::from_millis(1);

/// Checks one input.
pub fn check(input: &[u8]) {
    let [conduct, pieces, input @ ..] = input else {
        return;
    };
    let conduct = Conduct::of(*conduct);
    let sent = expand(input);
    // `0` is all at once.
    let piece = match pieces.wrapping_sub(b'0') {
        0 => sent.bytes.len().max(1),
        size => usize::from(size).max(sent.bytes.len() / PIECES_MAX),
    };
    let steps = sent
        .bytes
        .chunks(piece)
        .flat_map(|piece| [Step::Send(piece.to_vec()), Step::Wait(BETWEEN)]);
    let mut steps: Vec<Step> = steps.collect();
    if conduct.draining {
        // Behind the first half, before the gateway has looked at it.
        steps.insert(steps.len() / 2, Step::Drain);
    }
    let exchange = GATEWAY.converse(steps, conduct);
    // What begins as HTTP/2 is the other target's.
    if !sent.bytes.starts_with(PREFACE) {
        check_answers(&sent.bytes, &exchange, conduct);
    }
    let bodies = Bodies::new(&sent);
    for record in &exchange.records {
        GATEWAY.check_record(record, &sent.users);
        assert!(bodies.hold(record), "not of the input: {record:?}");
    }
}

fn check_answers(sent: &[u8], exchange: &Exchange, conduct: Conduct) {
    let answers = parse_http1(&exchange.received, !conduct.deaf);
    let heads = find(sent, b"HEAD").is_some();
    for answer in &answers {
        check_answer(answer, heads);
    }
    // A head ends in an empty line, and one that never ends may be answered too.
    let empty_lines =
        [&b"\n\r\n"[..], b"\n\n"].map(|end| memchr::memmem::find_iter(sent, end).count());
    let last = answers.iter().filter(|answer| answer.status != 100).count();
    assert!(
        last <= empty_lines.iter().sum::<usize>() + 1,
        "{last} answers"
    );
    let published = answers.iter().filter(|answer| is_published(answer)).count();
    assert!(
        published <= exchange.records.len(),
        "{published} acknowledged, {:?}",
        exchange.records
    );
}

/// The input, as the place that records come from.
struct Bodies<'a> {
    sent: &'a Expanded,
    chunked: bool,
    encoded: bool,
}

impl<'a> Bodies<'a> {
    fn new(sent: &'a Expanded) -> Self {
        let lower = sent.bytes.to_ascii_lowercase();
        let chunked = find(&lower, b"chunked").is_some();
        let encoded = find(&lower, b"content-encoding").is_some();
        Self {
            sent,
            chunked,
            encoded,
        }
    }

    /// Whether a record's bytes are the input's: as they are, without what frames chunks, or
    /// decoded.
    fn hold(&self, record: &Seen) -> bool {
        forms_of(&record.data).is_none_or(|forms| forms.iter().any(|form| self.have(form)))
    }

    fn have(&self, data: &[u8]) -> bool {
        find(&self.sent.bytes, data).is_some()
            || self.chunked && (self.encoded || is_within(data, &self.sent.bytes))
            || self.encoded && self.decodes(data)
    }

    fn decodes(&self, data: &[u8]) -> bool {
        let sent = &self.sent.bytes;
        let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\n\r\n"];
        let starts = ends.iter().flat_map(|end| {
            memchr::memmem::find_iter(sent, end)
                .map(|at| at + end.len())
                .collect::<Vec<_>>()
        });
        starts
            .into_iter()
            .any(|start| decodings(&sent[start..]).any(|body| find(&body, data).is_some()))
    }
}

/// Returns what a body decodes to, as far as it does; anything may follow it.
pub fn decodings(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let zstd: Option<Box<dyn Read>> = zstd::Decoder::new(body)
        .ok()
        .map(|decoder| Box::new(decoder) as _);
    let readers: [Option<Box<dyn Read>>; 4] = [
        Some(Box::new(MultiGzDecoder::new(body))),
        Some(Box::new(ZlibDecoder::new(body))),
        Some(Box::new(DeflateDecoder::new(body))),
        zstd,
    ];
    readers.into_iter().flatten().map(|reader| {
        let mut decoded = Vec::new();
        let _ = reader.take(1 << 20).read_to_end(&mut decoded);
        decoded
    })
}

/// Whether `data` is `text` with some of its bytes left out.
fn is_within(data: &[u8], text: &[u8]) -> bool {
    let mut text = text.iter();
    data.iter().all(|byte| text.any(|other| other == byte))
}
