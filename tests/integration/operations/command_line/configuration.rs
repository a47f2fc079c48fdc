//! A configuration at fault: exit code 78, and a message that names the place, the key and the
//! remedy.

use iem_test_support::{Authority, Home};

use super::{check, stderr, stdout};

#[test]
fn configuration_at_fault_is_78_and_names_place_key_and_remedy() {
    let misspelt = Home::new().set("server.lisen", "127.0.0.1:0");
    let wrong_type = Home::new().set("topics.events.deadline", 10);
    let out_of_limits = Home::new().set("topics.events.deadline", "1h");
    let public = Home::new().set("server.listen", "0.0.0.0:0");
    let kinds: [(&Home, &[&str]); 4] = [
        (&misspelt, &["gateway.toml:", "lisen", "listen"]),
        (
            &wrong_type,
            &["gateway.toml:", "topics.events.deadline", "unit"],
        ),
        (
            &out_of_limits,
            &["gateway.toml:", "topics.events.deadline", "14s"],
        ),
        (&public, &["gateway.toml:", "server.listen", "plaintext"]),
    ];
    for (home, words) in kinds {
        for command in ["check", "serve"] {
            check(home, command, 78, words);
        }
    }
    let broken = Home::new();
    broken.write("gateway.toml", "[server\n");
    check(&broken, "serve", 78, &["gateway.toml:1"]);
    std::fs::remove_file(broken.config()).expect("the configuration");
    check(&broken, "serve", 78, &["gateway.toml"]);
}

#[test]
fn without_a_directory_a_configured_gateway_does_not_start() {
    let home = Home::new();
    std::fs::remove_file(home.path("directory.toml")).expect("the directory file");
    check(&home, "serve", 78, &["directory.toml"]);
    check(&home, "check", 78, &["directory.toml"]);
}

#[test]
fn a_broken_directory_is_78_at_start_and_names_the_line() {
    let home = Home::new();
    home.write(
        "directory.toml",
        "[[customer]]\nid = \"acme\"\nname = \"Acme\"\nactve = true\n",
    );
    check(&home, "serve", 78, &["directory.toml", "actve"]);
    check(&home, "check", 78, &["directory.toml"]);
}

#[test]
fn a_data_folder_that_is_a_file_is_78_and_named() {
    let home = Home::new();
    home.write("data", "");
    check(&home, "serve", 78, &["data"]);
    check(&home, "check", 78, &["data"]);
}

#[test]
fn the_environment_overrides_the_file_and_is_named_when_wrong() {
    let home = Home::new();
    let run = |value: &str| {
        let mut command = home.program();
        command
            .args(["check", "--config"])
            .arg(home.config())
            .env("IEM_GATEWAY__TOPICS__EVENTS__DEADLINE", value);
        command.output().expect("the program runs")
    };
    assert_eq!(run("3s").status.code(), Some(0), "{:?}", run("3s"));
    let wrong = run("soon");
    assert_eq!(wrong.status.code(), Some(78), "{wrong:?}");
    let said = stdout(&wrong) + &stderr(&wrong);
    assert!(
        said.contains("IEM_GATEWAY__TOPICS__EVENTS__DEADLINE"),
        "{said}"
    );
}

#[test]
fn tls_files_at_fault_are_78_and_named() {
    let authority = Authority::new("authority");
    let home = Home::new().with_tls(&authority.gateway());
    check(&home, "check", 0, &["tls.pem", "valid until"]);
    home.write_secret("tls.key", authority.gateway().key.as_bytes());
    for command in ["check", "serve"] {
        check(
            &home,
            command,
            78,
            &["tls.key", "is not the key of the certificate"],
        );
    }
    std::fs::remove_file(home.path("tls.pem")).expect("the certificate");
    for command in ["check", "serve"] {
        check(&home, command, 78, &["tls.pem", "cannot be read"]);
    }
    let expired = Home::new().with_tls(&authority.expired());
    let output = check(&expired, "check", 0, &["tls.pem", "expired on"]);
    assert!(
        stdout(&output).contains("weak   certificate "),
        "{output:?}"
    );
}

#[test]
fn beyond_loopback_https_or_server_plaintext_is_needed() {
    let home = Home::new().set("server.listen", "0.0.0.0:0");
    check(
        &home,
        "serve",
        78,
        &["server.listen", "server.tls", "server.plaintext = true"],
    );
    check(&home.clone().set("server.plaintext", true), "check", 0, &[]);
    check(
        &home.with_tls(&Authority::new("authority").gateway()),
        "check",
        0,
        &[],
    );
}
