//! HTTP/2 by hand (RFC 9113): frames as a test writes them, against the rules too, and the frames
//! that come back.

/// The bytes with which a client begins a connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's head.
pub const HEAD_BYTES: usize = 9;

/// The kind of frame that carries a body.
pub const DATA: u8 = 0;
/// The kind of frame that begins a request or an answer.
pub const HEADERS: u8 = 1;
/// The kind of frame that gives a stream a priority.
pub const PRIORITY: u8 = 2;
/// The kind of frame that ends a stream early.
pub const RST_STREAM: u8 = 3;
/// The kind of frame that carries a peer's settings.
pub const SETTINGS: u8 = 4;
/// The kind of frame that asks for an echo.
pub const PING: u8 = 6;
/// The kind of frame that ends a connection.
pub const GOAWAY: u8 = 7;
/// The kind of frame that widens a window.
pub const WINDOW_UPDATE: u8 = 8;
/// The kind of frame that continues a block of fields.
pub const CONTINUATION: u8 = 9;

/// The flag of SETTINGS and PING frames that acknowledge one.
pub const ACK: u8 = 1;
/// The flag of the last frame that its sender has for a stream.
pub const END_STREAM: u8 = 1;
/// The flag of a frame that completes a block of fields.
pub const END_HEADERS: u8 = 4;
/// The flag of a frame with padding.
pub const PADDED: u8 = 8;

/// A frame.
#[derive(Debug)]
pub struct Frame {
    /// The kind, such as [`DATA`].
    pub kind: u8,
    /// The flags, such as [`END_STREAM`].
    pub flags: u8,
    /// The stream's number; 0 is the connection.
    pub stream: u32,
    /// The bytes behind the head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame with these parts.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// A HEADERS frame with the whole head of a request.
    pub fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Self {
        let flags = if end {
            END_HEADERS | END_STREAM
        } else {
            END_HEADERS
        };
        Self::new(HEADERS, flags, stream, header_block(fields))
    }

    /// The bytes of a request whose stream is cancelled at once.
    pub fn cancelled_request(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
        const CANCEL: u32 = 8;
        let reset = Self::new(RST_STREAM, 0, stream, CANCEL.to_be_bytes());
        [Self::headers(stream, fields, true).bytes(), reset.bytes()].concat()
    }

    /// Reads the first frame of `bytes`; returns it with the bytes behind it, or `None` where it is
    /// cut off.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_first_chunk()?;
        let (mut frame, length) = Self::parse_head(head);
        let (payload, rest) = rest.split_at_checked(length)?;
        frame.payload = payload.to_vec();
        Some((frame, rest))
    }

    /// Reads a frame's head; returns the frame without its payload, and the payload's length.
    pub fn parse_head(head: &[u8; HEAD_BYTES]) -> (Self, usize) {
        let [long, middle, short, kind, flags, stream @ ..] = *head;
        let length = u32::from_be_bytes([0, long, middle, short]);
        let frame = Self::new(kind, flags, u32::from_be_bytes(stream), []);
        (frame, length as usize)
    }

    /// The frame as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
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
    pub fn error_code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// Returns a block of fields without compression: literals that are not indexed (RFC 7541, section
/// 6.2.2).
pub fn header_block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            push_length(&mut block, text.len());
            block.extend(text);
        }
    }
    block
}

/// Appends a number with a prefix of 7 bits (RFC 7541, section 5.1).
fn push_length(block: &mut Vec<u8>, number: usize) {
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
