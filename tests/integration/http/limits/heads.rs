//! The limits of a request's head: its headers, its target, its bytes, its time.

use std::net::TcpStream;

use iem_test_support::{Authority, Frames, Home, Request, get};

use super::{HEALTHCHECK, SOON, both};

const RUNNING: &str = r#"{"message":"API is running"}"#;

fn with_headers(count: usize) -> Request {
    // `Host` is one.
    (1..count).fold(get(HEALTHCHECK), |request, number| {
        request.header(&format!("x-{number}"), "x")
    })
}

fn with_target(length: usize) -> Request {
    let target = format!(
        "{HEALTHCHECK}?{}",
        "x".repeat(length - HEALTHCHECK.len() - 1)
    );
    get(&target)
}

#[test]
fn more_headers_than_the_limit_are_431() {
    let gateway = Home::new().set("server.max_headers", 20).start();
    gateway.send(&with_headers(20)).expect(200);
    // Over HTTP/2 `Host` is no header.
    gateway.http2().send(with_headers(21).bytes()).expect(200);
    for answer in both(&gateway, &with_headers(22)) {
        let message = answer.expect(431).message();
        assert_eq!(
            message,
            "The request has more than the 20 headers that are taken"
        );
    }
    gateway.await_reached("header_count", 2);
    let mut connection = gateway.connect();
    connection
        .send(with_headers(21).bytes())
        .answer()
        .expect(431);
    assert!(connection.is_usable());
    assert!(gateway.metric("iem_gateway_requests_total", &["status=\"431\""]) > 2.5);
}

#[test]
fn the_limit_of_headers_holds_beyond_that_of_the_library() {
    for (home, most) in [
        (Home::new(), 100),
        (Home::new().set("server.max_headers", 150), 150),
    ] {
        let gateway = home.start();
        gateway.send(&with_headers(most)).expect(200);
        gateway.send(&with_headers(most + 1)).expect(431);
        gateway.await_reached("header_count", 1);
        let [.., answer] = both(&gateway, &with_headers(most + 2));
        assert_eq!(
            answer.message(),
            format!("The request has more than the {most} headers that are taken")
        );
        gateway.await_reached("header_count", 3);
        assert_eq!(gateway.reached("header_size"), 0);
    }
}

#[test]
fn a_path_and_query_longer_than_the_limit_are_414() {
    for (home, most) in [
        (Home::new(), 8192),
        (Home::new().set("server.max_uri", "1 KiB"), 1024),
    ] {
        let gateway = home.start();
        for answer in both(&gateway, &with_target(most)) {
            answer.expect(200).body_is(RUNNING);
        }
        for answer in both(&gateway, &with_target(most + 1)) {
            let message = answer.expect(414).message();
            assert_eq!(
                message,
                format!("The path and its query are longer than the {most} bytes that are taken")
            );
        }
        gateway.await_reached("uri", 2);
        let mut connection = gateway.connect();
        connection
            .send(with_target(most + 1).bytes())
            .answer()
            .expect(414);
        assert!(connection.is_usable());
    }
}

#[test]
fn a_target_that_the_library_rejects_by_itself_is_counted() {
    let gateway = Home::new().set("server.max_header", "128 KiB").start();
    gateway.send(&with_target(70_000)).expect(414);
    gateway.await_reached("uri", 1);
}

#[test]
fn a_head_larger_than_the_limit_is_431() {
    let gateway = Home::new().set("server.max_header", "8 KiB").start();
    let of = |length: usize| {
        let bare = get(HEALTHCHECK).header("x", "").bytes().len();
        get(HEALTHCHECK).header("x", &"x".repeat(length - bare))
    };
    gateway.send(&of(8192)).expect(200);
    gateway.send(&of(8193)).expect(431);
    gateway.await_reached("header_size", 1);
    // The library answers by itself, and says nothing of it.
    gateway.http2().send(of(8193).bytes()).expect(431);
    assert_eq!(
        (
            gateway.reached("header_size"),
            gateway.reached("header_count")
        ),
        (1, 0)
    );
}

#[test]
fn a_head_that_takes_too_long_ends_the_connection() {
    let gateway = Home::new().set("server.header_timeout", "1s").start();
    let mut slow = gateway.connect();
    slow.send("GET / HTTP/1.1\r\n");
    assert!(slow.ends(SOON));
    gateway.await_reached("header_time", 1);
    Frames::open(gateway.address, &[]).end();
    gateway.await_reached("header_time", 2);
}

#[test]
fn a_handshake_that_takes_too_long_is_counted() {
    let home = Home::new().with_tls(&Authority::new("authority").gateway());
    let gateway = home.set("server.header_timeout", "1s").start();
    let _silent = TcpStream::connect(gateway.address).expect("a connection");
    gateway.await_reached("handshake_time", 1);
}
