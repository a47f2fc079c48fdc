use std::fs;
use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use iem_journal::{Journal, JournalConfig, OnDamage, Request, Settlement};
use iem_sink::testing::record;
use serde_json::Value;

use super::error::JournalError;
use super::*;

const SEGMENT_BYTES: u64 = 12 * 4096;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Look,
}

/// Makes a journal with records 0 to 9, of which the sink has the first four.
fn fill(folder: &Path) -> Journal {
    let config = JournalConfig {
        folder: folder.to_owned(),
        create: true,
        segment_bytes: SEGMENT_BYTES,
        bytes: 4 * SEGMENT_BYTES,
        on_damage: OnDamage::Report,
    };
    let mut journal = Journal::open(Arc::default(), config).expect("a journal");
    for number in 0..10 {
        journal.spare_maker.make().expect("room");
        let records = [record("1001/a", format!("{{\"number\":{number}}}"))];
        let request = Request::new(&records);
        journal.appender.append(&[request]).expect("room");
    }
    journal.progress.settle(0..4, Settlement::Delivered);
    journal.appender.checkpoint(true).expect("a disk");
    journal
}

/// Damages the commit of record 6.
fn damage(folder: &Path) {
    let path = folder.join("00000000000000000000.journal");
    let mut bytes = fs::read(&path).expect("a segment");
    let record = bytes.windows(12).position(|text| text == b"{\"number\":6}");
    bytes[record.expect("the record") + 10] = b'7';
    fs::write(&path, bytes).expect("a segment");
}

struct Told {
    result: Result<Verdict, JournalError>,
    out: String,
    err: String,
}

fn run(arguments: &[&str], folder: &Path, json: bool) -> Told {
    let folder = folder.to_str().expect("UTF-8");
    let arguments = [&["journal"], arguments, &["--folder", folder]].concat();
    let cli = Cli::try_parse_from(arguments).expect("a command");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let result = cli.command.run(json, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Told {
        result,
        out: text(out),
        err: text(err),
    }
}

fn json(told: &Told) -> Value {
    serde_json::from_str(&told.out).expect("JSON")
}

#[test]
fn inspection_tells_the_backlog_of_each_topic() {
    let folder = tempfile::tempdir().expect("a folder");
    let _events = fill(&folder.path().join("events"));
    drop(fill(&folder.path().join("tickets")));
    fs::create_dir(folder.path().join("dead-letters")).expect("a folder");
    let told = run(&["inspect"], folder.path(), false);
    assert_eq!(told.result.expect("two journals"), Verdict::Sound);
    let holder = format!("  open in process {}, since ", std::process::id());
    for words in [
        "events: ",
        &holder,
        "tickets: ",
        "no process has it open",
        "backlog       6 records, 28.0 KiB on the disk",
        "10 accepted, 4 delivered, 0 dead-lettered, 0 lost",
        "00000000000000000000  up to 10, 11 commits, 48.0 KiB used",
    ] {
        assert!(told.out.contains(words), "{words}:\n{}", told.out);
    }
    let told = run(&["inspect", "events"], folder.path(), true);
    let value = json(&told);
    assert_eq!(value.as_array().map(Vec::len), Some(1));
    assert_eq!(value[0]["topic"], "events");
    assert_eq!(value[0]["backlog"]["records"], 6);
    assert_eq!(value[0]["counts"]["delivered"], 4);
    assert_eq!(value[0]["segments"][0]["commits"], 11);
    assert!(
        value[0]["held_by"]
            .as_str()
            .is_some_and(|held| format!("  open in {held}").starts_with(&holder))
    );
    assert!(value[0]["backlog"]["oldest"].is_string());
}

#[test]
fn verification_names_what_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(fill(folder.path()));
    let told = run(&["verify"], folder.path(), false);
    assert_eq!(told.result.expect("a journal"), Verdict::Sound);
    assert!(
        told.out
            .contains(": sound; 1 segments, 11 commits, 10 records")
    );
    damage(folder.path());
    let told = run(&["verify"], folder.path(), false);
    assert_eq!(told.result.expect("a journal"), Verdict::Damaged);
    assert!(
        told.out
            .contains("1 records are lost, sequence numbers 6 to 6"),
        "{}",
        told.out
    );
    let told = run(&["verify"], folder.path(), true);
    assert_eq!(told.result.as_ref().ok(), Some(&Verdict::Damaged));
    let value = &json(&told)[0];
    assert_eq!(value["sound"], false);
    assert_eq!(value["damages"][0]["kind"], "commit");
    assert_eq!(value["damages"][0]["lost"], serde_json::json!([[6, 6]]));
}

#[cfg(feature = "file")]
#[test]
fn export_writes_the_file_sinks_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = fill(&folder.path().join("events"));
    let numbers = |told: &Told| -> Vec<u64> {
        let lines = told.out.lines();
        let values = lines.map(|line| serde_json::from_str(line).expect("a line of JSON"));
        values
            .map(|value: Value| value["data"]["number"].as_u64().expect("a number"))
            .collect()
    };
    let told = run(&["export"], folder.path(), false);
    assert_eq!(numbers(&told), [4, 5, 6, 7, 8, 9]);
    assert_eq!(told.result.expect("a journal"), Verdict::Sound);
    assert_eq!(told.err, "events: exported 6 records\n");
    let first: Value =
        serde_json::from_str(told.out.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["specversion"], "1.0");
    assert_eq!(first["subject"], "1001/a");
    let told = run(&["export", "--all"], folder.path(), false);
    assert_eq!(numbers(&told), (0..10).collect::<Vec<_>>());
    drop(journal);
    damage(&folder.path().join("events"));
    let told = run(&["export"], folder.path(), true);
    assert_eq!(numbers(&told), [4, 5, 7, 8, 9]);
    assert_eq!(told.result.expect("a journal"), Verdict::Damaged);
    let sum: Value = serde_json::from_str(&told.err).expect("JSON");
    assert_eq!(sum["records"], 5);
    assert_eq!(sum["damages"][0]["lost_records"], 1);
    drop(fill(&folder.path().join("tickets")));
    let several = run(&["export"], folder.path(), false).result;
    let message = several.expect_err("two topics").to_string();
    assert!(message.contains("events, tickets"), "{message}");
}

#[test]
fn a_folder_without_a_journal_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, words) in [
        (vec!["inspect"], "no journal is there"),
        (vec!["verify", "events"], "No such file"),
    ] {
        let error = run(&arguments, folder.path(), false).result;
        let message = error.expect_err("no journal").to_string();
        assert!(message.contains(words), "{message}");
    }
}
