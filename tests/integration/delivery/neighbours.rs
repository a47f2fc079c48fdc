//! Shares: what one stranger, user or customer holds costs that one alone. Others publish beside it,
//! as if it were not there.

use std::thread;
use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::{
    AMPLE, Connection, Gateway, Home, OpenLoop, Request, encoded, eventually, post,
};

const EVENTS: &str = "/publish/allevents/";
const REFRESH: &str = "/api/v1/user/token/refresh";
/// Records of alice's customer, who is good, and of bob's, whose flood it is.
const GOOD: &str = r#"{"envcustomerid":"acme"}"#;
const FLOOD: &str = r#"{"envcustomerid":"globex"}"#;

const SECOND: Duration = Duration::from_secs(1);

fn memory_used(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_memory_bytes", &[])
}

/// Publishes half a MiB of good records at once.
fn publish_good_batch(gateway: &Gateway, token: &str) {
    let record = format!(r#"{{"envcustomerid":"acme","a":"{}"}}"#, "x".repeat(500));
    let batch = format!("[{}]", vec![record; 1_000].join(","));
    gateway.send(&post(EVENTS, batch).cookie(token)).expect(200);
}

fn good_load(gateway: &Gateway, token: &str) -> OpenLoop {
    OpenLoop::start(gateway.address, token, "good", 100, &["a".into()])
}

fn expect_all_good(load: OpenLoop) {
    let calls = load.stop();
    assert!(calls.accepted() >= 0.999, "{}", calls.accepted());
}

/// Begins requests on connections of their own: all but the last byte of each.
fn begin(gateway: &Gateway, request: &Request, count: usize) -> Vec<Connection> {
    let bytes = request.bytes();
    let begin_one = |_| {
        let mut connection = gateway.connect();
        // The gateway may have refused it meanwhile.
        let _ = connection.try_send(&bytes[..bytes.len() - 1]);
        connection
    };
    (0..count).map(begin_one).collect()
}

#[test]
fn strangers_with_bodies_that_do_not_end_hold_nothing_of_the_memory() {
    let gateway = Home::new().with_little_memory().spawn();
    let alice = gateway.token("alice");
    let load = good_load(&gateway, &alice);
    let token = format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(15_000));
    let unfinished = begin(&gateway, &post(REFRESH, token), 1_000);
    for _ in 0..20 {
        publish_good_batch(&gateway, &alice);
    }
    eventually(AMPLE, "nothing is held", || {
        memory_used(&gateway) < 10_000.0
    });
    expect_all_good(load);
    drop(unfinished);
}

#[test]
fn a_refresh_is_small_and_plain() {
    let gateway = Home::new().start();
    let large = format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(16 << 10));
    gateway.send(&post(REFRESH, &*large)).expect(413);
    let head = post(REFRESH, "").head("Transfer-Encoding: chunked");
    let mut unannounced = gateway.connect();
    unannounced.send(format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len()));
    unannounced.answer().expect(413);
    for way in ["gzip", "deflate", "zstd"] {
        let body = encoded(way, br#"{"refresh_token":"x"}"#);
        let request = post(REFRESH, body).header("Content-Encoding", way);
        gateway.send(&request).expect(415);
    }
    let plain = post(REFRESH, r#"{"refresh_token":"x"}"#).header("Content-Encoding", "identity");
    gateway.send(&plain).expect(401);
}

/// More than four times the memory for bodies without credentials.
#[test]
fn what_a_peers_users_hold_does_not_refuse_its_refreshes() {
    let gateway = Home::new()
        .set("server.body_timeout", "60s")
        .set("server.body_rate", "0 B")
        .spawn();
    let bob = gateway.token("bob");
    let login = gateway.log_in("alice@acme.example", "alice-password");
    let refresh = login.expect(200).json()["data"]["refresh_token"].to_string();
    let body = format!("{FLOOD}{}", " ".repeat(8_000_000));
    let unfinished = begin(&gateway, &post(EVENTS, body).cookie(&bob), 10);
    eventually(AMPLE, "the bodies are held", || {
        memory_used(&gateway) >= 79_000_000.0
    });
    let body = format!(r#"{{"refresh_token":{refresh}}}"#);
    gateway.send(&post(REFRESH, body)).expect(200);
    drop(unfinished);
}

/// A frame of zstd announces a window of 8 MiB, and does not end.
#[test]
fn a_window_that_is_only_announced_is_not_counted() {
    let gateway = Home::new().spawn();
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let load = good_load(&gateway, &alice);
    // Magic number, a window of 8 MiB, and a block of 16 bytes as they are, which is not the last.
    let frame = [
        &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 0x80, 0x00, 0x00][..],
        &[b' '; 16],
    ]
    .concat();
    let request = post(EVENTS, [&frame[..], b"x"].concat())
        .cookie(&bob)
        .header("Content-Encoding", "zstd");
    let unfinished = begin(&gateway, &request, 120);
    let few = 120.0 * 64.0 * 1024.0;
    eventually(AMPLE, "all are being decoded", || {
        memory_used(&gateway) >= few
    });
    assert!(
        memory_used(&gateway) < 4.0 * few,
        "{}",
        memory_used(&gateway)
    );
    publish_good_batch(&gateway, &alice);
    expect_all_good(load);
    drop(unfinished);
}

#[test]
fn a_user_whose_bodies_do_not_end_is_refused_alone() {
    let home = Home::new()
        .with_little_memory()
        .set("server.body_timeout", "60s")
        .set("server.body_rate", "0 B");
    let gateway = home.spawn();
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let load = good_load(&gateway, &alice);
    let body = format!("{FLOOD}{}", " ".repeat(1_000_000));
    let mut flood = begin(&gateway, &post(EVENTS, body).cookie(&bob), 40);
    eventually(AMPLE, "the flood reaches its bound", || {
        gateway.reached("memory_share") > 0
    });
    thread::sleep(SECOND);
    // Beside its two thirds, others have all of the rest.
    for _ in 0..4 {
        publish_good_batch(&gateway, &alice);
    }
    assert_eq!(gateway.reached("memory"), 0);
    expect_all_good(load);

    // What it may hold is published once it ends.
    let statuses: Vec<u16> = flood
        .iter_mut()
        .map(|connection| {
            let _ = connection.try_send(" ");
            connection.answer().status
        })
        .collect();
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert!(
        count(200) >= 8 && count(200) + count(503) == 40,
        "{statuses:?}"
    );
}

#[test]
fn the_queue_of_a_stalled_topic_has_room_for_each_customer() {
    let home = Home::new()
        .set("topics.events.queue_records", 100)
        .set("topics.events.batch_records", 10)
        .set("topics.events.deadline", "13s");
    let sink = ScriptedSink::new();
    let gateway = home.start_with(&sink);
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    sink.set("events", Behaviour::Stall);
    let array = format!("[{}]", [FLOOD; 10].join(","));
    let flood = post(EVENTS, array).cookie(&bob).bytes();
    let mut waiting = Vec::new();
    for count in 1..=10 {
        let mut connection = gateway.connect();
        connection.send(&flood);
        eventually(AMPLE, "the records wait", || {
            gateway.metric("iem_gateway_queue_records", &["events"]) >= f64::from(10 * count)
        });
        waiting.push(connection);
    }
    let one_more = post(EVENTS, FLOOD).cookie(&bob);
    for _ in 0..20 {
        gateway.send(&one_more).expect(503).says_when_to_retry();
    }
    gateway.await_reached("queue_share", 20);

    let mut other = gateway.connect();
    other.send(post(EVENTS, GOOD).cookie(&alice).bytes());
    eventually(AMPLE, "the other customer's record waits", || {
        gateway.metric("iem_gateway_queue_records", &["events"]) >= 101.0
    });
    sink.set("events", Behaviour::Deliver);
    for connection in waiting.iter_mut().chain([&mut other]) {
        connection.answer().expect(200);
    }
    gateway.send(&one_more).expect(200);
    assert_eq!(gateway.reached("queue"), 0);
}
