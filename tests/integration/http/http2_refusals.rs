//! Refusals over HTTP/2 while the body is on its way. The client may read nothing before it has
//! sent everything: it has to see the answer, and not a reset.

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::{Home, OkHttp, get, post};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const MIB: usize = 1 << 20;

#[test]
fn a_client_that_sends_everything_first_reads_the_refusal() {
    let gateway = Home::new().start();
    let client = gateway.http2();
    for length in [1, 64 * 1024, MIB, 16 * MIB] {
        let (taken, answer) = client.upload(EVENTS, length);
        assert_eq!(taken, length);
        let answer = answer.unwrap_or_else(|error| panic!("{length} bytes: {error}"));
        answer.expect(401);
        assert!(
            gateway.metric("iem_gateway_memory_bytes", &[]) < 0.5,
            "what is dropped is not held"
        );
    }
}

#[test]
fn a_client_that_sends_without_end_loses_its_stream_alone() {
    let gateway = Home::new().start();
    let client = gateway.http2();
    let (taken, answer) = client.upload(EVENTS, 1024 * MIB);
    assert!(taken < 70 * MIB, "{taken} bytes were taken");
    // It was sent before the reset.
    answer.expect("an answer").expect(401);
    let healthcheck = get("/publish/healthcheck/").bytes();
    client.send(healthcheck).expect(200);
}

#[test]
fn too_many_requests_are_refused_to_the_end_of_their_bodies() {
    let sink = ScriptedSink::new();
    let gateway = Home::new()
        .set("server.http2.max_streams", 1)
        .set("server.http2.max_requests", 1)
        .start_with(&sink);
    let request = post(EVENTS, RECORD).cookie(&gateway.token("alice")).bytes();
    sink.set("events", Behaviour::Stall);
    std::thread::scope(|scope| {
        let answered = scope.spawn(|| gateway.http2().send(&request));
        sink.wait_for("events", |log| log.waiting == 1);
        let (taken, answer) = gateway.http2().upload(EVENTS, 16 * MIB);
        assert_eq!(taken, 16 * MIB);
        let answer = answer.expect("an answer").expect(503);
        assert!(answer.header("retry-after").is_some());
        sink.set("events", Behaviour::Deliver);
        answered.join().expect("an answer").expect(200);
    });
}

#[test]
fn okhttp_reads_the_refusal_of_a_body_that_is_too_large() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let url = format!("http://{}{EVENTS}", gateway.address);
    let answers = OkHttp::new(&gateway.home).post(&url, &token, &[16 * MIB, 100, 9 * MIB]);
    let statuses: Vec<_> = answers
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        statuses,
        [
            "h2_prior_knowledge 413",
            "h2_prior_knowledge 400",
            "h2_prior_knowledge 413"
        ],
        "{answers}"
    );
}
