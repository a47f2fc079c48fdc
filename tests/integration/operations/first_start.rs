//! A first start with nothing set up, as a new user does it: a directory with one customer and one
//! user, whose password is printed once, and a `curl` line that works when it is pasted.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use iem_test_support::{Gateway, Home, eventually};

/// Starts on the embedded defaults, in the folder; only the ports are others, so that tests can run
/// side by side.
fn start(home: &Home) -> Gateway {
    home.spawn_on_defaults()
}

/// The lines of the log that are to be pasted, continued ones joined.
fn curl_lines(log: &str) -> Vec<String> {
    let joined = log.replace("\\\n", " ");
    joined
        .lines()
        .filter(|line| line.contains("curl "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_first_start_prints_a_password_once_and_a_curl_line_that_works() {
    let home = Home::empty();
    let mut gateway = start(&home);
    eventually(Duration::from_secs(10), "a curl line", || {
        !curl_lines(&gateway.log()).is_empty()
    });
    let first_log = gateway.log();
    let lines = curl_lines(&first_log);
    let mut script = lines.join("\n");
    let output = Command::new("sh")
        .arg("-c")
        .arg(&script)
        .output()
        .expect("sh and curl");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains(r#""status_code":200"#) || said.contains("Data published successfully"),
        "{script}\n{output:?}"
    );
    // Pasted twice it works twice.
    script.push('\n');
    let again = Command::new("sh")
        .arg("-c")
        .arg(&script)
        .output()
        .expect("sh and curl");
    said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(
        said.contains(r#""status_code":200"#) || said.contains("Data published successfully"),
        "{again:?}"
    );
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());

    let mut again = start(&home);
    again.signal(Signal::TERM);
    assert_eq!(again.wait().code(), Some(0));
    let log = again.log();
    let second_log = log.strip_prefix(&first_log).expect("the log goes on");
    assert!(
        curl_lines(second_log).is_empty() && !second_log.to_lowercase().contains("password"),
        "{second_log}"
    );
}

#[test]
fn a_first_start_that_fails_has_printed_the_password() {
    let home = Home::empty();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let output = Command::new(env!("CARGO_BIN_EXE_iem-gateway"))
        .current_dir(home.path(""))
        .env(
            "IEM_GATEWAY__SERVER__LISTEN",
            taken.local_addr().expect("it listens").to_string(),
        )
        .env("IEM_GATEWAY__ADMIN__LISTEN", "127.0.0.1:0")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("server.listen"),
        "{output:?}"
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("Its password, shown this once: "),
        "{output:?}"
    );
}

#[test]
fn what_a_first_start_makes_is_closed_to_strangers_and_secrets_to_the_group_too() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::empty();
    let gateway = start(&home);
    for (made, closed) in [
        ("iem-data/token.key", 0o077),
        ("iem-data/directory.toml", 0o077),
        ("iem-data", 0o027),
        ("iem-data/data", 0o027),
    ] {
        let metadata = std::fs::metadata(home.path(made)).expect(made);
        let mode = metadata.permissions().mode();
        assert_eq!(mode & closed, 0, "{made} has mode {mode:o}");
    }
    drop(gateway);
    let made: Vec<_> = std::fs::read_dir(home.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        made.iter().all(|name| name == "iem-data" || name == "log"),
        "everything under ./iem-data/: {made:?}"
    );
}
