//! A disk that fills under load: 503 while it is full, service by itself once there is room, and
//! every record answered 200 is there. The real program, on a small file system that only it sees.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use iem_test_support::{Connection, Home, Load, SmallDisk, TOPICS, eventually, post, read_lines};

const RECORD: &str = r#"{"envcustomerid":"acme","test_id":"probe-0"}"#;

#[test]
fn a_full_disk_is_503_and_service_returns_with_room_and_nothing_is_lost() {
    let home = Home::new()
        .set("topics.events.deadline", "1s")
        .set("sink.file.rotate_size", "1 MiB");
    let disk = SmallDisk::mount(&home, "data", 6);
    let (mut gateway, data) = (home.spawn_by(disk.serve(&home)), disk.path());
    let filler = data.join("filler");
    fs::write(&filler, vec![0; 4 << 20]).expect("most of the disk");

    let token = gateway.token("alice");
    let load = Load::start(gateway.address, &token, "full", 8, 2000);
    eventually(Duration::from_secs(20), "the disk is full", || {
        // What a failed batch has left is cut off, so that a small record may fit once more.
        let answer = gateway.publish("/publish/allevents/", RECORD);
        let is_full = answer.status == 503;
        if is_full {
            answer.says_when_to_retry();
        }
        is_full
    });
    eventually(Duration::from_secs(20), "not ready on a full disk", || {
        gateway.admin("/readyz?sinks").status == 503
    });
    // Long enough that every client of the load meets the full disk.
    std::thread::sleep(Duration::from_millis(1500));
    let mut ledger = load.stop();
    assert!(
        ledger.answers.contains_key(&503) && ledger.answers.contains_key(&200),
        "{:?}",
        ledger.answers
    );
    assert_eq!(ledger.unanswered, 0, "full is an answer");

    fs::remove_file(&filler).expect("room again");
    eventually(Duration::from_secs(20), "service by itself", || {
        gateway
            .publish(
                "/publish/allevents/",
                r#"{"envcustomerid":"acme","test_id":"back-0"}"#,
            )
            .status
            == 200
    });
    eventually(Duration::from_secs(20), "ready by itself", || {
        gateway.admin("/readyz?sinks").status == 200
    });
    let load = Load::start(gateway.address, &token, "after", 4, 500);
    std::thread::sleep(Duration::from_millis(300));
    ledger.add(load.stop());

    let lines = read_lines(&data.join("events"));
    // The probes carry one id; the load's are told apart.
    let lines: Vec<_> = lines
        .into_iter()
        .filter(|line| !line.test_id().ends_with("-0"))
        .collect();
    ledger.check_against(&lines);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
}

/// A home for a gateway whose topics and requests may take little memory.
pub(crate) fn with_small_budgets() -> Home {
    let mut home = Home::new()
        .set("server.max_body", "1 MiB")
        .set("server.threads", 2);
    for topic in TOPICS {
        home = home.set(&format!("topics.{topic}.queue_bytes"), "4 MiB");
        home = home.set(&format!("topics.{topic}.batch_bytes"), "1 MiB");
        home = home.set(&format!("topics.{topic}.batch_records"), 256);
        home = home.set(&format!("topics.{topic}.queue_records"), 1024);
    }
    home.set("server.memory", "32 MiB")
        .set("server.max_connections", 400)
        .set("tokens.cache_entries", 1000)
}

#[test]
fn memory_stays_under_the_ceiling_that_check_prints_while_the_disk_is_full() {
    let home = with_small_budgets();
    let disk = SmallDisk::mount(&home, "data", 1);
    let (mut gateway, data) = (home.spawn_by(disk.serve(&home)), disk.path());
    while fs::File::options()
        .append(true)
        .create(true)
        .open(data.join("filler"))
        .is_ok_and(|mut file| std::io::Write::write_all(&mut file, &[0; 4096]).is_ok())
    {}

    let token = gateway.token("alice");
    let record = format!(
        r#"{{"envcustomerid":"acme","a":"{}"}}"#,
        "x".repeat(1_000_000)
    );
    let request = post("/publish/allevents/", record).cookie(&token).bytes();
    let begin = Instant::now();
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let (address, request) = (gateway.address, request.clone());
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                connection.send(request).answer().status
            })
        })
        .collect();
    let mut most_waiting = 0.0_f64;
    while !clients.iter().all(std::thread::JoinHandle::is_finished) {
        most_waiting = most_waiting.max(gateway.metric("iem_gateway_queue_bytes", &["events"]));
        std::thread::sleep(Duration::from_millis(20));
    }
    let statuses: Vec<u16> = clients
        .into_iter()
        .map(|client| client.join().expect("a client"))
        .collect();
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "inside what clients wait: {:?}",
        begin.elapsed()
    );

    let limit = f64::from(4 << 20);
    assert!(
        (1.0..=limit).contains(&most_waiting),
        "{most_waiting} bytes waited in a queue of {limit}"
    );
    let report = gateway.home.run(&["check", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).expect("check's JSON");
    let ceiling = report["memory"]["bytes"].as_u64().expect("the ceiling");
    let peak = gateway.peak_memory();
    assert!(
        peak < ceiling,
        "held {peak} bytes, above the ceiling of {ceiling}"
    );
}
