//! Killed at a random moment, again and again: every record answered 200 is in the files, whole and
//! once.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use rustix::process::Signal;

use iem_test_support::{Home, Ledger, Load};

const ROUNDS: usize = 6;

/// Leaves at the end of the newest file what a loss of power leaves there, and a killed process
/// hardly ever does: the beginning of a line that was never acknowledged.
fn tear(topic: &Path) {
    let files = std::fs::read_dir(topic)
        .expect("the topic's folder")
        .map(|entry| entry.expect("an entry").path());
    let newest = files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ndjson")
        })
        .max();
    if let Some(newest) = newest {
        let mut file = File::options()
            .append(true)
            .open(newest)
            .expect("the newest file");
        file.write_all(br#"{"specversion":"1.0","id":"0196"#)
            .expect("half a line");
    }
}

#[test]
fn no_record_answered_200_is_lost_torn_or_doubled() {
    let home = Home::new()
        .set("sink.file.sync", true)
        .set("sink.file.rotate_size", "256 KiB")
        .set("sink.file.compress", "zstd");
    let mut random = rand::rng();
    let mut all = Ledger::default();
    let mut token = None;
    for round in 0..ROUNDS {
        let mut gateway = home.spawn();
        let _books = gateway.watch_books();
        let token = token.get_or_insert_with(|| gateway.token("alice"));
        let load = Load::start(gateway.address, token, &format!("round-{round}"), 16, 700);
        let moment = Duration::from_millis(random.random_range(100..1200));
        std::thread::sleep(moment);
        gateway.kill();
        tear(&home.path("data/events"));
        let ledger = load.stop();
        eprintln!(
            "round {round}: killed after {moment:?}, {} answered 200",
            ledger.published.len()
        );
        all.add(ledger);
    }
    assert!(
        all.published.len() > 100,
        "the load was a load: {:?}",
        all.answers
    );

    // A torn tail is cut before the next write: a last start, a last record, an orderly end.
    let mut gateway = home.spawn();
    gateway
        .publish(
            "/publish/allevents/",
            r#"{"envcustomerid":"acme","test_id":"last-0"}"#,
        )
        .expect(200);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
    all.check_against(&home.records("events"));
}
