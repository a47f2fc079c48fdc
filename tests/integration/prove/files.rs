//! Runs against the file sink.

use std::fs;
use std::path::PathBuf;

use iem_test_support::{Authority, Home};
use serde_json::Value;

use super::{as_alice, assert_clean, count, prove, refused, said, url};

/// The files of the topic, in order.
fn files(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.path("data/events")).expect("the topic's folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains(".ndjson"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_whole_run_loses_nothing_and_is_0() {
    let home = Home::new();
    let gateway = home.start();
    let url = url(gateway.address);
    let run = ["--rate", "200", "--duration", "2s"];
    let report = prove(&home, &as_alice(&home, &url, &run), 0);
    assert_clean(&report, 400);
    assert_eq!(count(&report, "/load/requests/due"), 400);
    assert_eq!(count(&report, "/load/requests/sent"), 400);
    assert_eq!(count(&report, "/load/requests/answers/200/requests"), 400);
    assert_eq!(count(&report, "/load/latency/acknowledged/count"), 400);
    let file = report["file"].as_str().expect("a file");
    assert!(home.path(file).exists(), "{file}");
}

#[test]
fn the_text_of_a_report_has_every_count() {
    let home = Home::new();
    let gateway = home.start();
    let url = url(gateway.address);
    let run = ["--rate", "50", "--duration", "1s", "--records", "3"];
    let arguments = [&["prove"], &*as_alice(&home, &url, &run)].concat();
    let output = home.run(&arguments);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "due            50 requests, 150 records within ",
        "sent           50 requests, 150 records",
        "not in time    0 requests",
        "200            50 requests, 150 records: Data published successfully",
        "not answered   0 connection errors, 0 time-outs",
        "time to 200    50 requests: p50 ",
        "acknowledged   150 records",
        "lost           0 records",
        "twice          0 records",
        "out of order   0 records",
        "No acknowledged record is missing.",
    ] {
        assert!(said.contains(line), "no {line}:\n{said}");
    }
    assert!(!said.contains("alice-password"), "{said}");
}

#[test]
fn archives_are_read_and_a_file_that_is_deleted_is_missed() {
    let home = Home::new()
        .set("sink.file.rotate_size", "64 KiB")
        .set("sink.file.compress", "zstd");
    let gateway = home.start();
    let url = url(gateway.address);
    let run = [
        "--rate",
        "100",
        "--duration",
        "2s",
        "--records",
        "20",
        "--acknowledged",
        "safe",
    ];
    let report = prove(&home, &as_alice(&home, &url, &run), 0);
    assert_clean(&report, 4000);

    let again = ["--only-read", "--acknowledged", "safe", "--wait", "1s"];
    let report = prove(&home, &again, 0);
    assert_clean(&report, 4000);
    assert_eq!(report["load"], Value::Null);

    let first = files(&home).remove(0);
    fs::remove_file(first).expect("it is deleted");
    let report = prove(&home, &again, 1);
    assert_eq!(report["conclusion"], "Acknowledged records are missing.");
    let lost = count(&report, "/records/lost");
    assert!(lost > 0 && lost < 4000, "{report:#}");
    assert_eq!(
        report.pointer("/records/first_lost/0"),
        Some(&Value::from("0/0"))
    );
}

#[test]
fn a_file_that_is_deleted_during_the_run_is_missed() {
    let home = Home::new();
    let gateway = home.start();
    let url = url(gateway.address);
    let fault = "1s rm data/events/*.ndjson";
    let run = [
        "--rate",
        "100",
        "--duration",
        "2s",
        "--wait",
        "1s",
        "--faults",
        fault,
    ];
    let report = prove(&home, &as_alice(&home, &url, &run), 1);
    let lost = count(&report, "/records/lost");
    assert!(
        (20..=180).contains(&lost),
        "those of the first second: {report:#}"
    );
    assert_eq!(
        report.pointer("/records/first_lost/0"),
        Some(&Value::from("0/0"))
    );
    assert_eq!(
        report.pointer("/load/faults/0/state/exited"),
        Some(&Value::from(0))
    );
}

#[test]
fn a_gateway_over_https_is_verified() {
    let authority = Authority::new("authority");
    let home = Home::new().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    home.write("other.pem", Authority::new("other").pem());
    let gateway = home.start();
    let url = format!("https://{}", gateway.address);
    let run = ["--rate", "50", "--duration", "1s", "--ca"];
    let with = |ca| as_alice(&home, &url, &[&run[..], &[ca]].concat());
    assert_clean(&prove(&home, &with("ca.pem"), 0), 50);
    refused(
        &home,
        &with("other.pem"),
        1,
        &["cannot log in", "certificate"],
    );
    refused(
        &home,
        &with("none.pem"),
        1,
        &["--ca: none.pem: cannot be read"],
    );
}

#[test]
fn every_kind_has_its_path_and_topic() {
    let home = Home::new();
    let gateway = home.start();
    let url = url(gateway.address);
    for kind in ["metric", "entity", "service", "healthcheck"] {
        let run = ["--rate", "20", "--duration", "500ms", "--kind", kind];
        assert_clean(&prove(&home, &as_alice(&home, &url, &run), 0), 10);
    }
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let home = Home::new().set("tokens.access_lifetime", "3s");
    let gateway = home.start();
    let url = url(gateway.address);
    let run = ["--rate", "20", "--duration", "6s"];
    assert_clean(&prove(&home, &as_alice(&home, &url, &run), 0), 120);
}

#[test]
fn a_token_comes_from_a_file() {
    let home = Home::new();
    let gateway = home.start();
    home.write_secret("token", gateway.token("alice").as_bytes());
    let url = url(gateway.address);
    let run = ["--url", &url, "--customer", "acme", "--token-file", "token"];
    let run = [&run[..], &["--rate", "20", "--duration", "500ms"]].concat();
    assert_clean(&prove(&home, &run, 0), 10);
}
