//! Looks into journals: their exit codes, and that they need nothing but the folder.

use std::fs;
use std::sync::Arc;

use iem_journal::{Journal, JournalConfig, OnDamage, Request};
use iem_test_support::Home;

use super::{check, stderr, stdout};

/// Makes the journal of a topic with one record.
fn fill(home: &Home) -> Journal {
    let config = JournalConfig {
        folder: home.path("journal/events"),
        create: true,
        segment_bytes: 1 << 20,
        bytes: 4 << 20,
        on_damage: OnDamage::Report,
    };
    let mut journal = Journal::open(Arc::default(), config).expect("a journal");
    let records = [iem_sink::testing::record("1001/a", "{\"here\":true}")];
    let request = Request::new(&records);
    journal.appender.append(&[request]).expect("room");
    journal
}

#[test]
fn a_sound_journal_is_0_a_damaged_one_1_and_a_missing_one_1() {
    let home = Home::new();
    let journal = fill(&home);
    check(
        &home,
        "journal inspect --folder journal",
        0,
        &["events", "1 records"],
    );
    let verify = "journal verify events --folder journal";
    check(&home, verify, 0, &["sound"]);
    let export = "journal export --folder journal/events";
    let output = check(&home, export, 0, &[]);
    assert!(stdout(&output).ends_with("\"data\":{\"here\":true}}\n"));
    assert_eq!(stdout(&output).lines().count(), 1);
    assert_eq!(stderr(&output), "events: exported 1 records\n");

    drop(journal);
    let path = home.path("journal/events/00000000000000000000.journal");
    let mut bytes = fs::read(&path).expect("a segment");
    bytes[100] ^= 1;
    fs::write(&path, bytes).expect("a segment");
    check(&home, verify, 1, &["its header is damaged"]);
    // Without a folder it is that of the configuration.
    check(&home, "journal inspect", 0, &["events", "DAMAGE"]);
    check(
        &home,
        "journal verify --folder elsewhere",
        1,
        &["elsewhere"],
    );
}
