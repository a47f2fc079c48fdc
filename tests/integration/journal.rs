//! Topics with a journal: 200 while the sink is away, everything forwarded in order once it is back,
//! over restarts and crashes.

mod dead_letters;
mod drain;
mod drain_rate;
mod durability;
mod full;
mod full_disk;
mod kills;
mod outage;
mod partition;
mod record_size;
mod replay;

use std::process::{Child, Output, Stdio};
use std::time::Duration;

use iem_test_support::{Answer, Calls, Gateway, Home, eventually, post};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const EVENTS: &str = "/publish/allevents/";
const METRICS: &str = "/publish/metrics/";
/// An address at which nobody answers.
const NOWHERE: &str = "127.0.0.1:1";
const RECORD: &str = r#"{"envcustomerid":"acme","splitby":"probe","test_id":"probe-0"}"#;
/// The time in which a backlog of a test is forwarded.
const AMPLE: Duration = Duration::from_mins(1);

/// Returns a home whose events have a journal.
fn journaled(home: Home) -> Home {
    home.set("topics.events.durability", "journaled")
}

/// Returns a record with this ordering value and number.
fn record(key: &str, number: usize) -> String {
    format!(r#"{{"envcustomerid":"acme","splitby":"{key}","test_id":"{key}-{number:06}"}}"#)
}

/// Returns a record that takes so many bytes, and a little more.
fn large(id: &str, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(r#"{{"envcustomerid":"acme","splitby":"a","test_id":"{id}","text":"{text}"}}"#)
}

fn backlog(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_journal_records", &["events"])
}

fn forwarded(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_journal_forwarded_total", &["events"])
}

#[track_caller]
fn await_no_backlog(gateway: &Gateway) {
    eventually(AMPLE, "no backlog", || backlog(gateway) < 0.5);
}

/// Fails the test unless all calls were answered 200.
#[track_caller]
fn all_accepted(calls: &Calls) {
    let refused = calls.with(|call| call.status != 200);
    assert!(refused.0.is_empty(), "{:?}", refused.0.first());
}

/// Publishes a record, and asks for this durability.
fn publish_as(gateway: &Gateway, record: impl Into<Vec<u8>>, asked: &str) -> Answer {
    let request = post(EVENTS, record)
        .cookie(&gateway.token("alice"))
        .header("IEM-Durability", asked);
    gateway.send(&request)
}

/// Runs a command to its end, checks its exit code, and returns all that it says.
#[track_caller]
fn run(home: &Home, arguments: &[&str], code: i32) -> String {
    let output = home.run(arguments);
    let text = [&*output.stdout, &*output.stderr].concat();
    let said = String::from_utf8(text).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// As [`run`], and returns the answer in JSON.
#[track_caller]
fn run_json(home: &Home, arguments: &[&str], code: i32) -> Value {
    let output: Output = home.run(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

/// Begins a command that answers in JSON.
fn spawn(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.program();
    command.args(arguments).arg("--json");
    command.arg("--config").arg(home.config());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("the program starts")
}

/// Ends a command by a signal. Returns its answer.
#[track_caller]
fn stop(child: Child) -> Value {
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
