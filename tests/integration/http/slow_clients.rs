//! A slow client costs nobody else: not while it sends its head, its body, or while it does not
//! read.

use std::time::{Duration, Instant};

use iem_test_support::Frames;
use iem_test_support::frames::{CONTINUATION, DATA, Frame, HEADERS, header_block};
use iem_test_support::{Authority, Connection, Gateway, Home, client_hello, eventually, get, post};

const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

/// Far above what an answer takes and below what a slow client is given.
const PROMPT: Duration = Duration::from_secs(5);

#[track_caller]
fn serves_others(gateway: &Gateway) {
    let begin = Instant::now();
    gateway.publish("/publish/allevents/", RECORD).expect(200);
    assert!(
        begin.elapsed() < PROMPT,
        "another client waited {:?}",
        begin.elapsed()
    );
}

/// Reads to the connection's end: no answer, or one that no client takes for an invitation to send
/// again.
fn ends_without_408(connection: &mut Connection) {
    match connection.try_answer() {
        Ok(Some(answer)) => assert!(answer.status >= 400 && answer.status != 408, "{answer:?}"),
        Ok(None) => {}
        Err(error) => assert_ne!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "the connection stays open"
        ),
    }
}

/// A request whose body has begun and does not go on.
fn begin_of_body(token: &str) -> String {
    let request = post("/publish/allevents/", "").cookie(token);
    request.head("Content-Length: 1000") + "{"
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let gateway = Home::new().set("server.header_timeout", "1s").start();
    let mut slow: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    for connection in &mut slow {
        connection.send("POST /publish/allevents/ HTTP/1.1\r\nHost: gate");
    }
    serves_others(&gateway);
    for connection in &mut slow {
        ends_without_408(connection);
    }
}

#[test]
fn a_body_that_does_not_come_ends_the_connection() {
    let gateway = Home::new().set("server.body_timeout", "1s").start();
    let token = gateway.token("alice");
    let mut slow: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    for connection in &mut slow {
        connection.send(begin_of_body(&token));
    }
    serves_others(&gateway);
    for connection in &mut slow {
        ends_without_408(connection);
    }
}

#[test]
fn a_body_of_drops_is_bounded_as_a_whole() {
    let gateway = Home::new().set("server.body_timeout", "1s").start();
    let token = gateway.token("alice");
    let mut slow = gateway.connect();
    slow.send(begin_of_body(&token));
    let late = Instant::now() + Duration::from_secs(15);
    while slow.try_send(" ").is_ok() && !slow.has_begun_to_answer() {
        assert!(
            Instant::now() < late,
            "one byte at a time holds a connection for ever"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sends these bytes over and over, a few at a time, until the gateway is not there to take them.
#[track_caller]
fn drip(mut send: impl FnMut() -> std::io::Result<()>) {
    let late = Instant::now() + Duration::from_secs(15);
    while send().is_ok() {
        assert!(
            Instant::now() < late,
            "a few bytes at a time hold a connection for ever"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_handshake_of_drops_ends_the_connection() {
    let authority = Authority::new("authority");
    let gateway = Home::new()
        .with_tls(&authority.gateway())
        .set("server.header_timeout", "1s")
        .start();
    let mut slow = gateway.connect();
    let hello = client_hello(&authority);
    let mut drops = hello.chunks(1);
    // A whole one takes far longer than it is given.
    drip(|| slow.try_send(drops.next().expect("the handshake is not finished")));
    eventually(PROMPT, "it is counted", || {
        gateway.metric("iem_gateway_tls_handshakes_failed_total", &[]) > 0.5
    });
}

#[test]
fn a_head_of_drops_over_http2_ends_the_connection() {
    let gateway = Home::new().set("server.header_timeout", "1s").start();
    let mut slow = Frames::open(gateway.address, &[]);
    slow.send(&Frame::new(
        HEADERS,
        0,
        1,
        header_block(&[(":method", "POST")]),
    ))
    .expect("the gateway reads");
    let mut drops = (0..).map(|number| {
        Frame::new(
            CONTINUATION,
            0,
            1,
            header_block(&[("x", &number.to_string())]),
        )
    });
    drip(|| slow.send(&drops.next().expect("there is no last one")));
    serves_others(&gateway);

    let mut slow = Frames::open(gateway.address, &[]);
    let head = Frame::headers(
        1,
        &[(":method", "POST"), (":scheme", "http"), (":path", "/")],
        true,
    )
    .bytes();
    let mut drops = head.chunks(1).cycle();
    drip(|| slow.send_bytes(drops.next().expect("there is no last one")));
    serves_others(&gateway);
}

#[test]
fn bodies_that_do_not_come_over_http2_are_answered_one_by_one() {
    let gateway = Home::new().set("server.body_timeout", "1s").start();
    let cookie = format!("access_token={}", gateway.token("alice"));
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/publish/allevents/"),
        (":authority", "gateway"),
        ("cookie", &cookie),
    ];
    let mut slow = Frames::open(gateway.address, &[]);
    for stream in [1, 3, 5, 7] {
        slow.send(&Frame::headers(stream, &head, false))
            .expect("the gateway reads");
        slow.send(&Frame::new(DATA, 0, stream, "{"))
            .expect("the gateway reads");
    }
    serves_others(&gateway);
    // One of them comes, in drops, for longer than it is given; one comes in time.
    slow.send(&Frame::new(DATA, 1, 7, &RECORD[1..]))
        .expect("the gateway reads");
    let mut answered = Vec::new();
    while answered.len() < 4 {
        let _ = slow.send(&Frame::new(DATA, 0, 1, " "));
        answered.push(slow.find(HEADERS).stream);
    }
    assert_eq!(answered[0], 7, "{answered:?}");
    answered.sort_unstable();
    assert_eq!(answered, [1, 3, 5, 7]);
    assert_eq!(gateway.home.records("events").len(), 2);
}

#[test]
fn a_client_that_never_reads_holds_nobody_up() {
    let gateway = Home::new().start();
    let mut client = gateway.connect();
    client.set_patience(Duration::from_millis(500));
    let many = get("/publish/healthcheck/").bytes().repeat(1000);
    // Until the gateway stops reading from one who does not read.
    let mut pieces = 0;
    while client.try_send(&many).is_ok() {
        pieces += 1;
        assert!(pieces < 10_000, "answers pile up without end");
    }
    serves_others(&gateway);
}

#[test]
fn the_time_for_a_head_may_end_while_a_request_is_answered() {
    let gateway = Home::new().set("server.header_timeout", "1s").start();
    let token = gateway.token("alice");
    let mut slow = gateway.connect();
    let request = post("/publish/allevents/", "").cookie(&token);
    slow.send(request.head(&format!("Content-Length: {}", RECORD.len())));
    std::thread::sleep(Duration::from_millis(1500));
    slow.send(RECORD).answer().expect(200);
    slow.send("POST /publish/allevents/ HTTP/1.1\r\n");
    ends_without_408(&mut slow);
}

#[test]
fn an_idle_connection_outlives_the_time_that_a_head_and_a_body_are_given() {
    let gateway = Home::new()
        .set("server.header_timeout", "1s")
        .set("server.body_timeout", "1s")
        .start();
    let token = gateway.token("alice");
    let mut connection = gateway.connect();
    for _ in 0..2 {
        connection
            .send(post("/publish/allevents/", RECORD).cookie(&token).bytes())
            .answer()
            .expect(200);
        std::thread::sleep(Duration::from_millis(2500));
    }
    assert!(
        connection.is_usable(),
        "idle longer than the header timeout"
    );
}

#[test]
fn logins_at_their_real_cost_hold_up_no_publisher() {
    let home = Home::new();
    // Made by the command line, so with the hash that users get, not with the tests' own.
    let add = [
        "user",
        "add",
        "costly@acme.example",
        "--name",
        "Costly",
        "--password-stdin",
    ];
    assert!(
        home.run_with_input(&add, "a-long-password\n")
            .status
            .success()
    );
    let gateway = home
        .set("login.failures_per_user", 1000)
        .set("login.failures_per_peer", 1000)
        .start();
    let token = gateway.token("alice");
    std::thread::scope(|scope| {
        for number in 0..40 {
            let gateway = &gateway;
            scope.spawn(move || {
                let status = gateway
                    .log_in("costly@acme.example", &format!("wrong-{number}"))
                    .status;
                assert!([401, 503].contains(&status), "{status}");
            });
        }
        for _ in 0..20 {
            let begin = Instant::now();
            gateway
                .send(&post("/publish/allevents/", RECORD).cookie(&token))
                .expect(200);
            assert!(
                begin.elapsed() < PROMPT,
                "a publisher waited {:?}",
                begin.elapsed()
            );
        }
    });
}
