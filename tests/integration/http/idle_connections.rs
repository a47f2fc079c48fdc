//! 10,000 clients that have published once and keep their connections, as connectors in the field
//! do: they cost little, hold up nobody, and are let go when the gateway stops.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use iem_gateway::config;
use rustix::process::Signal;

use iem_test_support::{Connection, Gateway, Home, get, post};

const COUNT: usize = 10_000;
/// Sent together, so that the sink writes them together.
const TOGETHER: usize = 500;
/// Descriptors for all of them, and for what the other tests of this process have open.
const DESCRIPTORS: u64 = 12_000;
/// The clients' addresses, 127.0.0.2 and those behind it: one peer alone may not have so many
/// connections.
const PEERS: usize = 8;
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

fn connect(gateway: &Gateway, number: usize) -> Connection {
    let last = u8::try_from(2 + number % PEERS).expect("a small number");
    Connection::from_peer(gateway.address, IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)))
}

/// Sends a request on every connection, and reads every answer.
fn exchange(idle: &mut [Connection], request: &[u8]) {
    for some in idle.chunks_mut(TOGETHER) {
        for connection in &mut *some {
            connection.send(request);
        }
        for connection in some {
            connection.answer().expect(200);
        }
    }
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_end_on_drain() {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).expect("the limit of open files");
    assert!(
        descriptors >= DESCRIPTORS,
        "{descriptors} open files are allowed, {DESCRIPTORS} are needed: ulimit -Hn"
    );
    // Those that stand may be told to go in turn.
    let home = Home::new().set("server.drain", "15s");
    let mut gateway = home.spawn();
    let publish = post("/publish/allevents/", RECORD)
        .cookie(&gateway.token("alice"))
        .bytes();
    gateway.publish("/publish/allevents/", RECORD).expect(200);
    let before = gateway.peak_memory();

    let mut idle = Vec::new();
    while idle.len() < COUNT {
        // A first request is due soon after its connection.
        let mut some: Vec<_> = (0..TOGETHER)
            .map(|number| connect(&gateway, number))
            .collect();
        exchange(&mut some, &publish);
        idle.append(&mut some);
    }
    assert!(gateway.metric("iem_gateway_connections", &[]) >= 10_000.0);
    for _ in 0..20 {
        gateway.publish("/publish/allevents/", RECORD).expect(200);
        gateway.http2().send(&publish).expect(200);
    }
    exchange(&mut idle, &get("/publish/healthcheck/").bytes());
    assert!(
        idle.iter().all(Connection::is_quiet),
        "one answer each, and no end"
    );
    assert_eq!(gateway.home.records("events").len(), 1 + COUNT + 40);

    let peak = gateway.peak_memory();
    let ceiling = config::load(Some(&home.config()), None)
        .expect("a configuration")
        .config
        .memory_ceiling()
        .bytes;
    let each = peak.saturating_sub(before) / COUNT as u64;
    println!(
        "{COUNT} idle connections: {peak} bytes resident at most, {each} a connection; \
         the ceiling is {ceiling}"
    );
    assert!(peak < ceiling as u64 / 4, "{peak} of {ceiling}");

    gateway.signal(Signal::TERM);
    for connection in &mut idle {
        assert!(
            connection.ends(Duration::from_secs(10)),
            "an idle connection ends in order"
        );
    }
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
}
