//! One connection: a request out, as far as the socket takes it, and an answer in.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use memchr::memmem;
use socket2::{Domain, Socket, Type};

/// Connections from one address: a server bounds those of one peer.
const PER_ADDRESS: usize = 2000;

const LENGTH_NAME: &[u8] = b"Content-Length: ";

pub struct Connection {
    stream: TcpStream,
    /// The request under way: its number, its bytes that are sent, when it was due.
    request: Option<(usize, usize, Instant)>,
    /// Whether bytes of the request are still to be sent.
    unsent: bool,
    /// What has come of an answer that did not come whole.
    answer: Vec<u8>,
}

impl Connection {
    /// Connects from one of loopback's addresses, by `number`.
    pub fn open(address: SocketAddr, number: usize) -> Self {
        let last = u8::try_from(2 + number / PER_ADDRESS).expect("fewer connections than that");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket
            .bind(&SocketAddr::from(([127, 0, 0, last], 0)).into())
            .expect("an address of loopback");
        socket
            .connect(&address.into())
            .unwrap_or_else(|error| panic!("connection {number}: {error}"));
        socket.set_tcp_nodelay(true).expect("an option of TCP");
        socket.set_nonblocking(true).expect("an option of sockets");
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

    /// Begins a request.
    pub fn send(&mut self, number: usize, bytes: &[u8], due: Instant) {
        self.request = Some((number, 0, due));
        self.write(bytes);
    }

    /// The number of the request of which the socket has not taken all.
    pub fn unsent(&self) -> Option<usize> {
        self.request
            .filter(|_| self.unsent)
            .map(|(number, ..)| number)
    }

    /// Sends what is left of the request, whose bytes are these.
    pub fn write(&mut self, bytes: &[u8]) {
        let Some((_, sent, _)) = &mut self.request else {
            return;
        };
        while *sent < bytes.len() {
            match self.stream.write(&bytes[*sent..]) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("sending a request: {error}"),
            }
        }
        self.unsent = *sent < bytes.len();
    }

    /// Reads what there is. When that completes the answer, says when its request was due.
    pub fn read(&mut self, input: &mut [u8]) -> Option<Instant> {
        let (_, _, due) = self.request?;
        loop {
            let count = match self.stream.read(input) {
                Ok(0) => panic!("the server has closed a connection: {}", self.told()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => panic!("reading an answer: {error}"),
            };
            let whole = if self.answer.is_empty() {
                is_whole(&input[..count])
            } else {
                self.answer.extend_from_slice(&input[..count]);
                is_whole(&self.answer)
            };
            if whole {
                self.answer.clear();
                self.request = None;
                return Some(due);
            }
            if self.answer.is_empty() {
                self.answer.extend_from_slice(&input[..count]);
            }
        }
    }

    fn told(&self) -> String {
        String::from_utf8_lossy(&self.answer).into_owned()
    }
}

/// Whether the bytes are an answer with all of its body.
///
/// # Panics
/// Where it is not a 200, or does not say its length.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = memmem::find(bytes, b"\r\n\r\n") else {
        return false;
    };
    let text = || String::from_utf8_lossy(bytes);
    assert!(bytes.starts_with(b"HTTP/1.1 200 "), "answered: {}", text());
    let length =
        memmem::find(&bytes[..head], LENGTH_NAME).map(|at| &bytes[at + LENGTH_NAME.len()..head]);
    let length = length.unwrap_or_else(|| panic!("no length: {}", text()));
    let digits = length.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    bytes.len() >= head + 4 + length
}
