//! Traces: what a collector is told of requests, and what one costs that refuses or hangs.
//! `scripts/clients` has the same with a real OpenTelemetry Collector.

mod collector;

use std::fs;
use std::net::{TcpListener, TcpStream};

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::frames::{DATA, END_STREAM, Frame, RST_STREAM};
use iem_test_support::{AMPLE, Authority, Frames, Gateway, Home, Request, eventually, post};
use serde_json::Value;

use collector::{Collector, Mood};

const EVENTS: &str = "/publish/allevents/";
const SERVER: &str = "POST /publish/allevents";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

fn home(collector: &Collector) -> Home {
    Home::new()
        .set("traces.endpoint", collector.url())
        .set("traces.max_per_second", 10_000)
}

fn trace_id(trace: u16) -> String {
    format!("{trace:032x}")
}

/// Returns a request in this trace.
fn traced(trace: u16, request: Request) -> Request {
    request.header("traceparent", &traceparent(trace))
}

fn traceparent(trace: u16) -> String {
    format!("00-{}-b7ad6b7169203331-01", trace_id(trace))
}

fn publish(gateway: &Gateway, trace: u16, body: &str) -> Request {
    traced(trace, post(EVENTS, body).cookie(&gateway.token("alice")))
}

#[test]
fn requests_are_told_once_their_credentials_are_known() {
    let collector = Collector::start(Mood::Takes);
    let gateway = home(&collector)
        .set("traces.authorization", "Bearer collectors-own")
        .start();
    gateway.send(&traced(1, post(EVENTS, RECORD))).expect(401);
    let wrong = post(EVENTS, RECORD).cookie("no-token");
    gateway.send(&traced(2, wrong)).expect(401);
    let other = r#"{"envcustomerid":"globex"}"#;
    let status = gateway.send(&publish(&gateway, 3, other)).status;
    let refused = collector.await_span(&trace_id(3), SERVER);
    let field = |name: &str| refused.fields.get(name).map(String::as_str);
    let status = status.to_string();
    assert_eq!(field("http.response.status_code"), Some(&*status));
    assert_eq!(
        refused.fault, "",
        "the client's fault is none of the gateway's"
    );
    let log_in = post("/api/v1/user/token", "").basic("alice@acme.example", "alice-password");
    let answer = gateway.send(&traced(4, log_in)).expect(200);
    let log_in = collector.await_span(&trace_id(4), "POST /api/v1/user/token");
    assert_eq!(
        log_in.fields.get("iem.request_id").map(String::as_str),
        answer.header("x-request-id")
    );
    let wrong = post("/api/v1/user/token", "").basic("alice@acme.example", "guess");
    gateway.send(&traced(5, wrong)).expect(401);
    gateway.send(&publish(&gateway, 6, RECORD)).expect(200);
    collector.await_span(&trace_id(6), SERVER);
    for stranger in [1, 2, 5] {
        assert!(
            collector.spans(&trace_id(stranger)).is_empty(),
            "{stranger}"
        );
    }
    let authorization = collector.authorization();
    assert_eq!(authorization.as_deref(), Some("Bearer collectors-own"));
}

#[test]
fn a_sampled_request_is_told_in_order_and_one_that_is_not_sampled_is_not() {
    let collector = Collector::start(Mood::Takes);
    let gateway = home(&collector).start();
    let unsampled = traceparent(1).replace("-01", "-00");
    let request = post(EVENTS, RECORD).cookie(&gateway.token("alice"));
    gateway
        .send(&request.header("traceparent", &unsampled))
        .expect(200);
    gateway.send(&publish(&gateway, 2, RECORD)).expect(200);
    collector.await_span(&trace_id(2), SERVER);
    assert!(collector.spans(&trace_id(1)).is_empty());
    let mut spans = collector.spans(&trace_id(2));
    spans.sort_by_key(|span| span.began);
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    // The request begins with its first stage.
    let (first, later) = names.split_at(2);
    assert!(first.contains(&SERVER) && first.contains(&"authenticate"));
    let expected = ["read body", "parse", "deliver", "queue", "batch", "send"];
    assert_eq!(later, expected);
    let whole = spans.iter().find(|span| span.name == SERVER);
    let whole = whole.expect("it was awaited");
    assert!(spans.iter().all(|span| span.ended <= whole.ended));
}

#[test]
fn what_a_customer_is_called_is_in_no_name_of_a_span() {
    let collector = Collector::start(Mood::Takes);
    let gateway = home(&collector).start();
    let ticket = post(
        "/gbp/push/acme?integrationid=servicenow",
        r#"{"state":6,"sysid":"a"}"#,
    );
    let ticket = ticket.cookie(&gateway.token("alice"));
    gateway.send(&traced(1, ticket));
    let span = collector.await_span(&trace_id(1), "POST /gbp/push/{customerid}");
    assert_eq!(
        span.fields.get("http.route").map(String::as_str),
        Some("/gbp/push/{customerid}")
    );
}

#[test]
fn a_request_that_its_client_ends_is_told_as_ended() {
    let collector = Collector::start(Mood::Takes);
    let sink = ScriptedSink::new();
    let gateway = home(&collector).start_with(&sink);
    sink.set("events", Behaviour::Stall);
    let cookie = format!("access_token={}", gateway.token("alice"));
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", EVENTS),
        ("cookie", &cookie),
        ("traceparent", &traceparent(1)),
    ];
    let mut client = Frames::open(gateway.address, &[]);
    let mut send = |frame: Frame| client.send(&frame).expect("the gateway reads");
    send(Frame::headers(1, &head, false));
    send(Frame::new(DATA, END_STREAM, 1, RECORD));
    sink.wait_for("events", |log| log.waiting > 0);
    send(Frame::new(RST_STREAM, 0, 1, 8_u32.to_be_bytes()));
    let span = collector.await_span(&trace_id(1), SERVER);
    assert_eq!(span.fault, "ended without an answer");
    sink.set("events", Behaviour::Deliver);
    sink.release("events");
    let span = collector.await_span(&trace_id(1), "send");
    assert_eq!(span.fault, "", "the sink has it");
}

#[test]
fn a_collector_that_refuses_or_hangs_costs_spans_and_no_request() {
    let collector = Collector::start(Mood::Refuses);
    let mut gateway = home(&collector).set("server.drain", "3s").start();
    let mut connection = gateway.connect();
    let cookie = gateway.token("alice");
    let mut publish = |trace| {
        let request = traced(trace, post(EVENTS, RECORD).cookie(&cookie));
        connection.send(request.bytes()).answer().expect(200);
    };
    let spans = |outcome: &str| gateway.metric("iem_gateway_spans_total", &[outcome]);
    publish(1);
    eventually(AMPLE, "spans were refused", || spans("failed") > 0.0);
    collector.set(Mood::Hangs);
    eventually(AMPLE, "too many wait", || {
        (0..100).for_each(|_| publish(2));
        spans("dropped") > 0.0
    });
    assert!(spans("exported") < 1.0);
    collector.set(Mood::Takes);
    eventually(2 * AMPLE, "spans are taken", || {
        publish(3);
        !collector.spans(&trace_id(3)).is_empty()
    });
    assert_eq!(gateway.reached("traces"), 0);
    collector.set(Mood::Hangs);
    publish(4);
    gateway.stop();
}

#[test]
fn what_a_collector_rejects_has_failed_and_what_it_cannot_take_now_is_sent_again() {
    let collector = Collector::start(Mood::Rejects);
    let gateway = home(&collector).start();
    let spans = |outcome: &str| gateway.metric("iem_gateway_spans_total", &[outcome]);
    gateway.send(&publish(&gateway, 1, RECORD)).expect(200);
    eventually(AMPLE, "spans were rejected", || spans("failed") > 7.0);
    let failed = spans("failed");
    collector.set(Mood::IsBusyOnce);
    gateway.send(&publish(&gateway, 2, RECORD)).expect(200);
    collector.await_span(&trace_id(2), SERVER);
    assert!(spans("failed") < failed + 1.0);
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    let authority = Authority::new("collector");
    let collector = Collector::secure(&authority.gateway());
    let peer = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", peer.local_addr().expect("its address"));
    let address = collector.address();
    std::thread::spawn(move || {
        // One that never answers a handshake, and others that reach the collector.
        let _silent = peer.accept();
        while let Ok((client, _)) = peer.accept() {
            let server = TcpStream::connect(address).expect("the collector runs");
            for (mut from, mut to) in [
                (client.try_clone(), server.try_clone()),
                (server.try_clone(), client.try_clone()),
            ]
            .map(|(from, to)| (from.expect("a socket"), to.expect("a socket")))
            {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    let home = Home::new();
    home.write("ca.pem", authority.pem());
    let gateway = home
        .set("traces.endpoint", url)
        .set("traces.ca_file", "ca.pem")
        .start();
    gateway.send(&publish(&gateway, 1, RECORD)).expect(200);
    collector.await_span(&trace_id(1), SERVER);
}

#[test]
fn records_of_one_request_leave_a_journal_in_one_trace() {
    let collector = Collector::start(Mood::Takes);
    let gateway = home(&collector)
        .set("topics.events.durability", "journaled")
        .start();
    let array = format!("[{RECORD},{RECORD},{RECORD}]");
    gateway.send(&publish(&gateway, 1, &array)).expect(200);
    let event = |id| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/a","type":"iem.event","data":{RECORD}}}"#
        )
    };
    let batch = format!("[{},{},{}]", event(1), event(2), event(3));
    let batch = post("/cloudevents", batch)
        .header("content-type", "application/cloudevents-batch+json")
        .cookie(&gateway.token("alice"));
    gateway.send(&traced(2, batch)).expect(200);
    gateway.send(&publish(&gateway, 3, RECORD)).expect(200);
    for trace in [1, 2, 3] {
        collector.await_span(&trace_id(trace), "forward");
    }
    // They were told in the order in which the records were sent.
    for trace in [1, 2] {
        let spans = collector.spans(&trace_id(trace));
        let forwards = spans.iter().filter(|span| span.name == "forward");
        assert_eq!(forwards.count(), 1, "{spans:?}");
    }
}

#[test]
fn traces_beyond_the_rate_do_not_begin() {
    let collector = Collector::start(Mood::Takes);
    let gateway = home(&collector).set("traces.max_per_second", 1).start();
    let mut connection = gateway.connect();
    let request = publish(&gateway, 1, RECORD).bytes();
    eventually(AMPLE, "too many traces", || {
        connection.send(&request).answer().expect(200);
        gateway.reached("traces") > 0
    });
    collector.await_span(&trace_id(1), SERVER);
}

#[test]
fn logs_carry_the_id_of_the_trace_whether_it_is_sampled_or_not() {
    let home = Home::new().set("logging.level", "debug");
    let path = home.path("audit.log");
    let gateway = home
        .set("audit.path", path.to_str().expect("UTF-8"))
        .spawn();
    let unsampled = format!("00-{}-b7ad6b7169203331-00", trace_id(7));
    let wrong = post("/api/v1/user/token", "").basic("alice@acme.example", "guess");
    gateway
        .send(&wrong.header("traceparent", &unsampled))
        .expect(401);
    let wrong = post("/api/v1/user/token", "").basic("alice@acme.example", "guess");
    gateway.send(&wrong).expect(401);
    let entries = || -> Vec<Value> {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect()
    };
    eventually(AMPLE, "two entries", || entries().len() >= 2);
    let ids: Vec<_> = entries()
        .iter()
        .map(|entry| entry["trace_id"].clone())
        .collect();
    assert_eq!(ids, [Value::from(trace_id(7)), Value::Null]);
    eventually(AMPLE, "a line of the log", || {
        let id = format!(r#"trace_id="{}""#, trace_id(7));
        gateway.log().contains(&id)
    });
}
