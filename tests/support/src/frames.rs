//! HTTP/2 by hand (RFC 9113): frames as a test writes them, whatever the rules say, and the frames
//! that come back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::connection::narrow;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// The whole head of a request.
    pub(crate) fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Self {
        let flags = if end {
            END_HEADERS | END_STREAM
        } else {
            END_HEADERS
        };
        Self::new(HEADERS, flags, stream, header_block(fields))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a short payload");
        let head = [
            &length.to_be_bytes()[1..],
            &[self.kind, self.flags],
            &self.stream.to_be_bytes(),
        ]
        .concat();
        [&head, &*self.payload].concat()
    }

    /// The error code of a GOAWAY or an `RST_STREAM`.
    pub(crate) fn error_code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// Fields without compression: literals that are not indexed (RFC 7541, section 6.2.2).
pub(crate) fn header_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.bytes());
        }
    }
    block
}

/// A number with a prefix of 7 bits (RFC 7541, section 5.1).
fn length(block: &mut Vec<u8>, number: usize) {
    let Some(mut rest) = number.checked_sub(127) else {
        return block.push(u8::try_from(number).expect("below 127"));
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).expect("below 128") | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("below 128"));
}

/// A connection over HTTP/2 that keeps no rule by itself.
pub(crate) struct Frames(TcpStream);

impl Frames {
    /// Sends the preface with these settings, and no frame more.
    pub(crate) fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::silent(address).begin(settings)
    }

    /// As `open`, by a connection that takes next to nothing which it has not read.
    pub(crate) fn narrow(address: SocketAddr) -> Self {
        Self::with_stream(narrow(address)).begin(&[])
    }

    fn begin(mut self, settings: &[(u16, u32)]) -> Self {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        self.send_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .expect("the gateway reads");
        self.send(&Frame::new(SETTINGS, 0, 0, payload))
            .expect("the gateway reads");
        self
    }

    /// As [`open`](Self::open), with no settings; none where the gateway does not take it.
    pub(crate) fn try_open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let mut frames = Self(stream);
        frames
            .send_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .ok()?;
        frames.send(&Frame::new(SETTINGS, 0, 0, [])).ok()?;
        Some(frames)
    }

    /// Sends nothing yet.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        Self::with_stream(TcpStream::connect(address).expect("the gateway accepts a connection"))
    }

    fn with_stream(stream: TcpStream) -> Self {
        stream
            .set_nodelay(true)
            .expect("a socket takes its options");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes its options");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a socket takes its options");
        Self(stream)
    }

    pub(crate) fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.send_bytes(&frame.bytes())
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next frame; an error at the connection's end, or where none comes.
    pub(crate) fn next(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    /// The next frame of this kind, others passed over.
    #[track_caller]
    pub(crate) fn find(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self
                .next()
                .unwrap_or_else(|error| panic!("no frame of kind {kind}: {error}"));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Reads to the connection's end; the error codes of the GOAWAY frames on the way.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Vec<u32> {
        let mut codes = Vec::new();
        loop {
            match self.next() {
                Ok(frame) if frame.kind == GOAWAY => codes.push(frame.error_code()),
                Ok(_) => {}
                Err(error) => {
                    assert_ne!(
                        error.kind(),
                        io::ErrorKind::WouldBlock,
                        "the connection stays open: {codes:?}"
                    );
                    return codes;
                }
            }
        }
    }

    /// How long sending and reading may take from now on.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.0
            .set_read_timeout(Some(patience))
            .expect("a socket takes its options");
        self.0
            .set_write_timeout(Some(patience))
            .expect("a socket takes its options");
    }

    /// Reads to the connection's end, or for as long as something comes; the error codes of the
    /// GOAWAY frames.
    pub(crate) fn codes(&mut self) -> Vec<u32> {
        let frames = std::iter::from_fn(|| self.next().ok());
        frames
            .filter(|frame| frame.kind == GOAWAY)
            .map(|frame| frame.error_code())
            .collect()
    }

    /// A second handle, to read while the first one writes.
    pub(crate) fn handle(&self) -> Self {
        Self(self.0.try_clone().expect("a socket's handle"))
    }
}
