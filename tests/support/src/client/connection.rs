//! One TCP connection as a client of the field holds it: sends exact bytes, reads one answer at a
//! time. It never repairs, repeats or reorders what a test sends.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::answer::Answer;
use crate::find::find;

/// Longer than any deadline in the tests' configurations, so that hitting it means that no answer
/// was coming.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Connection {
    stream: TcpStream,
    /// The bytes that were read from the socket and that no answer has taken yet.
    unread: Vec<u8>,
}

impl Connection {
    /// Connects to the gateway.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("the gateway accepts a connection")
    }

    /// As [`open`](Self::open); fails where the gateway does not accept the connection.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        Self::with_stream(TcpStream::connect(address)?)
    }

    /// Connects from the address `peer`, any of 127.0.0.0/8, which the gateway sees as the peer's.
    pub fn from_peer(address: SocketAddr, peer: IpAddr) -> Self {
        Self::try_from_peer(address, peer).expect("the gateway accepts a connection")
    }

    /// As [`from_peer`](Self::from_peer); fails where the gateway does not accept the connection.
    pub fn try_from_peer(address: SocketAddr, peer: IpAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(peer, 0).into())?;
        socket.connect(&address.into())?;
        Self::with_stream(socket.into())
    }

    /// Connects with the smallest window that the system gives.
    pub fn narrow(address: SocketAddr) -> Self {
        Self::with_stream(narrow(address)).expect("a socket takes its options")
    }

    /// Returns the socket.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn with_stream(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes)
            .expect("the gateway reads what is sent");
        self
    }

    /// As [`send`](Self::send); fails where the gateway does not take them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads the next final answer, which counts the interim ones (1xx) before it.
    pub fn answer(&mut self) -> Answer {
        self.try_answer()
            .expect("an answer")
            .expect("an answer, not the end of the connection")
    }

    /// Reads the next answer to a HEAD request, which has no body though its headers say a length.
    pub fn answer_to_head(&mut self) -> Answer {
        let (mut answer, _) = self.head().expect("an answer").expect("an answer");
        answer.body.clear();
        answer
    }

    /// As [`answer`](Self::answer); `None` where the connection ended before an answer began.
    pub fn try_answer(&mut self) -> io::Result<Option<Answer>> {
        let Some((mut answer, interim)) = self.head()? else {
            return Ok(None);
        };
        answer.interim = interim;
        answer.body = self.body(&answer)?;
        Ok(Some(answer))
    }

    fn head(&mut self) -> io::Result<Option<(Answer, usize)>> {
        for interim in 0.. {
            let end = loop {
                if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                    break at;
                }
                if self.fill()? == 0 {
                    return if self.unread.is_empty() {
                        Ok(None)
                    } else {
                        Err(torn("in an answer's head"))
                    };
                }
            };
            let head: Vec<u8> = self.unread.drain(..end + 4).collect();
            let answer = Answer::parse_head(&head[..end]);
            if answer.status >= 200 {
                return Ok(Some((answer, interim)));
            }
        }
        unreachable!("the range has no end")
    }

    fn body(&mut self, answer: &Answer) -> io::Result<Vec<u8>> {
        if matches!(answer.status, 204 | 304) {
            return Ok(Vec::new());
        }
        if let Some(length) = answer.header("content-length") {
            return self.take(length.parse().expect("Content-Length is a number"));
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            return self.chunks();
        }
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size =
                usize::from_str_radix(line.trim(), 16).expect("a chunk's size is hexadecimal");
            body.extend(self.take(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                let line = self.unread.drain(..end + 2).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill()? == 0 {
                return Err(torn("in a chunk's line"));
            }
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            if self.fill()? == 0 {
                return Err(torn("in an answer's body"));
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let read = self.stream.read(&mut chunk)?;
        self.unread.extend_from_slice(&chunk[..read]);
        Ok(read)
    }

    /// Whether another request on this connection is answered.
    pub fn is_usable(&mut self) -> bool {
        let request = "GET /publish/healthcheck/ HTTP/1.1\r\nHost: gateway\r\n\r\n";
        self.try_send(request).is_ok()
            && matches!(self.try_answer(), Ok(Some(answer)) if answer.status == 200)
    }

    /// Whether the gateway ends the connection in order (no reset, no further byte) before `within`
    /// is over.
    pub fn ends(&mut self, within: Duration) -> bool {
        self.stream
            .set_read_timeout(Some(within))
            .expect("a socket takes its options");
        let ended = self.unread.is_empty() && matches!(self.fill(), Ok(0));
        self.stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes its options");
        ended
    }

    /// Whether any byte has come, an interim answer's for one. Takes none away.
    pub fn has_begun_to_answer(&self) -> bool {
        self.stream
            .set_nonblocking(true)
            .expect("a socket takes its options");
        let begun = !self.unread.is_empty() || matches!(self.stream.peek(&mut [0]), Ok(1));
        self.stream
            .set_nonblocking(false)
            .expect("a socket takes its options");
        begun
    }

    /// Whether nothing has come, neither a byte nor an end. Takes nothing away.
    pub fn is_quiet(&self) -> bool {
        self.stream
            .set_nonblocking(true)
            .expect("a socket takes its options");
        let peeked = self.stream.peek(&mut [0]).map_err(|error| error.kind());
        self.stream
            .set_nonblocking(false)
            .expect("a socket takes its options");
        self.unread.is_empty() && peeked == Err(io::ErrorKind::WouldBlock)
    }

    /// Sets how long sending and reading may take from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.stream
            .set_read_timeout(Some(patience))
            .expect("a socket takes its options");
        self.stream
            .set_write_timeout(Some(patience))
            .expect("a socket takes its options");
    }

    /// Ends the sending side; the connection goes on reading.
    pub fn finish_sending(&mut self) {
        self.stream
            .shutdown(std::net::Shutdown::Write)
            .expect("the connection stands");
    }
}

/// Connects a socket with the smallest window that the system gives.
pub fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket
        .set_recv_buffer_size(1)
        .expect("a socket takes its options");
    socket
        .connect(&address.into())
        .expect("the gateway accepts a connection");
    socket.into()
}

fn torn(place: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the connection ended {place}"),
    )
}
