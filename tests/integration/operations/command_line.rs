//! The command line: exit codes, messages, and what each command changes.

mod configuration;
mod directory;
mod journal;
mod settings;

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use iem_test_support::{Curl, Home};
use serde_json::Value;

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command to its end, and checks its exit code and that its messages contain these words.
#[track_caller]
fn check(home: &Home, command: &str, code: i32, words: &[&str]) -> Output {
    check_with_input(home, command, "", code, words)
}

/// As [`check`], with this text at the standard input.
#[track_caller]
fn check_with_input(home: &Home, command: &str, input: &str, code: i32, words: &[&str]) -> Output {
    let arguments: Vec<_> = command.split(' ').collect();
    check_arguments(home, &arguments, input, code, words)
}

/// As [`check_with_input`], with arguments that may hold spaces.
#[track_caller]
fn check_arguments(
    home: &Home,
    arguments: &[&str],
    input: &str,
    code: i32,
    words: &[&str],
) -> Output {
    let output = home.run_with_input(arguments, input);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {output:?}"
    );
    let said = stdout(&output) + &stderr(&output);
    for word in words {
        assert!(
            said.contains(word),
            "{arguments:?} does not say {word}:\n{said}"
        );
    }
    assert!(!said.contains("panicked"), "{said}");
    output
}

#[test]
fn wrong_use_is_2_and_says_what_is_right() {
    let home = Home::new();
    check(&home, "--nonsense", 2, &["--nonsense", "Usage"]);
    check(&home, "nonsense", 2, &["nonsense", "Usage"]);
    check(&home, "user add", 2, &["EMAIL"]);
    check(
        &home,
        "user add x@y.example --name X --password p",
        2,
        &["--password"],
    );
    check(
        &home,
        "integration add acme i --state six=resolved",
        2,
        &["six"],
    );
}

#[test]
fn help_and_version_are_0() {
    let home = Home::new();
    check(
        &home,
        "--help",
        0,
        &["serve", "check", "customer", "user", "integration"],
    );
    check(&home, "--version", 0, &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn check_changes_nothing_and_takes_nothing_from_a_running_gateway() {
    let home = Home::new();
    check(&home, "check", 0, &[]);
    assert!(
        !home.path("token.key").exists() && !home.path("data").exists(),
        "check makes nothing"
    );
    let gateway = home.start();
    check(&home, "check", 0, &[]);
    gateway
        .publish("/publish/allevents/", r#"{"envcustomerid":"acme"}"#)
        .expect(200);
}

#[test]
fn a_port_in_use_is_1_and_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let home = Home::new().set("server.listen", &*address);
    check(&home, "serve", 1, &[&address]);
}

#[test]
fn check_says_what_holds_and_how_much_memory_it_takes() {
    let home = Home::new();
    check(&home, "check", 0, &["memory"]);
    let output = check(&home, "check --json", 0, &[]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        report["memory"]["bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 512 << 20),
        "{report}"
    );
}

#[test]
fn dev_certificate_makes_a_certificate_to_try_https_with() {
    let home = Home::new();
    let make = ["dev-certificate", "--out", "made here"];
    let output = check_arguments(
        &home,
        &make,
        "",
        0,
        &["[server.tls]", "certificate = \"/", "curl --cacert"],
    );
    let mode = |name: &str| {
        std::fs::metadata(home.path(name))
            .expect("a file")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("made here/key.pem"), 0o600);
    assert_eq!(mode("made here") & 0o027, 0);
    let key = std::fs::read_to_string(home.path("made here/key.pem")).expect("the key");
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----") && !stdout(&output).contains(&key));
    check_arguments(
        &home,
        &make,
        "",
        1,
        &["certificate.pem", "is not overwritten"],
    );
    assert_eq!(
        std::fs::read_to_string(home.path("made here/key.pem")).expect("the key"),
        key
    );
    std::fs::remove_file(home.path("made here/certificate.pem")).expect("the certificate");
    check_arguments(&home, &make, "", 1, &["key.pem", "is not overwritten"]);
    check_arguments(
        &home,
        &["dev-certificate", "--name", "a name"],
        "",
        2,
        &["neither a DNS name nor an IP address"],
    );

    std::fs::remove_file(home.path("made here/key.pem")).expect("the key");
    check_arguments(&home, &make, "", 0, &[]);
    let home = home
        .set("server.tls.certificate", "made here/certificate.pem")
        .set("server.tls.key", "made here/key.pem");
    let gateway = home.start();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!(
            "https://{host}:{}/publish/healthcheck/",
            gateway.address.port()
        );
        Curl::new(&home, "made here/certificate.pem")
            .arg(url)
            .answer()
            .expect(200);
    }
}

#[test]
fn a_second_gateway_on_the_same_folder_does_not_start_and_names_the_first() {
    let home = Home::new();
    let mut first = home.spawn();
    let pid = first.pid().to_string();
    let output = check(&home, "serve", 78, &["data", &pid]);
    assert!(
        stderr(&output).lines().count() < 20,
        "one clear message: {}",
        stderr(&output)
    );
    first
        .publish("/publish/allevents/", r#"{"envcustomerid":"acme"}"#)
        .expect(200);
}
