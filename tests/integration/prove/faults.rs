//! Faults in the middle of a run.

use std::fs;
use std::time::Duration;

use iem_test_support::{Gateway, Home, eventually};
use rustix::process::{Pid, Signal, kill_process};

use super::{as_alice, count, prove, url};

/// A gateway that a fault started, by the file with its process id.
struct Restarted<'h>(&'h Home);

impl Drop for Restarted<'_> {
    fn drop(&mut self) {
        let text = fs::read_to_string(self.0.path("pid")).unwrap_or_default();
        if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn kill(gateway: &mut Gateway, at: &str, signal: &str) -> String {
    format!("{at} kill -s {signal} {}", gateway.pid())
}

#[test]
fn a_gateway_that_is_killed_and_started_again_loses_nothing() {
    let home = Home::new();
    let mut gateway = home.spawn();
    let restarted = Restarted(&home);
    let program = iem_test_support::program();
    let start = format!("2s {program} serve --config gateway.toml >>log 2>&1 & echo $! >pid");
    let url = url(gateway.address);
    let killed = kill(&mut gateway, "1s", "KILL");
    let faults = ["--faults", &killed, "--faults", &start];
    let run = [&["--rate", "200", "--duration", "4s"], &faults[..]].concat();
    let report = prove(&home, &as_alice(&home, &url, &run), 0);
    assert_eq!(count(&report, "/records/lost"), 0);
    assert_eq!(count(&report, "/records/out_of_order"), 0);
    let acknowledged = count(&report, "/records/acknowledged");
    assert!(
        acknowledged > 300,
        "before the fault and after it: {report:#}"
    );
    assert!(
        count(&report, "/load/requests/connection_errors") > 50,
        "{report:#}"
    );
    for fault in 0..2 {
        let status = report.pointer(&format!("/load/faults/{fault}/state/exited"));
        assert_eq!(status, Some(&0.into()), "{report:#}");
    }
    drop(restarted);
}

/// The clock goes on while the gateway stands still: what was due is late, or was not sent.
#[test]
fn a_gateway_that_hangs_shows_in_the_times_and_in_what_was_not_sent() {
    let home = Home::new();
    let mut gateway = home.spawn();
    let url = url(gateway.address);
    let stopped = kill(&mut gateway, "500ms", "STOP");
    let continued = kill(&mut gateway, "2500ms", "CONT");
    let faults = ["--faults", &stopped, "--faults", &continued];
    let run = ["--rate", "100", "--duration", "3s", "--in-flight", "50"];
    let run = [&run, &faults[..]].concat();
    let report = prove(&home, &as_alice(&home, &url, &run), 0);
    let due = count(&report, "/load/requests/due");
    let sent = count(&report, "/load/requests/sent");
    let not_sent = count(&report, "/load/requests/not_sent_in_time");
    assert_eq!(due, 300);
    assert_eq!(due, sent + not_sent);
    assert!(
        not_sent > 50,
        "2 s are 200 requests, of which 50 fit: {report:#}"
    );
    let slowest = report.pointer("/load/latency/acknowledged/max_ms");
    let slowest = slowest.and_then(serde_json::Value::as_f64).expect("a time");
    assert!(slowest > 1500.0, "{report:#}");
}

#[test]
fn a_fault_that_fails_is_told() {
    let home = Home::new();
    let gateway = home.start();
    let url = url(gateway.address);
    let run = [
        "--rate",
        "20",
        "--duration",
        "1s",
        "--faults",
        "100ms exit 7",
    ];
    let arguments = as_alice(&home, &url, &run);
    let report = prove(&home, &arguments, 0);
    assert_eq!(
        report.pointer("/load/faults/0/state/exited"),
        Some(&7.into())
    );
    let output = home.run(&[&["prove"], &*arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("A fault's command failed"), "{text}");
}

#[test]
fn a_gateway_that_acknowledges_nothing_proves_nothing() {
    let home = Home::new();
    let mut gateway = home.spawn();
    let url = url(gateway.address);
    let killed = kill(&mut gateway, "0s", "KILL");
    let run = ["--rate", "1", "--duration", "1s", "--faults", &killed];
    let arguments = as_alice(&home, &url, &run);
    eventually(
        Duration::from_secs(20),
        "a run without an acknowledgement",
        || {
            // The first request may be faster than the fault.
            let output = home.run(&[&["prove", "--json"], &*arguments].concat());
            let text = String::from_utf8_lossy(&output.stdout);
            output.status.code() == Some(1) && !text.contains("\"proven\": true")
        },
    );
}
