//! HTTP/1.1 as the field's clients speak it, byte by byte: refusals that arrive as answers, interim
//! answers, chunks, connections that stay and connections that end.

use std::time::Duration;

use iem_test_support::{Connection, Gateway, Home, get, post};

const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const EVENT: &str = r#"{"envcustomerid":"acme"}"#;
const MIB: usize = 1 << 20;

/// Sends a head and then a body of `length` bytes, to the end, before it reads: as many clients do.
fn send_whole_body(connection: &mut Connection, head: &str, length: usize) {
    connection.send(head);
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..length / piece.len() {
        if connection.try_send(&piece).is_err() {
            // The gateway has stopped reading; what it answered must still be there.
            return;
        }
    }
}

fn head(headers: &str) -> String {
    format!("POST /publish/allevents/ HTTP/1.1\r\nHost: gateway\r\n{headers}\r\n")
}

#[test]
fn an_early_401_reaches_a_client_that_sends_8_mib_first() {
    let gateway = Home::new().start();
    for _ in 0..10 {
        let mut connection = gateway.connect();
        send_whole_body(
            &mut connection,
            &head(&format!("Content-Length: {}\r\n", 8 * MIB)),
            8 * MIB,
        );
        connection
            .answer()
            .expect(401)
            .body_is(r#"{"message":"Missing access token"}"#);
        assert!(
            connection.ends(Duration::from_secs(15)),
            "the connection ends in order"
        );
    }
}

#[test]
fn a_413_by_declared_length_reaches_a_client_that_sends_all_first() {
    let gateway = Home::new().set("server.max_body", "1 MiB").start();
    let token = gateway.token("alice");
    for _ in 0..10 {
        let mut connection = gateway.connect();
        let headers = format!(
            "Cookie: access_token={token}\r\nContent-Length: {}\r\n",
            8 * MIB
        );
        send_whole_body(&mut connection, &head(&headers), 8 * MIB);
        assert!(!connection.answer().expect(413).message().is_empty());
        assert!(
            connection.ends(Duration::from_secs(15)),
            "the connection ends in order"
        );
    }
}

#[test]
fn a_413_comes_before_a_body_that_is_declared_too_large() {
    let gateway = Home::new().set("server.max_body", "1 MiB").start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    connection.send(head(&format!(
        "Cookie: access_token={token}\r\nContent-Length: {}\r\n",
        100 * MIB
    )));
    connection.answer().expect(413);
}

#[test]
fn a_413_in_chunks_reaches_a_client_that_sends_all_first() {
    let gateway = Home::new().set("server.max_body", "1 MiB").start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    connection.send(head(&format!(
        "Cookie: access_token={token}\r\nTransfer-Encoding: chunked\r\n"
    )));
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..64 {
        if connection.try_send(&chunk).is_err() {
            break;
        }
    }
    connection.answer().expect(413);
}

#[test]
fn a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    let gateway = Home::new().set("server.max_body", "64 KiB").start();
    let of = |length: usize| format!("{EVENT}{}", " ".repeat(length - EVENT.len()));
    gateway
        .publish("/publish/allevents/", of(64 * 1024))
        .expect(200);
    gateway
        .publish("/publish/allevents/", of(64 * 1024 + 1))
        .expect(413);
}

#[test]
fn a_connection_serves_many_requests_rejected_ones_among_them() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    for _ in 0..20 {
        connection
            .send(post("/publish/allevents/", EVENT).cookie(&token).bytes())
            .answer()
            .expect(200);
        connection
            .send(post("/publish/allevents/", EVENT).bytes())
            .answer()
            .expect(401);
        connection
            .send(post("/publish/allevents/", "{").cookie(&token).bytes())
            .answer()
            .expect(400);
        connection
            .send(post("/nothing", EVENT).bytes())
            .answer()
            .expect(404);
        connection
            .send(get("/publish/healthcheck/").bytes())
            .answer()
            .expect(200);
    }
}

#[test]
fn requests_sent_together_are_answered_in_order() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let good = post("/publish/allevents/", EVENT).cookie(&token).bytes();
    let bad = post("/publish/allevents/", EVENT).bytes();
    let mut connection = gateway.connect();
    connection.send([&*good, &*bad, &*good, &*bad].concat());
    for status in [200, 401, 200, 401] {
        connection.answer().expect(status);
    }
}

#[test]
fn the_body_is_asked_for_only_once_the_token_is_good() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let expect = format!(
        "Content-Length: {}\r\nExpect: 100-continue\r\n",
        EVENT.len()
    );

    let mut connection = gateway.connect();
    connection.send(head(&format!("Cookie: access_token={token}\r\n{expect}")));
    connection.send(EVENT);
    let answer = connection.answer().expect(200).body_is(PUBLISHED);
    assert_eq!(answer.interim, 1, "100 Continue came first");

    let mut connection = gateway.connect();
    let answer = connection.send(head(&expect)).answer().expect(401);
    assert_eq!(answer.interim, 0, "no 100 Continue came first");
}

#[test]
fn a_body_that_was_asked_for_and_read_to_its_end_keeps_the_connection() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    connection.send(head(&format!(
        "Cookie: access_token={token}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
    )));
    connection.send("18\r\n{\"envcustomerid\":\"acme\"}\r\n0\r\n\r\n");
    connection.answer().expect(200).body_is(PUBLISHED);
    assert!(connection.is_usable());
}

#[test]
fn a_body_in_chunks_is_published() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    connection.send(head(&format!(
        "Cookie: access_token={token}\r\nTransfer-Encoding: chunked\r\n"
    )));
    connection.send("2\r\n{\"\r\n");
    connection.send("16;extension=1\r\nenvcustomerid\":\"acme\"}\r\n0\r\nTrailer: x\r\n\r\n");
    connection.answer().expect(200).body_is(PUBLISHED);
    assert!(connection.is_usable());
}

#[test]
fn a_request_in_single_bytes_is_answered() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    for byte in post("/publish/allevents/", EVENT).cookie(&token).bytes() {
        connection.send([byte]);
    }
    connection.answer().expect(200);
}

#[test]
fn http_1_0_is_answered_and_the_connection_ends() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    let length = EVENT.len();
    connection.send(format!(
        "POST /publish/allevents/ HTTP/1.0\r\nCookie: access_token={token}\r\n\
         Content-Length: {length}\r\n\r\n{EVENT}"
    ));
    connection.answer().expect(200).body_is(PUBLISHED);
    assert!(connection.ends(Duration::from_secs(10)));
}

#[test]
fn a_client_that_asks_to_close_is_answered_first() {
    let gateway = Home::new().start();
    let mut connection = gateway.connect();
    connection.send(
        get("/publish/healthcheck/")
            .header("Connection", "close")
            .bytes(),
    );
    connection.answer().expect(200);
    assert!(connection.ends(Duration::from_secs(10)));
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    connection.send(post("/publish/allevents/", EVENT).cookie(&token).bytes());
    connection.finish_sending();
    connection.answer().expect(200).body_is(PUBLISHED);
}

#[test]
fn headers_as_nifi_sends_them_are_read() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let attributes: Vec<_> = (0..60)
        .map(|number| format!("attribute.{number}: a value of this {number}\r\n"))
        .collect();
    let attributes = attributes.concat();
    let length = EVENT.len();
    let mut connection = gateway.connect();
    connection.send(format!(
        "POST /publish/allevents/ HTTP/1.1\r\nuser-agent:\r\n{attributes}\
         content-type: application/octet-stream\r\nCOOKIE: access_token={token}\r\n\
         content-length: {length}\r\naccept-encoding: gzip\r\nhost: gateway\r\n\r\n{EVENT}"
    ));
    connection.answer().expect(200).body_is(PUBLISHED);
    assert!(connection.is_usable());
}

#[test]
fn a_head_beyond_the_limit_is_rejected_and_harms_nobody() {
    let gateway = Home::new().set("server.max_header", "8 KiB").start();
    let mut connection = gateway.connect();
    let _ = connection.try_send(head(&format!("X-Long: {}\r\n", "x".repeat(64 * 1024))));
    if let Ok(Some(answer)) = connection.try_answer() {
        answer.expect(431);
    }
    assert!(gateway.connect().is_usable());
}

#[test]
fn what_is_not_http_harms_nobody() {
    let gateway = Home::new().start();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /publish/allevents/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /publish/allevents/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n\
          hello!",
        b"POST /publish/allevents/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut connection = gateway.connect();
        let _ = connection.try_send(bytes);
        if let Ok(Some(answer)) = connection.try_answer() {
            assert!(
                (400..500).contains(&answer.status) && answer.status != 408,
                "{answer:?}"
            );
        }
        assert!(gateway.connect().is_usable());
    }
}

#[test]
fn a_body_that_ends_early_publishes_nothing() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    connection.send(head(&format!(
        "Cookie: access_token={token}\r\nContent-Length: 1000\r\n"
    )));
    connection.send(EVENT);
    connection.finish_sending();
    if let Ok(Some(answer)) = connection.try_answer() {
        assert_ne!(answer.status, 200, "{answer:?}");
    }
    after_a_good_record(&gateway);
    assert_eq!(
        gateway.home.records("events").len(),
        1,
        "the good record alone"
    );
}

fn after_a_good_record(gateway: &Gateway) {
    gateway.publish("/publish/allevents/", EVENT).expect(200);
}
