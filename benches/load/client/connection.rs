//! One connection: writes a request as far as the socket takes it, and reads the answer. It never
//! blocks.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use memchr::memmem;
use socket2::{Domain, Socket, Type};

/// Connections from one source address, since a server limits the connections of one peer.
const PER_ADDRESS: usize = 2000;

const LENGTH_NAME: &[u8] = b"Content-Length: ";

pub struct Connection {
    stream: TcpStream,
    /// The request in flight.
    request: Option<Request>,
    /// Whether some bytes of the request have not been sent.
    unsent: bool,
    /// The bytes of an answer that is not complete yet.
    answer: Vec<u8>,
}

struct Request {
    number: usize,
    /// Bytes that have been sent.
    sent: usize,
    due: Instant,
}

impl Connection {
    /// Connects from a loopback address, chosen by `number`.
    pub fn open(address: SocketAddr, number: usize) -> Self {
        let last =
            u8::try_from(2 + number / PER_ADDRESS).expect("an address of 127.0.0.0/24 is left");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket is created");
        socket
            .bind(&SocketAddr::from(([127, 0, 0, last], 0)).into())
            .expect("the loopback address is bound");
        socket
            .connect(&address.into())
            .unwrap_or_else(|error| panic!("cannot open connection {number}: {error}"));
        socket
            .set_tcp_nodelay(true)
            .expect("the socket takes TCP_NODELAY");
        socket
            .set_nonblocking(true)
            .expect("the socket becomes non-blocking");
        Self {
            stream: socket.into(),
            request: None,
            unsent: false,
            answer: Vec::new(),
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Starts a request.
    pub fn send(&mut self, number: usize, bytes: &[u8], due: Instant) {
        self.request = Some(Request {
            number,
            sent: 0,
            due,
        });
        self.write(bytes);
    }

    /// Returns the number of the request if the socket has not taken all of it.
    pub fn unsent(&self) -> Option<usize> {
        self.request
            .as_ref()
            .filter(|_| self.unsent)
            .map(|request| request.number)
    }

    /// Sends the rest of the request. `bytes` is the whole request.
    pub fn write(&mut self, bytes: &[u8]) {
        let Some(Request { sent, .. }) = &mut self.request else {
            return;
        };
        while *sent < bytes.len() {
            match self.stream.write(&bytes[*sent..]) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("cannot send a request: {error}"),
            }
        }
        self.unsent = *sent < bytes.len();
    }

    /// Reads until the socket is empty. Once the answer is complete, returns the time at which its
    /// request was due.
    pub fn read(&mut self, input: &mut [u8]) -> Option<Instant> {
        let due = self.request.as_ref()?.due;
        loop {
            let count = match self.stream.read(input) {
                Ok(0) => panic!(
                    "the server has closed a connection: {}",
                    String::from_utf8_lossy(&self.answer)
                ),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => panic!("cannot read an answer: {error}"),
            };
            let is_complete = if self.answer.is_empty() {
                is_complete_answer(&input[..count])
            } else {
                self.answer.extend_from_slice(&input[..count]);
                is_complete_answer(&self.answer)
            };
            if is_complete {
                self.answer.clear();
                self.request = None;
                return Some(due);
            }
            if self.answer.is_empty() {
                self.answer.extend_from_slice(&input[..count]);
            }
        }
    }
}

/// Returns whether the bytes are an answer with all of its body.
///
/// # Panics
/// Panics if the answer is not a 200, or has no length.
fn is_complete_answer(bytes: &[u8]) -> bool {
    let Some(head) = memmem::find(bytes, b"\r\n\r\n") else {
        return false;
    };
    let text = || String::from_utf8_lossy(bytes);
    assert!(
        bytes.starts_with(b"HTTP/1.1 200 "),
        "an answer that is not a 200: {}",
        text()
    );
    let start = memmem::find(&bytes[..head], LENGTH_NAME)
        .unwrap_or_else(|| panic!("an answer without a length: {}", text()))
        + LENGTH_NAME.len();
    let length = bytes[start..head]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    bytes.len() >= head + 4 + length
}
