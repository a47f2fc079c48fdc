//! A proxy before the emulator: holds answers back, loses connections without a word, and counts
//! requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use iem_test_support::find;
use parking_lot::{Condvar, Mutex};

/// The bytes with which an HTTP/2 client begins.
const PREFACE: usize = 24;

/// The bytes before the payload of an HTTP/2 frame.
const HEAD: usize = 9;

/// The type of the frame that begins a request.
const HEADERS: u8 = 1;

/// A TCP proxy on loopback. Its threads end with their connections; the one that accepts ends with
/// the process.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    holds: Mutex<bool>,
    released: Condvar,
    is_silent: AtomicBool,
    requests: AtomicUsize,
    clients: AtomicUsize,
    publish_time: Mutex<Duration>,
}

impl Proxy {
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target: SocketAddr = target.parse().unwrap();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.connect(&client, &TcpStream::connect(target).unwrap());
            }
        });
        Self { address, state }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keeps all answers until they are released.
    pub fn hold_answers(&self) {
        *self.state.holds.lock() = true;
    }

    pub fn release_answers(&self) {
        *self.state.holds.lock() = false;
        self.state.released.notify_all();
    }

    /// Loses everything. A connection that loses something stays dead, without being closed.
    pub fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
    }

    /// Hands on what comes over new connections.
    pub fn recover(&self) {
        self.state.is_silent.store(false, Ordering::SeqCst);
    }

    /// Takes this long to hand a request on that publishes records of the tests.
    pub fn slow_down(&self, time: Duration) {
        *self.state.publish_time.lock() = time;
    }

    /// Returns how many requests have come.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Returns how many connections clients have not closed.
    pub fn clients(&self) -> usize {
        self.state.clients.load(Ordering::SeqCst)
    }
}

impl State {
    fn connect(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        self.clients.fetch_add(1, Ordering::SeqCst);
        let is_dead = Arc::new(AtomicBool::new(false));
        for (from, to, is_answer) in [(client, server, false), (server, client, true)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            to.set_nodelay(true).unwrap();
            let (state, is_dead) = (self.clone(), is_dead.clone());
            std::thread::spawn(move || state.hand_on(from, to, is_answer, &is_dead));
        }
    }

    fn hand_on(&self, mut from: TcpStream, mut to: TcpStream, is_answer: bool, dead: &AtomicBool) {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if dead.load(Ordering::SeqCst) || self.is_silent.load(Ordering::SeqCst) {
                dead.store(true, Ordering::SeqCst);
                continue;
            }
            if is_answer {
                let mut holds = self.holds.lock();
                self.released.wait_while(&mut holds, |holds| *holds);
            } else {
                let requests = frames.count_requests(&buffer[..count]);
                self.requests.fetch_add(requests, Ordering::SeqCst);
                if find(&buffer[..count], br#"{"n":"#).is_some() {
                    let time = *self.publish_time.lock();
                    std::thread::sleep(time);
                }
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if !is_answer {
            self.clients.fetch_sub(1, Ordering::SeqCst);
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}

/// The HTTP/2 frames of a client, as far as they have come.
#[derive(Default)]
struct Frames {
    preface: usize,
    head: Vec<u8>,
    payload: usize,
}

impl Frames {
    /// Counts the requests that begin in the next bytes.
    fn count_requests(&mut self, mut bytes: &[u8]) -> usize {
        let preface = bytes.len().min(PREFACE - self.preface);
        self.preface += preface;
        bytes = &bytes[preface..];
        let mut requests = 0;
        while !bytes.is_empty() {
            let payload = bytes.len().min(self.payload);
            self.payload -= payload;
            bytes = &bytes[payload..];
            let head = bytes.len().min(HEAD - self.head.len());
            self.head.extend_from_slice(&bytes[..head]);
            bytes = &bytes[head..];
            if let [a, b, c, kind, ..] = self.head[..]
                && self.head.len() == HEAD
            {
                self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                requests += usize::from(kind == HEADERS);
                self.head.clear();
            }
        }
        requests
    }
}
