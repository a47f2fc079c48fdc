//! A connection over HTTP/2 that keeps no rule by itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::connection::narrow;
use crate::frames::{Frame, GOAWAY, HEAD_BYTES, PREFACE, SETTINGS};

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection over HTTP/2 that keeps no rule by itself.
pub struct Frames(TcpStream);

impl Frames {
    /// Sends the preface with these settings, and no frame more.
    pub fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::silent(address).begin(settings)
    }

    /// As [`open`](Self::open), by a connection with the smallest window that the system gives.
    pub fn narrow(address: SocketAddr) -> Self {
        Self::with_stream(narrow(address)).begin(&[])
    }

    fn begin(mut self, settings: &[(u16, u32)]) -> Self {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        self.send_bytes(PREFACE).expect("the gateway reads");
        self.send(&Frame::new(SETTINGS, 0, 0, payload))
            .expect("the gateway reads");
        self
    }

    /// As [`open`](Self::open), without settings; `None` where the gateway does not take it.
    pub fn try_open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let mut frames = Self(stream);
        frames.send_bytes(PREFACE).ok()?;
        frames.send(&Frame::new(SETTINGS, 0, 0, [])).ok()?;
        Some(frames)
    }

    /// Connects, and sends nothing yet.
    pub fn silent(address: SocketAddr) -> Self {
        Self::with_stream(TcpStream::connect(address).expect("the gateway accepts a connection"))
    }

    fn with_stream(stream: TcpStream) -> Self {
        stream
            .set_nodelay(true)
            .expect("a socket takes its options");
        let mut frames = Self(stream);
        frames.set_patience(PATIENCE);
        frames
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.send_bytes(&frame.bytes())
    }

    /// Sends these bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Reads the next frame; an error at the connection's end, or where none comes.
    pub fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; HEAD_BYTES];
        self.0.read_exact(&mut head)?;
        let (mut frame, length) = Frame::parse_head(&head);
        frame.payload.resize(length, 0);
        self.0.read_exact(&mut frame.payload)?;
        Ok(frame)
    }

    /// Reads the next frame of this kind, and passes over others.
    #[track_caller]
    pub fn find(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self
                .receive()
                .unwrap_or_else(|error| panic!("no frame of kind {kind}: {error}"));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Reads to the connection's end; returns the error codes of the GOAWAY frames on the way.
    #[track_caller]
    pub fn end(&mut self) -> Vec<u32> {
        let mut codes = Vec::new();
        loop {
            match self.receive() {
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

    /// Sets how long sending and reading may take from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.0
            .set_read_timeout(Some(patience))
            .expect("a socket takes its options");
        self.0
            .set_write_timeout(Some(patience))
            .expect("a socket takes its options");
    }

    /// Reads to the connection's end, or for as long as something comes; returns the error codes
    /// of the GOAWAY frames.
    pub fn codes(&mut self) -> Vec<u32> {
        let frames = std::iter::from_fn(|| self.receive().ok());
        frames
            .filter(|frame| frame.kind == GOAWAY)
            .map(|frame| frame.error_code())
            .collect()
    }

    /// Returns a second handle, to read while the first one writes.
    pub fn handle(&self) -> Self {
        Self(self.0.try_clone().expect("a socket's handle"))
    }
}
