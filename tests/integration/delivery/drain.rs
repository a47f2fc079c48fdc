//! Told to stop: readiness fails, idle connections end, what was accepted is finished and answered,
//! exit 0.

use std::net::TcpStream;
use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};
use rustix::process::Signal;

use iem_test_support::frames::{DATA, Frame, GOAWAY, HEADERS};
use iem_test_support::{Authority, Connection, Curl, Frames, Home, Load, Secure, eventually, post};

const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

#[test]
fn under_load_everything_answered_200_is_in_the_files_and_the_exit_is_0() {
    for (signal, workers) in [(Signal::TERM, 1), (Signal::INT, 3)] {
        let home = Home::new()
            .set("topics.events.workers", workers)
            .set("sink.file.rotate_size", "64 KiB");
        let mut gateway = home.spawn();
        let load = Load::start(gateway.address, &gateway.token("alice"), "drain", 16, 500);
        std::thread::sleep(Duration::from_millis(500));
        gateway.signal(signal);
        let status = gateway.wait();
        let ledger = load.stop();
        assert_eq!(status.code(), Some(0), "{}", gateway.log());
        assert!(
            ledger.published.len() > 16,
            "the load was a load: {:?}",
            ledger.answers
        );
        ledger.check_against(&home.records("events"));
    }
}

#[test]
fn a_request_in_flight_is_answered_and_then_the_connection_closes() {
    let sink = ScriptedSink::new();
    // On one thread: threads hear of the end one after the other, and the idle connection's end
    // tells of the busy one's.
    let mut gateway = Home::new().set("server.threads", 1).start_with(&sink);
    let token = gateway.token("alice");
    let mut idle = gateway.connect();
    assert!(idle.is_usable());
    assert_eq!(gateway.admin("/readyz").status, 200);

    sink.set("events", Behaviour::Stall);
    let mut busy = gateway.connect();
    busy.send(post("/publish/allevents/", RECORD).cookie(&token).bytes());
    sink.wait_for("events", |log| log.waiting == 1);
    gateway.begin_stop();

    assert!(
        idle.ends(Duration::from_secs(4)),
        "an idle connection is closed while another is busy"
    );
    assert_eq!(
        gateway.admin("/readyz").status,
        503,
        "not ready while draining"
    );
    assert_eq!(gateway.admin("/livez").status, 200, "and yet alive");
    eventually(
        Duration::from_secs(4),
        "no new connection is served",
        || {
            let connection = Connection::try_open(gateway.address);
            connection.is_err() || !connection.is_ok_and(|mut connection| connection.is_usable())
        },
    );

    sink.set("events", Behaviour::Deliver);
    let answer = busy.answer().expect(200);
    assert_eq!(
        answer
            .header("connection")
            .map(str::to_lowercase)
            .as_deref(),
        Some("close"),
        "{answer:?}"
    );
    assert!(busy.ends(Duration::from_secs(10)));
    gateway.stop();
    assert_eq!(sink.log("events").delivered.len(), 1);
    assert_eq!(
        (sink.log("events").writers, sink.closed()),
        (0, 1),
        "writers are dropped, the sink is closed"
    );
}

#[test]
fn a_body_that_is_being_sent_may_be_finished() {
    let sink = ScriptedSink::new();
    let mut gateway = Home::new().start_with(&sink);
    let token = gateway.token("alice");
    let mut slow = gateway.connect();
    let length = RECORD.len();
    slow.send(format!(
        "POST /publish/allevents/ HTTP/1.1\r\nHost: gateway\r\nCookie: access_token={token}\r\n\
         Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    ));
    // The interim answer says that the gateway has begun with the body.
    slow.send(&RECORD[..5]);
    eventually(Duration::from_secs(5), "the request has begun", || {
        slow.has_begun_to_answer()
    });
    gateway.begin_stop();
    eventually(Duration::from_secs(5), "draining", || {
        gateway.admin("/readyz").status == 503
    });
    slow.send(&RECORD[5..]);
    slow.answer().expect(200);
    gateway.stop();
    assert_eq!(sink.log("events").delivered.len(), 1);
}

#[test]
fn a_client_that_never_finishes_does_not_hold_the_end_beyond_the_drain() {
    let home = Home::new();
    let mut gateway = home.clone().set("server.drain", "3s").spawn();
    let token = gateway.token("alice");
    let mut stuck = gateway.connect();
    let request = post("/publish/allevents/", "").cookie(&token);
    stuck.send(request.head("Content-Length: 100") + "{");
    gateway.publish("/publish/allevents/", RECORD).expect(200);
    gateway.signal(Signal::TERM);
    assert_eq!(
        gateway.wait().code(),
        Some(1),
        "not all was finished: {}",
        gateway.log()
    );
    assert_eq!(home.records("events").len(), 1);
}

#[test]
fn for_the_delay_connections_are_served_and_told_that_their_next_answer_is_the_last() {
    let sink = ScriptedSink::new();
    let home = Home::new().set("server.drain_delay", "4s");
    let mut gateway = home.start_with(&sink);
    let publish = post("/publish/allevents/", RECORD).cookie(&gateway.token("alice"));
    let publish = publish.bytes();
    let cookie = format!("access_token={}", gateway.token("alice"));
    let [mut idle, mut busy] = [gateway.connect(), gateway.connect()];
    assert!(idle.is_usable() && busy.is_usable());
    let mut frames = Frames::open(gateway.address, &[]);
    gateway.begin_stop();
    eventually(Duration::from_secs(3), "not ready", || {
        gateway.admin("/readyz").status == 503
    });
    assert!(gateway.admin("/readyz").text().contains("draining"));

    for connection in [&mut busy, &mut gateway.connect()] {
        let answer = connection.send(&publish).answer().expect(200);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(connection.ends(Duration::from_secs(2)));
    }
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/publish/allevents/"),
        ("cookie", &cookie),
    ];
    frames
        .send(&Frame::headers(1, &head, false))
        .expect("the gateway reads");
    assert_eq!(frames.find(GOAWAY).error_code(), 0);
    frames
        .send(&Frame::new(DATA, 1, 1, RECORD))
        .expect("the gateway reads");
    assert_eq!(frames.find(HEADERS).stream, 1);
    assert!(idle.is_quiet(), "who asks nothing is told nothing");

    assert!(idle.ends(Duration::from_secs(10)));
    gateway.stop();
    assert_eq!(sink.log("events").delivered.len(), 3);
}

#[test]
fn another_signal_ends_the_delay() {
    for [first, second] in [[Signal::TERM, Signal::TERM], [Signal::INT, Signal::INT]] {
        let mut gateway = Home::new().set("server.drain_delay", "10m").spawn();
        gateway.signal(first);
        eventually(Duration::from_secs(5), "not ready", || {
            gateway.admin("/readyz").status == 503
        });
        gateway.publish("/publish/allevents/", RECORD).expect(200);
        gateway.signal(second);
        assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
    }
}

/// A client learns by its first answer alone that the gateway leaves.
#[test]
fn a_handshake_that_has_begun_is_finished_and_the_first_request_answered() {
    let authority = Authority::new("authority");
    let home = Home::new().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    let sink = ScriptedSink::new();
    let mut gateway = home.start_with(&sink);
    let curl = Curl::new(&gateway.home, "ca.pem");
    let curl = curl.args(&["-X", "POST", "-u", "alice@acme.example:alice-password"]);
    let url = format!("https://{}/api/v1/user/token", gateway.address);
    let token = curl.arg(url).answer().expect(200).access_token();
    let publish = post("/publish/allevents/", RECORD).cookie(&token).bytes();
    // It holds up the end, so that the gateway is draining for sure.
    sink.set("events", Behaviour::Stall);
    let connect = || TcpStream::connect(gateway.address).expect("the gateway listens");
    let mut busy = Secure::over(connect(), &authority);
    busy.try_send(&publish).expect("the gateway reads");
    sink.wait_for("events", |log| log.waiting == 1);
    let mut late = Secure::begin(connect(), &authority);
    gateway.begin_stop();
    eventually(Duration::from_secs(4), "draining", || {
        gateway.admin("/readyz").status == 503
    });
    late.shake_hands();
    late.try_send(&publish).expect("the gateway reads");
    sink.set("events", Behaviour::Deliver);
    for connection in [&mut busy, &mut late] {
        let answer = connection.read_to_end();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    gateway.stop();
}

#[test]
fn told_to_stop_at_the_moment_of_its_start_it_still_ends_in_order() {
    for _ in 0..12 {
        let mut gateway = Home::new().spawn_impatiently();
        gateway.signal(Signal::TERM);
        assert_eq!(
            gateway.wait().code(),
            Some(0),
            "ended by the signal itself:\n{}",
            gateway.log()
        );
    }
}
