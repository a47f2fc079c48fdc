//! `journal replay`: files of records go to a sink again.

use std::fs;
use std::path::{Path, PathBuf};

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::{Arrived, encoded, read_kafka, read_lines, test_ids};

use super::outage::all_in_order;
use super::*;

const TO_KAFKA: [&str; 4] = ["journal", "replay", "--to", "kafka"];

/// Runs a replay to Kafka, and returns its answer.
#[track_caller]
fn to_kafka(home: &Home, arguments: &[&str], code: i32) -> Value {
    run_json(home, &[&TO_KAFKA, arguments].concat(), code)
}

/// Returns the files of a folder, without the hidden ones, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| {
        !path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .starts_with('.')
    });
    files.sort();
    files
}

/// Has a gateway write files of few records each, and returns their ids in order.
fn write_files(home: &Home) -> Vec<String> {
    let gateway = home.start();
    let mut ids = Vec::new();
    for number in 0..30 {
        for key in ["a", "b", "c"] {
            gateway.publish(EVENTS, record(key, number)).expect(200);
            ids.push(format!("{key}-{number:06}"));
        }
    }
    ids
}

#[test]
fn files_go_to_kafka_in_order_and_records_keep_their_attributes() {
    let kafka = Kafka::shared();
    kafka.create_topic("replayed", 3, 1, &[]);
    let home = Home::new()
        .set("sink.file.rotate_size", "4 KiB")
        .set("sink.file.compress", "zstd")
        .set("sink.kafka.bootstrap_servers", kafka.bootstrap())
        .set("topics.events.name", "replayed")
        .set("topics.events.workers", 3);
    let ids = write_files(&home);
    let folder = home.path("data/replayed");
    let found = files(&folder);
    let is_archive = |path: &&PathBuf| path.to_string_lossy().ends_with(".ndjson.zst");
    assert!(found.iter().filter(is_archive).count() > 2, "{found:?}");
    let mut written: Vec<_> = read_lines(&folder).into_iter().map(Arrived::from).collect();

    let answer = to_kafka(&home, &["data/replayed"], 0);
    assert_eq!(answer["topics"][0]["topic"], "events");
    assert_eq!(answer["topics"][0]["delivered"], 90);
    assert_eq!(answer["files"]["read"], found.len());
    assert_eq!(answer["files"]["removed"], 0);
    assert_eq!(files(&folder), found);
    all_in_order(kafka, "replayed", &ids);
    let mut arrived = read_kafka(kafka, "replayed");
    arrived.sort();
    written.sort();
    assert_eq!(arrived, written);
}

#[test]
fn dead_letters_are_sent_again_once_the_limit_is_raised() {
    let kafka = Kafka::shared();
    kafka.create_topic("raised", 1, 1, &[("max.message.bytes", "2000")]);
    let home = journaled(Home::new().events_at_kafka(NOWHERE, "raised"));
    let mut gateway = home.spawn();
    gateway.publish(EVENTS, large("large", 5_000)).expect(200);
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    gateway.kill();
    let home = home.set("sink.kafka.bootstrap_servers", kafka.bootstrap());
    let mut gateway = home.spawn();
    await_no_backlog(&gateway);
    let folder = home.path("journal/dead-letters/events");
    let [letter] = &files(&folder)[..] else {
        panic!("one file");
    };
    let dead = ["--dead-letters", "events"];

    // Beside the gateway, which has the file open: it is read up to its end.
    let answer = to_kafka(&home, &dead, 1);
    assert_eq!(answer["topics"][0]["refused"], 1);
    assert_eq!(
        answer["refused"]["first"][0]["file"],
        letter.to_str().expect("UTF-8")
    );
    assert_eq!(answer["refused"]["first"][0]["line"], 1);
    let reason = answer["refused"]["first"][0]["reason"].as_str();
    assert!(
        reason.is_some_and(|reason| reason.contains("2000 bytes")),
        "{answer}"
    );
    kafka.configure_topic("raised", "max.message.bytes", "100000");
    let answer = to_kafka(&home, &dead, 0);
    assert_eq!(
        answer["files"]["being_written"][0],
        letter.to_str().expect("UTF-8")
    );
    assert_eq!(
        test_ids(&read_kafka(kafka, "raised")),
        ["a-000000", "large"]
    );
    let removing = [&dead[..], &["--remove"]].concat();
    let answer = to_kafka(&home, &removing, 1);
    assert_eq!(
        answer["files"]["left_out"][0],
        letter.to_str().expect("UTF-8")
    );
    assert_eq!(read_kafka(kafka, "raised").len(), 2, "nothing was sent");

    // Without the gateway, to the files of another configuration, and then away.
    gateway.kill();
    let written = Arrived::from(read_lines(&folder).remove(0));
    let said = run(
        &home,
        &["journal", "replay", "--to", "file", "journal/dead-letters"],
        0,
    );
    assert!(
        said.contains("events: 1 records delivered to file, 0 refused"),
        "{said}"
    );
    let answer = to_kafka(&home, &removing, 0);
    assert_eq!(answer["files"]["removed"], 1);
    assert_eq!(files(&folder), Vec::<PathBuf>::new());
    to_kafka(&home, &removing, 0);
    let at_kafka = read_kafka(kafka, "raised").remove(2);
    let in_file = Arrived::from(home.records("raised").remove(0));
    let mut expected = written;
    assert!(expected.attributes.remove("rejectionreason").is_some());
    assert_eq!(at_kafka, expected);
    assert_eq!(in_file, expected);
}

#[test]
fn what_a_sink_refuses_for_good_stays_where_it_is() {
    let kafka = Kafka::shared();
    kafka.create_topic("refusing", 1, 1, &[("max.message.bytes", "2000")]);
    let home = Home::new()
        .set("sink.kafka.bootstrap_servers", kafka.bootstrap())
        .set("topics.events.name", "refusing");
    let gateway = home.start();
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    gateway.publish(EVENTS, large("large", 5_000)).expect(200);
    gateway.publish(EVENTS, record("a", 1)).expect(200);
    drop(gateway);
    let [file] = &files(&home.path("data/refusing"))[..] else {
        panic!("one file");
    };
    let text = fs::read_to_string(file).expect("a file");
    home.write("good.ndjson", text.lines().next().expect("a line"));
    let arguments = ["--remove", "data/refusing", "good.ndjson"];
    let said = run(&home, &[&TO_KAFKA[..], &arguments].concat(), 1);
    let place = "data/refusing/";
    let line = said
        .lines()
        .find(|line| line.starts_with(place))
        .expect("the place");
    assert!(
        line.contains(".ndjson:2: refused: larger than the 2000 bytes"),
        "{said}"
    );
    assert!(
        said.contains("events: 3 records delivered to kafka, 1 refused for good"),
        "{said}"
    );
    assert!(said.contains("2 files read, 1 removed"), "{said}");
    assert!(file.exists() && !home.path("good.ndjson").exists());
    let expected = ["a-000000", "a-000001", "a-000000"];
    assert_eq!(test_ids(&read_kafka(kafka, "refusing")), expected);
}

#[test]
fn a_line_that_is_no_record_is_named_and_all_others_are_sent() {
    let home = Home::new();
    let gateway = home.start();
    for number in 0..3 {
        gateway.publish(EVENTS, record("a", number)).expect(200);
    }
    drop(gateway);
    let path = files(&home.path("data/events")).remove(0);
    let text = fs::read_to_string(path).expect("a file");
    let lines: Vec<_> = text.lines().collect();
    let other = lines[0].replace("iem.event", "iem.other");
    home.write(
        "mixed.ndjson",
        format!(
            "{}\n\nno record\n{other}\n{}\n{}",
            lines[0],
            lines[1],
            &lines[2][..50]
        ),
    );
    home.write("packed", encoded("gzip", lines[2].as_bytes()));
    fs::remove_dir_all(home.path("data")).expect("a folder");

    let replay = ["journal", "replay", "--to", "file", "--remove"];
    let said = run(
        &home,
        &[&replay[..], &["mixed.ndjson", "packed"]].concat(),
        1,
    );
    for words in [
        "mixed.ndjson:3: no record: it does not begin as a JSON object does",
        "mixed.ndjson:4: its type iem.other is that of no topic",
        "mixed.ndjson:6: no record: EOF while parsing",
        "events: 3 records delivered to file",
        "2 files read, 1 removed",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(home.path("mixed.ndjson").exists() && !home.path("packed").exists());
    let records = home.records("events");
    let ids: Vec<_> = records
        .iter()
        .map(iem_test_support::Line::test_id)
        .collect();
    assert_eq!(ids, ["a-000000", "a-000001", "a-000002"]);
}

#[test]
fn a_sink_that_is_away_is_1_and_no_file_is_removed() {
    let home = Home::new();
    write_files(&home);
    let found = files(&home.path("data/events"));
    let home = home.set("sink.kafka.bootstrap_servers", NOWHERE);
    let arguments = ["data", "--remove", "--timeout", "1s", "--rate", "100000"];
    let answer = to_kafka(&home, &arguments, 1);
    assert_eq!(answer["ended"], "timed_out");
    assert_eq!(answer["topics"][0]["not_delivered"], 90);
    assert_eq!(answer["stopped_at"]["line"], 1);
    assert!(
        answer["stopped_at"]["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );
    assert_eq!(files(&home.path("data/events")), found);
}

#[test]
fn a_signal_ends_it_in_order_and_the_answer_says_where_to_go_on() {
    let home = Home::new();
    let ids = write_files(&home);
    fs::rename(home.path("data"), home.path("before")).expect("a folder");
    let replay = ["journal", "replay", "before", "--to", "file", "--rate", "1"];
    let child = spawn(&home, &replay);
    let folder = home.path("data/events");
    eventually(AMPLE, "a record is there", || {
        folder.exists() && !files(&folder).is_empty()
    });
    let answer = stop(child);
    assert_eq!(answer["ended"], "stopped");
    let delivered = home.records("events");
    assert!(delivered.len() < ids.len(), "it had not come to the end");
    assert_eq!(answer["topics"][0]["delivered"], delivered.len());
    assert_eq!(answer["stopped_at"]["line"], delivered.len() + 1);
    let first: Vec<_> = delivered
        .iter()
        .map(iem_test_support::Line::test_id)
        .collect();
    assert_eq!(first, ids[..first.len()]);
}

#[test]
fn a_topic_that_the_sink_does_not_have_ends_it_and_the_answer_says_what_was_sent() {
    let kafka = Kafka::shared();
    kafka.create_topic("one-of-two", 1, 1, &[]);
    let home = Home::new()
        .set("sink.kafka.bootstrap_servers", kafka.bootstrap())
        .set("topics.events.name", "one-of-two")
        .set("topics.metrics.name", "none-of-two");
    let gateway = home.start();
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    gateway.publish(METRICS, record("a", 1)).expect(200);
    drop(gateway);
    let answer = to_kafka(
        &home,
        &["data/one-of-two", "data/none-of-two", "--remove"],
        78,
    );
    assert_eq!(answer["ended"], "refused");
    let reason = answer["stopped_at"]["reason"].as_str();
    assert!(
        reason.is_some_and(|reason| reason.contains("none-of-two")),
        "{answer}"
    );
    let metrics = answer["topics"].as_array().and_then(|topics| topics.last());
    let metrics = metrics.expect("the topics that had records");
    assert_eq!(metrics["topic"], "metrics");
    assert_eq!(metrics["not_delivered"], 1);
    assert_eq!(
        files(&home.path("data/none-of-two")).len(),
        1,
        "it is not removed"
    );
}

#[test]
fn wrong_use_is_told() {
    let home = Home::new();
    home.write("empty.ndjson", "");
    let replay = |arguments: &[&str], code, words: &str| {
        let said = run(&home, &[&["journal", "replay"], arguments].concat(), code);
        assert!(said.contains(words), "{words}: {said}");
    };
    replay(
        &["--to", "nats", "empty.ndjson"],
        2,
        "none of file, kafka and pubsub",
    );
    replay(&["--to", "file"], 2, "PATH");
    replay(
        &["--to", "file", "--dead-letters", "event"],
        2,
        "none of events",
    );
    replay(
        &["--to", "file", "--rate", "0", "empty.ndjson"],
        2,
        "--rate",
    );
    replay(&["empty.ndjson"], 2, "--to");
    replay(
        &["--to", "file", "absent.ndjson"],
        1,
        "absent.ndjson: No such file",
    );
    fs::create_dir(home.path("bare")).expect("a folder");
    replay(
        &["--to", "file", "bare"],
        1,
        "bare: no file of records is there",
    );
    replay(
        &["--to", "kafka", "empty.ndjson"],
        78,
        "sink.kafka.bootstrap_servers: must name",
    );
    replay(
        &["--to", "file", "empty.ndjson"],
        0,
        "1 files read, 0 removed",
    );
    replay(
        &["--to", "file", "--dead-letters", "events"],
        0,
        "0 files read",
    );
    // A gateway has the folder of the file sink.
    let gateway = home.start();
    let pid = std::process::id().to_string();
    replay(&["--to", "file", "empty.ndjson"], 78, &pid);
    drop(gateway);
}
