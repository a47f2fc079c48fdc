//! A TCP proxy on loopback that hands on each byte a fixed time after it came, in both directions.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// As far away as another region of a continent.
pub const ONE_WAY: Duration = Duration::from_millis(30);

/// Makes a backend on this machine one that is far away.
#[derive(Debug)]
pub struct DelayingProxy {
    address: SocketAddr,
}

type Chunk = (Instant, Vec<u8>);

impl DelayingProxy {
    /// Takes connections at once; `target` may come up later. Its threads end with their
    /// connections; the one that accepts ends with the process.
    pub fn start(target: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let target: SocketAddr = target.parse().expect("an address and a port");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
                        continue;
                    };
                    let _ = to.set_nodelay(true);
                    let (sender, receiver) = channel();
                    thread::spawn(move || read(from, &sender, delay));
                    thread::spawn(move || write(to, &receiver));
                }
            }
        });
        Self { address }
    }

    /// The address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
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

fn write(mut to: TcpStream, receiver: &Receiver<Chunk>) {
    for (due, bytes) in receiver {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
