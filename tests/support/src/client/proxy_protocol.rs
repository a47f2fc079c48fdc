//! The PROXY protocol: the header by which a proxy names its client, and a proxy that sends it.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::connection::Connection;

/// Returns the header that announces `client`, by version 2 of the PROXY protocol.
pub fn proxy_header(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address and a port");
    let (family, addresses) = match client.ip() {
        IpAddr::V4(address) => (0x11, [address.octets(), [192, 0, 2, 255]].concat()),
        IpAddr::V6(address) => (0x21, [address.octets(), [0xfe; 16]].concat()),
    };
    header(
        0x21,
        family,
        &[&addresses[..], &client.port().to_be_bytes(), &[1, 187]].concat(),
    )
}

/// Returns the header of a connection that the proxy opens for itself.
pub fn proxy_header_local() -> Vec<u8> {
    header(0x20, 0, &[])
}

fn header(version: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("16 bits");
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[version, family][..],
        &length.to_be_bytes(),
        rest,
    ]
    .concat()
}

/// Forwards connections to `gateway` from the address `own`, each begun with `header`. Its threads
/// end with their connections; the one that accepts ends with the process.
pub fn start_proxy(gateway: SocketAddr, own: IpAddr, header: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut server = Connection::from_peer(gateway, own);
            server.send(&header);
            let server = server.into_stream();
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (from, to) = (
                    from.try_clone().expect("a handle"),
                    to.try_clone().expect("a handle"),
                );
                thread::spawn(move || forward(from, to));
            }
        }
    });
    address
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
