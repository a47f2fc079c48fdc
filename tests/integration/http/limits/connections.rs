//! The limits on connections: in all, of one peer, over HTTP/2.

use std::net::IpAddr;

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::frames::{Frame, GOAWAY, HEADERS, SETTINGS};
use iem_test_support::{Authority, Connection, Curl, Frames, Home, SecureClient, eventually, post};

use super::{EVENTS, HEALTHCHECK, RECORD, SOON};

const HTTP_1_1_REQUIRED: u32 = 13;

#[test]
fn more_connections_than_the_limit_are_503() {
    let sink = ScriptedSink::new();
    let gateway = Home::new()
        .set("server.max_connections", 2)
        .start_with(&sink);
    let request = post(EVENTS, RECORD).cookie(&gateway.token("alice")).bytes();
    sink.set("events", Behaviour::Stall);
    eventually(SOON, "no connection is open", || {
        gateway.metric("iem_gateway_connections", &[]) < 0.5
    });
    // Connections whose requests are being answered make no room.
    let mut busy = [gateway.connect(), gateway.connect()];
    for connection in &mut busy {
        connection.send(&request);
    }
    eventually(SOON, "both are being answered", || {
        gateway.metric("iem_gateway_queue_records", &["events"]) > 1.5
    });
    let answer = gateway.connect().answer().expect(503).says_when_to_retry();
    assert_eq!(answer.message(), "Too many connections, try again later");
    gateway.await_reached("connections", 1);
    sink.set("events", Behaviour::Deliver);
    for connection in &mut busy {
        connection.answer().expect(200);
    }
    eventually(SOON, "room for another", || gateway.connect().is_usable());
}

#[test]
fn more_connections_of_a_peer_than_the_limit_are_503() {
    let gateway = Home::new()
        .set("server.max_connections_per_peer", 2)
        .start();
    let from = |last: u8| Connection::from_peer(gateway.address, IpAddr::from([127, 0, 0, last]));
    let held = [from(2), from(2)].map(|mut connection| {
        assert!(connection.is_usable());
        connection
    });
    let answer = from(2).answer().expect(503).says_when_to_retry();
    assert_eq!(answer.message(), "Too many connections, try again later");
    gateway.await_reached("connections_per_peer", 1);
    assert_eq!(gateway.reached("connections"), 0);
    assert!(from(3).is_usable(), "another peer does not notice");
    drop(held);
    eventually(SOON, "room for another", || from(2).is_usable());
}

#[test]
fn connections_beyond_a_peers_limit_have_nobody_make_room() {
    let gateway = Home::new()
        .set("server.max_connections", 64)
        .set("server.max_connections_per_peer", 20)
        .start();
    let from = |last: u8| Connection::from_peer(gateway.address, IpAddr::from([127, 0, 0, last]));
    let open = |last: u8| {
        let mut connection = from(last);
        assert!(connection.is_usable());
        connection
    };
    // One is spare: the next one has the longest idle one leave.
    let held: Vec<_> = [2, 3, 4]
        .into_iter()
        .flat_map(|last| (0..20).map(move |_| last))
        .chain([5, 5, 5])
        .map(open)
        .collect();
    for _ in 0..30 {
        from(2).answer().expect(503);
    }
    assert_eq!(gateway.reached("connections_per_peer"), 30);
    assert_eq!(gateway.reached("evicted"), 0);
    for mut connection in held {
        assert!(connection.is_usable());
    }
}

#[test]
fn beyond_the_limit_http2_by_prior_knowledge_is_sent_to_http_1_1() {
    let gateway = Home::new().set("server.http2.max_connections", 1).start();
    let mut first = Frames::open(gateway.address, &[]);
    first.find(SETTINGS);
    let mut second = Frames::open(gateway.address, &[]);
    assert_eq!(second.find(GOAWAY).error_code(), HTTP_1_1_REQUIRED);
    assert!(second.end().is_empty());
    gateway.await_reached("http2_connections", 1);
    assert!(gateway.connect().is_usable());
    drop(first);
    eventually(SOON, "room for another", || {
        let mut frames = Frames::open(gateway.address, &[]);
        let head = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", HEALTHCHECK),
        ];
        frames.send(&Frame::headers(1, &head, true)).is_ok()
            && std::iter::from_fn(|| frames.receive().ok()).any(|frame| frame.kind == HEADERS)
    });
}

#[test]
fn beyond_the_limit_http2_is_not_offered_by_alpn() {
    let authority = Authority::new("authority");
    let home = Home::new()
        .with_tls(&authority.gateway())
        .set("server.http2.max_connections", 1);
    home.write("ca.pem", authority.pem());
    let gateway = home.start();
    let version = || {
        let url = format!("https://{}{HEALTHCHECK}", gateway.address);
        Curl::new(&home, "ca.pem")
            .arg("--http2")
            .arg(url)
            .answer()
            .expect(200)
            .version
    };
    eventually(SOON, "HTTP/2 is offered", || version() == "HTTP/2");
    let mut held = None;
    eventually(SOON, "HTTP/1.1 has to do", || {
        // One that came before the place of the connection before it was free is offered HTTP/1.1
        // itself.
        held = None;
        held = Some(SecureClient::open(
            &home,
            gateway.address,
            "ca.pem",
            &["-alpn", "h2"],
        ));
        version() == "HTTP/1.1"
    });
    assert!(gateway.reached("http2_connections") >= 1);
    drop(held);
    eventually(SOON, "HTTP/2 is offered again", || version() == "HTTP/2");
}
