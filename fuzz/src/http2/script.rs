//! An input to what a client sends. Each operation is a letter, a byte that varies it, and a text:
//!
//! | letter | what is sent |
//! |---|---|
//! | `R` | a request on the next stream: HEADERS, perhaps cut into CONTINUATION, and DATA |
//! | `h` | HEADERS of such a request on the next stream, which stays open |
//! | `k` | HEADERS on the next stream, the text being the block as HPACK encodes it |
//! | `t` | HEADERS of trailers on an earlier stream |
//! | `d` | DATA on an earlier stream |
//! | `r` `w` | RST_STREAM, WINDOW_UPDATE on an earlier stream, or the connection |
//! | `s` `p` `g` `y` `c` | SETTINGS, PING, GOAWAY, PRIORITY, CONTINUATION: the text is the payload |
//! | `f` | a frame of any kind: flags and stream from the text |
//! | `x` | the text itself |
//! | `.` | nothing, for a time |
//! | `!` | nothing, and the gateway is told to stop |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use iem_test_support::find;
use iem_test_support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PADDED, PING,
    PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, header_block,
};

use crate::expansion::{expand, split};
use crate::gateway::Step;

const OPERATIONS_MAX: usize = 64;
/// The largest frame that the gateway takes.
const FRAME_MAX: usize = 16 << 10;

#[derive(Default)]
pub struct Script {
    pub steps: Vec<Step>,
    /// The payload of each stream's DATA frames.
    pub bodies: BTreeMap<u32, Vec<u8>>,
    /// The bytes that were sent as they stand, which may be DATA too.
    pub raw: Vec<u8>,
    pub users: BTreeSet<String>,
    /// Whether a request asks with HEAD.
    pub heads: bool,
    /// The streams that were begun, in order.
    streams: Vec<u32>,
    without_preface: bool,
}

impl Script {
    pub fn of(input: &[u8]) -> Self {
        let mut script = Self::default();
        let mut operations = split(input, OPERATIONS_MAX);
        // `x` first is a connection without a preface.
        if operations
            .first()
            .is_some_and(|first| first.starts_with(b"x"))
        {
            script.without_preface = true;
        } else {
            script.steps.push(Step::Send(PREFACE.to_vec()));
            if !operations
                .first()
                .is_some_and(|first| first.starts_with(b"s"))
            {
                operations.insert(0, b"s0");
            }
        }
        for operation in operations {
            if let [letter, how, text @ ..] = operation {
                script.perform(*letter, *how, text);
            }
        }
        script
    }

    /// Whether the gateway must take it for HTTP/2.
    pub fn is_http2(&self) -> bool {
        !self.without_preface
    }

    fn perform(&mut self, letter: u8, how: u8, text: &[u8]) {
        let expanded = expand(text);
        let text = &*expanded.bytes;
        self.users.extend(expanded.users);
        match letter {
            b'R' => self.request(how, text),
            b'h' => {
                let stream = self.begin();
                self.head(stream, how, text, false);
            }
            b'k' => {
                let stream = self.begin();
                self.heads = true;
                self.frame(HEADERS, END_HEADERS | how & END_STREAM, stream, text);
            }
            b't' => {
                let stream = self.earlier(how);
                let block = header_block(&fields(text));
                self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
            }
            b'd' => {
                let stream = self.earlier(how);
                self.data(stream, how & END_STREAM | how >> 3 & PADDED, text);
            }
            b'r' => self.frame(RST_STREAM, 0, self.earlier(how), &four(text)),
            b'w' => self.frame(WINDOW_UPDATE, 0, self.any_earlier(how), &four(text)),
            b's' => self.settings(text),
            b'p' => {
                let mut payload = text.to_vec();
                payload.resize(8, 0);
                self.frame(PING, how & ACK, 0, &payload);
            }
            b'g' => self.frame(GOAWAY, 0, 0, &[&[0; 8], text].concat()),
            b'y' => self.frame(PRIORITY, 0, self.any_earlier(how), text),
            b'c' => self.frame(
                CONTINUATION,
                how & END_HEADERS,
                self.earlier(how >> 3),
                text,
            ),
            b'f' => {
                if let [flags, stream, payload @ ..] = text {
                    self.note_raw(payload);
                    self.frame(how & 15, *flags, u32::from(*stream), payload);
                }
            }
            b'x' => {
                let bytes = [&[how], text].concat();
                self.note_raw(&bytes);
                self.steps.push(Step::Send(bytes));
            }
            b'.' => self
                .steps
                .push(Step::Wait(Duration::from_millis(1 << (how & 15)))),
            b'!' => self.steps.push(Step::Drain),
            _ => {}
        }
    }

    /// Sends settings; behind the first ones, an acknowledgement of the gateway's own.
    fn settings(&mut self, text: &[u8]) {
        let is_first = self.steps.len() <= 1;
        self.frame(SETTINGS, 0, 0, text);
        if is_first {
            // The gateway's own are there by then.
            self.steps.push(Step::Wait(Duration::from_millis(1)));
            self.frame(SETTINGS, ACK, 0, b"");
        }
    }

    /// Notes bytes that may be a body, or a request with HEAD.
    fn note_raw(&mut self, bytes: &[u8]) {
        self.raw.extend(bytes);
        self.heads = true;
    }

    /// Sends a request. `how`, by its bits: the body does not end; the head comes in two frames; the body in frames
    /// of a byte, of two halves or padded.
    fn request(&mut self, how: u8, text: &[u8]) {
        let (head, body) = halves(text);
        let stream = self.begin();
        let ends = how & 1 == 0;
        self.head(stream, how >> 1, head, ends && body.is_empty());
        let piece = match how >> 2 & 3 {
            1 => (body.len() / 64).max(1),
            2 => body.len() / 2 + 1,
            _ => FRAME_MAX / 2,
        };
        let pieces = body.chunks(piece).count();
        for (index, piece) in body.chunks(piece).enumerate() {
            let end = u8::from(ends && index + 1 == pieces);
            let padded = if how >> 2 & 3 == 3 { PADDED } else { 0 };
            self.data(stream, end | padded, piece);
        }
    }

    fn head(&mut self, stream: u32, how: u8, text: &[u8], ends: bool) {
        self.heads |= text.starts_with(b"HEAD");
        let block = header_block(&fields_of_request(text));
        let end = u8::from(ends);
        if how & 1 == 0 {
            return self.frame(HEADERS, END_HEADERS | end, stream, &block);
        }
        let (first, second) = block.split_at(block.len() / 2);
        self.frame(HEADERS, end, stream, first);
        self.frame(CONTINUATION, END_HEADERS, stream, second);
    }

    fn data(&mut self, stream: u32, flags: u8, payload: &[u8]) {
        self.bodies.entry(stream).or_default().extend(payload);
        if flags & PADDED == 0 {
            return self.frame(DATA, flags & END_STREAM, stream, payload);
        }
        self.frame(
            DATA,
            flags & (END_STREAM | PADDED),
            stream,
            &[&[3], payload, &[0; 3]].concat(),
        );
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let frame = Frame::new(kind, flags, stream, payload);
        self.steps.push(Step::Send(frame.bytes()));
    }

    /// The next stream that a client may begin.
    fn begin(&mut self) -> u32 {
        let stream = self.streams.last().map_or(1, |last| last + 2);
        self.streams.push(stream);
        stream
    }

    /// A stream that was begun, the last by default.
    fn earlier(&self, how: u8) -> u32 {
        let back = usize::from(how >> 1 & 7);
        self.streams.iter().rev().nth(back).copied().unwrap_or(1)
    }

    /// Such a stream, or the connection.
    fn any_earlier(&self, how: u8) -> u32 {
        if how & 1 == 0 { 0 } else { self.earlier(how) }
    }
}

/// Head and body, with lines that end as they like.
fn halves(text: &[u8]) -> (&[u8], &[u8]) {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    let end = ends
        .iter()
        .filter_map(|end| Some((find(text, end)?, end.len())))
        .min();
    end.map_or((text, b""), |(at, length)| {
        (&text[..at], &text[at + length..])
    })
}

type Field<'a> = (Vec<u8>, &'a [u8]);

/// A request's head as HTTP/1.1 writes it, with the fields that HTTP/2 has for its first line and
/// for Host.
fn fields_of_request(text: &[u8]) -> Vec<Field<'_>> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.trim_ascii().split(|byte| *byte == b' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut all: Vec<Field> = vec![
        (b":method".to_vec(), method),
        (b":scheme".to_vec(), b"http"),
        (b":path".to_vec(), path),
    ];
    let rest = fields(text.get(line.len() + 1..).unwrap_or_default());
    all.extend(rest.into_iter().map(|(name, value)| {
        if name == b"host" {
            (b":authority".to_vec(), value)
        } else {
            (name, value)
        }
    }));
    // The pseudo-fields come first; a second one of a name is left as it is.
    all.sort_by_key(|(name, _)| !name.starts_with(b":"));
    all
}

fn fields(text: &[u8]) -> Vec<Field<'_>> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .filter_map(|line| {
            // The first byte may be a pseudo-field's colon.
            let colon = 1 + line.get(1..)?.iter().position(|byte| *byte == b':')?;
            Some((
                line[..colon].to_ascii_lowercase(),
                line[colon + 1..].trim_ascii(),
            ))
        })
        .collect()
}

/// The first four bytes, or zeros.
fn four(text: &[u8]) -> [u8; 4] {
    let mut four = [0; 4];
    four.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    four
}
