//! The command line: exit codes, messages, what a program may read.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Authority, Curl, Home};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command to its end, and checks its exit code and that its messages contain these words.
#[track_caller]
fn check(home: &Home, arguments: &[&str], input: &str, code: i32, words: &[&str]) -> Output {
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

#[track_caller]
fn list(home: &Home, of: &str) -> Vec<Value> {
    let output = check(home, &[of, "list", "--json"], "", 0, &[]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list.as_array().expect("a list").clone()
}

#[test]
fn wrong_use_is_2_and_says_what_is_right() {
    let home = Home::new();
    check(&home, &["--nonsense"], "", 2, &["--nonsense", "Usage"]);
    check(&home, &["nonsense"], "", 2, &["nonsense", "Usage"]);
    check(&home, &["user", "add"], "", 2, &["EMAIL"]);
    check(
        &home,
        &[
            "user",
            "add",
            "x@y.example",
            "--name",
            "X",
            "--password",
            "p",
        ],
        "",
        2,
        &["--password"],
    );
    check(
        &home,
        &["integration", "add", "acme", "i", "--state", "six=resolved"],
        "",
        2,
        &["six"],
    );
}

#[test]
fn help_and_version_are_0() {
    let home = Home::new();
    check(
        &home,
        &["--help"],
        "",
        0,
        &["serve", "check", "customer", "user", "integration"],
    );
    check(&home, &["--version"], "", 0, &[env!("CARGO_PKG_VERSION")]);
}

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
            check(home, &[command], "", 78, words);
        }
    }
    let broken = Home::new();
    broken.write("gateway.toml", "[server\n");
    check(&broken, &["serve"], "", 78, &["gateway.toml:1"]);
    std::fs::remove_file(broken.config()).expect("the configuration");
    check(&broken, &["serve"], "", 78, &["gateway.toml"]);
}

#[test]
fn without_a_directory_a_configured_gateway_does_not_start() {
    let home = Home::new();
    std::fs::remove_file(home.path("directory.toml")).expect("the directory file");
    check(&home, &["serve"], "", 78, &["directory.toml"]);
    check(&home, &["check"], "", 78, &["directory.toml"]);
}

#[test]
fn a_broken_directory_is_78_at_start_and_names_the_line() {
    let home = Home::new();
    home.write(
        "directory.toml",
        "[[customer]]\nid = \"acme\"\nname = \"Acme\"\nactve = true\n",
    );
    check(&home, &["serve"], "", 78, &["directory.toml", "actve"]);
    check(&home, &["check"], "", 78, &["directory.toml"]);
}

#[test]
fn a_data_folder_that_is_a_file_is_78_and_named() {
    let home = Home::new();
    home.write("data", "");
    check(&home, &["serve"], "", 78, &["data"]);
    check(&home, &["check"], "", 78, &["data"]);
}

#[test]
fn check_changes_nothing_and_takes_nothing_from_a_running_gateway() {
    let home = Home::new();
    check(&home, &["check"], "", 0, &[]);
    assert!(
        !home.path("token.key").exists() && !home.path("data").exists(),
        "check makes nothing"
    );
    let gateway = home.start();
    check(&home, &["check"], "", 0, &[]);
    gateway
        .publish("/publish/allevents/", r#"{"envcustomerid":"acme"}"#)
        .expect(200);
}

#[test]
fn a_port_in_use_is_1_and_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let home = Home::new().set("server.listen", &*address);
    check(&home, &["serve"], "", 1, &[&address]);
}

#[test]
fn check_says_what_holds_and_how_much_memory_it_takes() {
    let home = Home::new();
    check(&home, &["check"], "", 0, &["memory"]);
    let output = check(&home, &["check", "--json"], "", 0, &[]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        report["memory"]["bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 512 << 20),
        "{report}"
    );
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
fn files_of_tls_that_do_not_hold_are_78_and_named() {
    let authority = Authority::new("authority");
    let home = Home::new().with_tls(&authority.gateway());
    check(&home, &["check"], "", 0, &["tls.pem", "valid until"]);
    home.write_secret("tls.key", authority.gateway().key.as_bytes());
    for command in ["check", "serve"] {
        check(
            &home,
            &[command],
            "",
            78,
            &["tls.key", "is not the key of the certificate"],
        );
    }
    std::fs::remove_file(home.path("tls.pem")).expect("the certificate");
    for command in ["check", "serve"] {
        check(&home, &[command], "", 78, &["tls.pem", "cannot be read"]);
    }
    let expired = Home::new().with_tls(&authority.expired());
    let output = check(&expired, &["check"], "", 0, &["tls.pem", "expired on"]);
    assert!(
        stdout(&output).contains("weak   certificate "),
        "{output:?}"
    );
}

#[test]
fn beyond_loopback_https_or_a_word_for_plain_http_is_needed() {
    let home = Home::new().set("server.listen", "0.0.0.0:0");
    check(
        &home,
        &["serve"],
        "",
        78,
        &["server.listen", "server.tls", "server.plaintext = true"],
    );
    check(
        &home.clone().set("server.plaintext", true),
        &["check"],
        "",
        0,
        &[],
    );
    check(
        &home.with_tls(&Authority::new("authority").gateway()),
        &["check"],
        "",
        0,
        &[],
    );
}

#[test]
fn a_certificate_to_try_https_with() {
    let home = Home::new();
    let make = ["dev-certificate", "--out", "made here"];
    let output = check(
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
    let key = std::fs::read_to_string(home.path("made here/key.pem")).expect("the key");
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----") && !stdout(&output).contains(&key));
    check(
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
    check(&home, &make, "", 1, &["key.pem", "is not overwritten"]);
    check(
        &home,
        &["dev-certificate", "--name", "a name"],
        "",
        2,
        &["neither a DNS name nor an IP address"],
    );

    std::fs::remove_file(home.path("made here/key.pem")).expect("the key");
    check(&home, &make, "", 0, &[]);
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
fn customers() {
    let home = Home::new();
    check(
        &home,
        &["customer", "add", "new", "--name", "New Ltd"],
        "",
        0,
        &[],
    );
    check(
        &home,
        &["customer", "add", "new", "--name", "Again"],
        "",
        1,
        &["new"],
    );
    check(&home, &["customer", "deactivate", "new"], "", 0, &[]);
    let active = |id: &str| {
        let list = list(&home, "customer");
        list.iter()
            .find(|customer| customer["id"] == id)
            .map(|customer| customer["active"].clone())
    };
    assert_eq!(active("new"), Some(Value::from(false)));
    check(&home, &["customer", "activate", "new"], "", 0, &[]);
    assert_eq!(active("new"), Some(Value::from(true)));
    check(
        &home,
        &["customer", "list"],
        "",
        0,
        &["new", "New Ltd", "acme"],
    );
    check(&home, &["customer", "remove", "new"], "", 0, &[]);
    assert_eq!(active("new"), None);
    for command in ["activate", "deactivate", "remove"] {
        check(&home, &["customer", command, "nobody"], "", 1, &["nobody"]);
    }
}

#[test]
fn users() {
    let home = Home::new();
    let add = [
        "user",
        "add",
        "new@acme.example",
        "--name",
        "New",
        "--customer",
        "acme",
        "--customer",
        "1001",
        "--password-stdin",
    ];
    check(&home, &add, "a-new-password\n", 0, &[]);
    check(&home, &add, "a-new-password\n", 1, &["new@acme.example"]);
    let user = || {
        list(&home, "user")
            .into_iter()
            .find(|user| user["email"] == "new@acme.example")
    };
    let customers = || {
        let listed = user().expect("the user")["customers"].clone();
        serde_json::from_value::<std::collections::BTreeSet<String>>(listed)
            .expect("customers' ids")
    };
    assert_eq!(customers(), ["1001", "acme"].map(str::to_owned).into());

    let gateway = home.start();
    gateway
        .log_in("new@acme.example", "a-new-password")
        .expect(200);
    drop(gateway);

    check(
        &home,
        &["user", "revoke", "new@acme.example", "1001"],
        "",
        0,
        &[],
    );
    check(
        &home,
        &["user", "grant", "new@acme.example", "globex"],
        "",
        0,
        &[],
    );
    assert_eq!(customers(), ["acme", "globex"].map(str::to_owned).into());
    check(
        &home,
        &["user", "grant", "new@acme.example", "nobody"],
        "",
        1,
        &["nobody"],
    );
    check(&home, &["user", "disable", "new@acme.example"], "", 0, &[]);
    assert_eq!(user().expect("the user")["enabled"], false);
    check(&home, &["user", "enable", "new@acme.example"], "", 0, &[]);
    check(
        &home,
        &["user", "passwd", "new@acme.example", "--password-stdin"],
        "another-password\n",
        0,
        &[],
    );
    check(
        &home,
        &["user", "list"],
        "",
        0,
        &["new@acme.example", "alice@acme.example"],
    );
    check(&home, &["user", "remove", "new@acme.example"], "", 0, &[]);
    assert_eq!(user(), None);
    for command in ["disable", "enable", "remove"] {
        check(
            &home,
            &["user", command, "new@acme.example"],
            "",
            1,
            &["new@acme.example"],
        );
    }
    check(
        &home,
        &[
            "user",
            "add",
            "x@y.example",
            "--name",
            "X",
            "--customer",
            "nobody",
            "--password-stdin",
        ],
        "long-enough-1\n",
        1,
        &["nobody"],
    );
}

#[test]
fn no_password_and_no_hash_is_ever_shown() {
    let home = Home::new();
    let add = [
        "user",
        "add",
        "new@acme.example",
        "--name",
        "New",
        "--password-stdin",
    ];
    let said = stdout(&check(&home, &add, "a-secret-password\n", 0, &[]))
        + &stdout(&check(&home, &["user", "list"], "", 0, &[]))
        + &stdout(&check(&home, &["user", "list", "--json"], "", 0, &[]))
        + &stdout(&check(&home, &["check", "--json"], "", 0, &[]));
    assert!(
        !said.contains("a-secret-password") && !said.contains("$argon2"),
        "{said}"
    );
    let file = std::fs::read_to_string(home.path("directory.toml")).expect("the directory file");
    assert!(file.contains("$argon2id$") && !file.contains("a-secret-password"));
}

#[test]
fn an_empty_password_is_refused() {
    let home = Home::new();
    let before = std::fs::read(home.path("directory.toml")).expect("the directory file");
    let add = [
        "user",
        "add",
        "new@acme.example",
        "--name",
        "New",
        "--password-stdin",
    ];
    for input in ["", "\n"] {
        let output = home.run_with_input(&add, input);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    }
    assert_eq!(
        std::fs::read(home.path("directory.toml")).expect("the directory file"),
        before
    );
}

#[test]
fn integrations() {
    let home = Home::new();
    check(&home, &["integration", "add", "acme", "new"], "", 0, &[]);
    check(
        &home,
        &[
            "integration",
            "add",
            "acme",
            "other",
            "--state",
            "3=resolved",
            "--state",
            "4=closed",
        ],
        "",
        0,
        &[],
    );
    let states = |id: &str| {
        let list = list(&home, "integration");
        list.iter()
            .find(|integration| integration["id"] == id)
            .map(|integration| integration["states"].clone())
    };
    assert_eq!(
        states("new"),
        Some(serde_json::json!({"6": "resolved", "7": "closed"}))
    );
    assert_eq!(
        states("other"),
        Some(serde_json::json!({"3": "resolved", "4": "closed"}))
    );
    check(
        &home,
        &["integration", "add", "acme", "new"],
        "",
        1,
        &["new"],
    );
    check(
        &home,
        &["integration", "add", "nobody", "new"],
        "",
        1,
        &["nobody"],
    );
    check(&home, &["integration", "remove", "acme", "new"], "", 0, &[]);
    assert_eq!(states("new"), None);
    check(
        &home,
        &["integration", "remove", "acme", "new"],
        "",
        1,
        &["new"],
    );
}

#[test]
fn a_command_that_adds_makes_the_directory_and_keeps_comments_in_it() {
    let home = Home::new();
    std::fs::remove_file(home.path("directory.toml")).expect("the directory file");
    check(
        &home,
        &["customer", "add", "first", "--name", "First"],
        "",
        0,
        &[],
    );
    let text = std::fs::read_to_string(home.path("directory.toml")).expect("the directory file");
    home.write("directory.toml", format!("# Kept by hand.\n{text}"));
    check(
        &home,
        &["customer", "add", "second", "--name", "Second"],
        "",
        0,
        &[],
    );
    let text = std::fs::read_to_string(home.path("directory.toml")).expect("the directory file");
    assert!(
        text.starts_with("# Kept by hand.\n") && text.contains("second"),
        "{text}"
    );
}

#[test]
fn commands_at_once_lose_no_change() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let home = &home;
            scope.spawn(move || {
                check(
                    home,
                    &[
                        "customer",
                        "add",
                        &format!("customer-{number}"),
                        "--name",
                        "N",
                    ],
                    "",
                    0,
                    &[],
                );
            });
        }
    });
    let ids: Vec<_> = list(&home, "customer")
        .iter()
        .map(|customer| customer["id"].clone())
        .collect();
    for number in 0..8 {
        assert!(
            ids.contains(&Value::from(format!("customer-{number}"))),
            "{number} is lost: {ids:?}"
        );
    }
}

#[test]
fn a_second_gateway_on_the_same_folder_refuses_and_says_who_holds_it() {
    let home = Home::new();
    let mut first = home.spawn();
    let pid = first.pid().to_string();
    let output = check(&home, &["serve"], "", 78, &["data", &pid]);
    assert!(
        stderr(&output).lines().count() < 20,
        "one clear message: {}",
        stderr(&output)
    );
    first
        .publish("/publish/allevents/", r#"{"envcustomerid":"acme"}"#)
        .expect(200);
}
