//! A TCP proxy on loopback that hands on each byte a fixed time after it came, in both directions,
//! and that can stop and go on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// As far away as another region of a continent.
pub const ONE_WAY: Duration = Duration::from_millis(30);

/// Makes a backend on this machine one that is far away.
#[derive(Debug)]
pub struct DelayingProxy {
    address: SocketAddr,
    traffic: Arc<Traffic>,
}

type Chunk = (Instant, Vec<u8>);

/// The state of the way.
#[derive(Debug, Default)]
struct Traffic {
    fault: Mutex<Fault>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fault {
    /// Whether nothing is handed on.
    holds: bool,
    /// How often all connections were lost.
    losses: usize,
}

impl DelayingProxy {
    /// Takes connections at once; `target` may come up later. Its threads end with their
    /// connections; the one that accepts ends with the process.
    pub fn start(target: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let target: SocketAddr = target.parse().expect("an address and a port");
        let traffic = Arc::new(Traffic::default());
        let shared = Arc::clone(&traffic);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else {
                    continue;
                };
                let losses = shared.fault().losses;
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
                        continue;
                    };
                    let _ = to.set_nodelay(true);
                    let (sender, receiver) = channel();
                    thread::spawn(move || read(from, &sender, delay));
                    let traffic = Arc::clone(&shared);
                    thread::spawn(move || write(to, &receiver, &traffic, losses));
                }
            }
        });
        Self { address, traffic }
    }

    /// The address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands nothing on until [`go_on`](Self::go_on), and then all that has come.
    pub fn hold(&self) {
        self.traffic.fault().holds = true;
    }

    /// Loses what comes over the connections that there are, for good and without closing them.
    /// New ones hang until [`go_on`](Self::go_on).
    pub fn drop_silently(&self) {
        let mut fault = self.traffic.fault();
        fault.holds = true;
        fault.losses += 1;
    }

    /// Hands on what is not lost.
    pub fn go_on(&self) {
        self.traffic.fault().holds = false;
        self.traffic.changed.notify_all();
    }
}

impl Traffic {
    fn fault(&self) -> MutexGuard<'_, Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while nothing is handed on. Returns whether the connection, before which all were lost
    /// `losses` times, is still alive.
    fn reaches(&self, losses: usize) -> bool {
        let fault = self
            .changed
            .wait_while(self.fault(), |fault| fault.holds && fault.losses == losses);
        fault.unwrap_or_else(PoisonError::into_inner).losses == losses
    }
}

fn read(mut from: TcpStream, sender: &Sender<Chunk>, delay: Duration) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if sender
            .send((Instant::now() + delay, buffer[..count].to_vec()))
            .is_err()
        {
            return;
        }
    }
}

fn write(mut to: TcpStream, receiver: &Receiver<Chunk>, traffic: &Traffic, losses: usize) {
    for (due, bytes) in receiver {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if traffic.reaches(losses) && to.write_all(&bytes).is_err() {
            break;
        }
    }
    // Nobody hears of the end of a lost connection.
    if traffic.reaches(losses) {
        let _ = to.shutdown(Shutdown::Both);
    }
}
