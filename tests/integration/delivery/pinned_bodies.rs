//! Bodies that are mostly white space around a record: while the record waits, it holds its own
//! bytes and not its body.

use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::{Home, eventually, post};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

const AMPLE: Duration = Duration::from_secs(10);

/// More bodies than the memory holds.
const BODIES: u32 = 20;

#[test]
fn waiting_records_hold_no_white_space_and_leave_memory_to_other_topics() {
    let home = Home::new()
        .with_little_memory()
        .set("topics.events.deadline", "13s");
    let sink = ScriptedSink::new();
    let gateway = home.start_with(&sink);
    let token = gateway.token("alice");
    sink.set("events", Behaviour::Stall);
    let sparse = format!("[{}{RECORD}]", " ".repeat(1_000_000));
    let request = post(EVENTS, sparse).cookie(&token).bytes();
    let mut waiting = Vec::new();
    for count in 1..=BODIES {
        let mut connection = gateway.connect();
        connection.send(&request);
        eventually(AMPLE, "the record waits", || {
            gateway.metric("iem_gateway_queue_records", &["events"]) >= f64::from(count)
        });
        waiting.push(connection);
    }

    let counted = gateway.metric("iem_gateway_memory_bytes", &[]);
    assert!(
        counted < 1024.0,
        "{BODIES} records of {} bytes hold {counted} bytes",
        RECORD.len()
    );
    let batch = format!("[{}]", vec![RECORD; 10_000].join(","));
    gateway
        .publish("/publish/metrics/", batch.clone())
        .expect(200);

    sink.set("events", Behaviour::Deliver);
    for connection in &mut waiting {
        connection.answer().expect(200);
    }
    // The scripted sink keeps the records that it delivered.
    let kept = batch.len() + RECORD.len() * waiting.len();
    let kept = f64::from(u32::try_from(kept).expect("little memory"));
    eventually(AMPLE, "no more memory is held than the sink's", || {
        (gateway.metric("iem_gateway_memory_bytes", &[]) - kept).abs() < 0.5
    });
}
