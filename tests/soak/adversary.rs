//! An adversary beside the good customers: strangers who hold what they can from many addresses,
//! guess passwords, and a user whose bodies are padded, compressed, slow or without an end.
//!
//! Each client holds what it has for some seconds and begins anew, whether it is answered or not.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use iem_test_support::{Connection, Gateway, Request, post};

const TOKEN: &str = "/api/v1/user/token";
const EVENTS: &str = "/publish/allevents/";

/// The connections that the gateway takes, and those of one address. The strangers open more.
pub(super) const CONNECTIONS_MAX: i64 = 2_000;
pub(super) const CONNECTIONS_PER_PEER_MAX: i64 = 500;

/// The addresses that connections are held from, and the connections of each.
const HOLDERS: u8 = 10;
const HELD: usize = 400;
/// The unfinished requests of the user and of strangers, of each kind.
const UNFINISHED: usize = 150;
/// The addresses that passwords are guessed from.
const GUESSERS: u8 = 50;

/// The time for which a client holds what it has.
const HOLD: Duration = Duration::from_secs(4);
const STEP: Duration = Duration::from_millis(100);

/// The adversary, and what it has done.
pub(super) struct Adversary<'a> {
    gateway: &'a Gateway,
    /// A token of a user who is one of them.
    token: String,
    stop: &'a AtomicBool,
    connections: AtomicUsize,
    guesses: AtomicUsize,
}

impl<'a> Adversary<'a> {
    pub(super) fn new(gateway: &'a Gateway, stop: &'a AtomicBool) -> Self {
        Self {
            gateway,
            token: gateway.token("bob"),
            stop,
            connections: AtomicUsize::new(0),
            guesses: AtomicUsize::new(0),
        }
    }

    /// Starts its clients, until it is stopped.
    pub(super) fn start<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        for number in 0..HOLDERS {
            // Silent, in the middle of a head, and idle behind an answer.
            let beginning: &[u8] = match number % 3 {
                0 => b"",
                1 => b"POST /publish/allevents/ HTTP/1.1\r\nHost: gateway\r\nX-",
                _ => b"GET /publish/healthcheck/ HTTP/1.1\r\nHost: gateway\r\n\r\n",
            };
            scope.spawn(move || self.hold(address(1, number), beginning, HELD));
        }
        let refresh = format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(15_000));
        let unfinished = [
            // A frame of zstd that announces a window of 8 MiB.
            self.of_user(b"\x28\xb5\x2f\xfd\x00\x68\x80\x00\x00                x")
                .header("Content-Encoding", "zstd"),
            self.of_user(&vec![b' '; 500_000]),
            post(&format!("{TOKEN}/refresh"), refresh),
        ];
        for (request, number) in unfinished.into_iter().zip(0..) {
            let bytes = request.bytes();
            scope.spawn(move || {
                self.hold(address(2, number), &bytes[..bytes.len() - 1], UNFINISHED);
            });
        }
        for number in 0..GUESSERS {
            scope.spawn(move || self.guess(number));
        }
    }

    /// Prints what it has done.
    pub(super) fn tell(&self) {
        let connections = self.connections.load(Ordering::Relaxed);
        let guesses = self.guesses.load(Ordering::Relaxed);
        eprintln!("adversary: {connections} connections held, {guesses} passwords guessed");
        let limits = [
            "connections",
            "connections_per_peer",
            "memory",
            "memory_share",
            "queue_share",
            "logins",
            "logins_waiting",
        ];
        for limit in limits {
            eprintln!("  limit {limit}: {}", self.gateway.reached(limit));
        }
    }

    fn of_user(&self, body: &[u8]) -> Request {
        post(EVENTS, body).cookie(&self.token)
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Opens connections that begin with these bytes, holds them, and opens them anew.
    fn hold(&self, peer: IpAddr, beginning: &[u8], count: usize) {
        while self.goes_on() {
            let begun = Instant::now();
            let open = |_| {
                let mut connection = self.open(peer).ok()?;
                connection.set_patience(HOLD);
                // It may have been refused, or have no room for all.
                let _ = connection.try_send(beginning);
                self.connections.fetch_add(1, Ordering::Relaxed);
                Some(connection)
            };
            let held: Vec<_> = (0..count).filter_map(open).collect();
            while self.goes_on() && begun.elapsed() < HOLD {
                thread::sleep(STEP);
            }
            drop(held);
        }
    }

    fn guess(&self, number: u8) {
        let peer = address(3, number);
        for round in 0.. {
            if !self.goes_on() {
                return;
            }
            // Users that are there, and others.
            let user = match round % 3 {
                0 => "alice@acme.example".to_owned(),
                1 => "carol@acme.example".to_owned(),
                _ => format!("user-{round}@acme.example"),
            };
            let request = post(TOKEN, "").basic(&user, &format!("guess-{number}-{round}"));
            let answered = self.open(peer).and_then(|mut connection| {
                connection.try_send(request.bytes())?;
                connection.try_answer()
            });
            self.guesses.fetch_add(1, Ordering::Relaxed);
            if answered.is_err() {
                thread::sleep(STEP);
            }
        }
    }

    fn open(&self, peer: IpAddr) -> io::Result<Connection> {
        Connection::try_from_peer(self.gateway.address, peer)
    }
}

fn address(group: u8, number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 10 + group, 1 + number).into()
}
