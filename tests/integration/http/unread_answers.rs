//! Clients that send and never read: once their window is full the gateway reads no more of them,
//! and after the time that it gives a write it lets them go. Meanwhile others are served.

use std::thread;
use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};

use iem_test_support::Frames;
use iem_test_support::frames::{DATA, Frame, PING};
use iem_test_support::{
    Authority, Connection, Curl, Gateway, Home, Secure, eventually, get, narrow,
};

const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
/// Far above what a client that does not read is given, 30 seconds and the time to read what it
/// still sends.
const NOT_FOR_EVER: Duration = Duration::from_mins(2);
/// More than fits the buffers of both sides.
const FLOOD_BYTES: usize = 256 << 20;
/// When nothing can be sent for so long, the gateway reads no more.
const STALL: Duration = Duration::from_secs(2);

#[track_caller]
fn fill(mut send: impl FnMut() -> std::io::Result<usize>) {
    let mut bytes = 0;
    while let Ok(length) = send() {
        bytes += length;
        assert!(bytes < FLOOD_BYTES, "answers pile up without end");
    }
}

#[track_caller]
fn lets_go(gateway: &Gateway, serves_others: impl Fn()) {
    eventually(NOT_FOR_EVER, "the connection ends", || {
        serves_others();
        gateway.metric("iem_gateway_connections", &[]) < 0.5
    });
}

fn publishes(gateway: &Gateway) {
    gateway.publish("/publish/allevents/", RECORD).expect(200);
}

fn requests() -> Vec<u8> {
    get("/publish/healthcheck/").bytes().repeat(500)
}

/// At once, as each of them takes the time that a write is given.
#[test]
fn clients_that_never_read_are_let_go() {
    thread::scope(|scope| {
        for way in [
            over_http1,
            over_tls,
            over_http2,
            acknowledgements_over_http2,
        ] {
            scope.spawn(way);
        }
    });
}

fn over_http1() {
    let gateway = Home::new().start();
    let mut client = Connection::narrow(gateway.address);
    client.set_patience(STALL);
    let requests = requests();
    fill(|| client.try_send(&requests).map(|()| requests.len()));
    lets_go(&gateway, || publishes(&gateway));
}

fn over_tls() {
    let authority = Authority::new("authority");
    let home = Home::new().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    let gateway = home.start();
    let mut client = Secure::over(narrow(gateway.address), &authority);
    client.set_patience(STALL);
    let requests = requests();
    fill(|| client.try_send(&requests).map(|()| requests.len()));
    let url = format!("https://{}/publish/healthcheck/", gateway.address);
    lets_go(&gateway, || {
        drop(Curl::new(&home, "ca.pem").arg(&url).answer().expect(200));
    });
}

fn over_http2() {
    let gateway = Home::new().start();
    let head = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/publish/healthcheck/"),
        (":authority", "gateway"),
    ];
    let mut client = Frames::narrow(gateway.address);
    client.set_patience(STALL);
    // Streams whose answers wait are still open, so it comes to open more than it may; that has a
    // bound of its own.
    let mut stream = 1;
    fill(|| {
        let requests = (0..100).map(|number| Frame::headers(stream + 2 * number, &head, true));
        let bytes: Vec<_> = requests.flat_map(|request| request.bytes()).collect();
        stream += 200;
        client.send_bytes(&bytes).map(|()| bytes.len())
    });
    lets_go(&gateway, || publishes(&gateway));
}

fn acknowledgements_over_http2() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    let cookie = format!("access_token={}", gateway.token("alice"));
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/publish/metrics/"),
        ("cookie", &*cookie),
    ];
    sink.set("metrics", Behaviour::Stall);
    let mut client = Frames::narrow(gateway.address);
    client.set_patience(STALL);
    // While a request is being answered, frames that ask for nothing are not counted.
    client
        .send(&Frame::headers(1, &head, false))
        .expect("the gateway reads");
    client
        .send(&Frame::new(DATA, 1, 1, RECORD))
        .expect("the gateway reads");
    sink.wait_for("metrics", |log| log.waiting == 1);
    let pings = Frame::new(PING, 0, 0, [0; 8]).bytes().repeat(1000);
    fill(|| client.send_bytes(&pings).map(|()| pings.len()));
    lets_go(&gateway, || publishes(&gateway));
}
