//! `iem-gateway prove` against gateways: a run proves that nothing is lost where nothing is, names
//! what is missing, and never takes what it could not find out for a success.

mod arguments;
mod faults;
mod files;
mod kafka;
mod pubsub;

use std::net::SocketAddr;
use std::process::Output;

use iem_test_support::{Home, email};
use serde_json::Value;

/// Runs `prove --json` with these arguments; checks its exit code, and returns its report.
#[track_caller]
pub(crate) fn prove(home: &Home, arguments: &[&str], code: i32) -> Value {
    let arguments = [&["prove", "--json"], arguments].concat();
    let output = home.run(&arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        said(&output)
    );
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report ({error}): {}", said(&output)))
}

/// Runs `prove` where it does not come to a report; checks its exit code and its words.
#[track_caller]
fn refused(home: &Home, arguments: &[&str], code: i32, words: &[&str]) {
    let arguments = [&["prove"], arguments].concat();
    let output = home.run(&arguments);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    for word in words {
        assert!(
            said.contains(word),
            "{arguments:?} does not say {word}:\n{said}"
        );
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn said(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{error}")
}

/// The arguments of a run as alice, against a gateway at this address.
pub(crate) fn as_alice<'a>(home: &Home, url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    home.write_secret("password", b"alice-password\n");
    let arguments = ["--url", url, "--customer", "acme", "--user", email("alice")];
    [&arguments[..], &["--password-file", "password"], more].concat()
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Returns a count of the report.
#[track_caller]
pub(crate) fn count(report: &Value, pointer: &str) -> u64 {
    let value = report.pointer(pointer);
    value
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no {pointer} in {report:#}"))
}

/// Checks that all of so many records were acknowledged, and are there once and in order.
#[track_caller]
fn assert_clean(report: &Value, records: u64) {
    assert_eq!(report["proven"], true, "{report:#}");
    assert_eq!(
        count(report, "/records/acknowledged"),
        records,
        "{report:#}"
    );
    for fault in ["lost", "twice", "out_of_order", "unacknowledged"] {
        assert_eq!(count(report, &format!("/records/{fault}")), 0, "{report:#}");
    }
}
