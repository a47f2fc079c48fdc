//! The cases of the suite, each on a topic of its own.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{
    AMPLE, Rig, close, deliver, deliver_in_the_end, first_appearances, keep, open_writer, write,
};
use crate::testing::sample::{record, topic};
use crate::{Context, Outcome, Reason, Record, RecordLimit};

/// A case, with the name of its topic.
type Case = (&'static str, fn(&Rig));

pub(super) const ALL: [Case; 14] = [
    ("empty-batch", empty_batch),
    ("one-record", one_record),
    ("thousand-in-order", thousand_in_order),
    ("data-unchanged", data_unchanged),
    ("large-record", large_record),
    ("largest-record", largest_record),
    ("attributes-complete", attributes_complete),
    ("topics-apart", topics_apart),
    ("several-writers", several_writers),
    ("keys-in-order", keys_in_order),
    ("failed-write", failed_write),
    ("failed-first-write", failed_first_write),
    ("deadline-passed", deadline_passed),
    ("reopened", reopened),
];

fn empty_batch(rig: &Rig) {
    rig.with_writer(|writer| {
        let (outcomes, result) = write(writer, &[], AMPLE);
        assert_eq!((outcomes, result), (vec![], Ok(())));
        deliver(writer, &[]);
    });
    rig.expect(&[]);
}

fn one_record(rig: &Rig) {
    let records = [record("1001/router", r#"{"a":1}"#)];
    rig.with_writer(|writer| deliver(writer, &records));
    rig.expect(&records);
}

fn thousand_in_order(rig: &Rig) {
    let records = numbered("1001/router", 0..1000);
    rig.with_writer(|writer| {
        deliver(writer, &records[..700]);
        for one in &records[700..720] {
            deliver(writer, std::slice::from_ref(one));
        }
        deliver(writer, &records[720..]);
    });
    rig.expect(&records);
}

fn data_unchanged(rig: &Rig) {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let data = [
        "{}",
        "{ }",
        r#"{"name":"Grüße, 世界 🦀","key with \"quotes\"":"\u0000 \ud83e\udd80 \/ \\ \n"}"#,
        concat!(
            r#"{"huge":123456789012345678901234567890,"precise":0.10000000000000000000001,"#,
            r#""far":1e400,"zero":-0.0}"#,
        ),
        r#"{"twice":1,"twice":2,"data":"\"data\":{}","":null}"#,
        "{\n  \"pretty\": [\n    1,\n    \"a  b\"\n  ]\n}",
        "{\r\n\t\"windows\": {\r\n\t\t\"nested\": true }\r\n}",
        "{ \"spaces\" :\t[ 1 , 2 ] }",
        "{\"separators\":\"\u{2028}\u{2029}\u{7f}\u{feff}\"}",
        &deep,
    ];
    let records = data.map(|data| record("1001/router", data.to_owned()));
    rig.with_writer(|writer| deliver(writer, &records));
    rig.expect(&records);
}

fn large_record(rig: &Rig) {
    let records = [
        record(
            "1001/a",
            format!(r#"{{"text":"{}"}}"#, "x".repeat(512 << 10)),
        ),
        record("1001/a", r#"{"after":true}"#),
    ];
    rig.with_writer(|writer| deliver(writer, &records));
    rig.expect(&records);
}

/// Writes the largest record of all, and one that is a byte larger. A sink without a limit rejects
/// none for its size.
fn largest_record(rig: &Rig) {
    let config = topic(&rig.topic);
    let sink = rig.backend.open();
    let mut writer = open_writer(&*sink, &config);
    let RecordLimit::Bytes(limit) = writer.writer().limit() else {
        drop(writer);
        return close(sink);
    };
    let first = record("1001/a", "");
    let with_data = |bytes: usize| Record {
        id: record("1001/a", "").id,
        data: vec![b'x'; bytes].into(),
        ..first.clone()
    };
    let overhead = sink.record_bytes(&config, &with_data(limit)) - limit;
    let fits = with_data(limit - overhead);
    // Shorter data may need fewer bytes for their length, too.
    let more = limit - sink.record_bytes(&config, &fits);
    let largest = with_data(fits.data.len() + more);
    assert_eq!(sink.record_bytes(&config, &largest), limit);
    let beyond = with_data(largest.data.len() + 1);
    let (outcomes, result) = write(&mut writer, &[largest.clone(), beyond], AMPLE);
    let rejected = Outcome::Rejected(Reason::TooLarge { limit });
    assert_eq!(
        (outcomes, result),
        (vec![Outcome::Delivered, rejected], Ok(())),
        "the limit is what the topic takes"
    );
    drop(writer);
    close(sink);
    rig.expect(&[largest]);
}

fn attributes_complete(rig: &Rig) {
    let odd = "quote \" backslash \\ tab \t line \r\n bell \u{7} delete \u{7f} ß 世界 🦀 \
               {}[],: %41 \u{2028}";
    let mut plain = record("1001/router", r#"{"all":false}"#);
    plain.customer = "1002".into();
    let mut all = record(&format!("1001/{odd}"), r#"{"all":true}"#);
    all.customer = odd.into();
    all.context = Arc::new(Context {
        source: odd.into(),
        kind: "iem.ticket".into(),
        user: odd.into(),
        integration: Some(odd.into()),
        actionable_state: Some("resolved".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        rejection: None,
        digests: None,
        ..Context::clone(&all.context)
    });
    let records = [all, plain];
    rig.with_writer(|writer| deliver(writer, &records));
    rig.expect(&records);
}

fn topics_apart(rig: &Rig) {
    let other = rig.backend.create_topic("topics-apart-other");
    let records = numbered("1001/router", 0..40);
    let sink = rig.backend.open();
    let mut writers = [
        open_writer(&*sink, &topic(&rig.topic)),
        open_writer(&*sink, &topic(&other)),
    ];
    for pair in records.chunks(2) {
        for (writer, one) in writers.iter_mut().zip(pair) {
            deliver(writer, std::slice::from_ref(one));
        }
    }
    drop(writers);
    close(sink);
    let (first, second): (Vec<_>, Vec<_>) = records
        .chunks(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .unzip();
    rig.expect(&first);
    rig.expect_stored(&rig.backend.read(&other), &second);
}

fn several_writers(rig: &Rig) {
    let workers = 4;
    let sink = rig.backend.open();
    let mut config = topic(&rig.topic);
    config.workers = workers;
    let batches: Vec<Vec<Record>> = (0..workers)
        .map(|worker| numbered(&format!("1001/{worker}"), 0..200))
        .collect();
    std::thread::scope(|scope| {
        for records in &batches {
            let mut writer = open_writer(&*sink, &config);
            scope.spawn(move || {
                records
                    .chunks(17)
                    .for_each(|batch| deliver(&mut writer, batch));
            });
        }
    });
    close(sink);
    rig.expect(&batches.concat());
}

fn keys_in_order(rig: &Rig) {
    let records: Vec<Record> = (0..500)
        .map(|n| record(&format!("1001/{}", n % 7), format!(r#"{{"n":{n}}}"#)))
        .collect();
    rig.with_writer(|writer| records.chunks(33).for_each(|batch| deliver(writer, batch)));
    rig.expect(&records);
}

/// Breaks the backend between two batches.
fn failed_write(rig: &Rig) {
    break_and_heal(rig, 30);
}

/// Breaks the backend before the writer's first batch.
fn failed_first_write(rig: &Rig) {
    break_and_heal(rig, 0);
}

/// Writes `before` records, fails to write 30 more while the backend is broken, and writes them and
/// 30 later ones once it is healed. A network may lose an answer, so a record may be stored twice:
/// the suite compares only the first appearances, in order.
fn break_and_heal(rig: &Rig, before: usize) {
    let records = numbered("1001/router", 0..before + 60);
    let was_broken = rig.with_writer(|writer| {
        deliver(writer, &records[..before]);
        let Some(heal) = rig.backend.interrupt(&rig.topic) else {
            return false;
        };
        let during = &records[before..before + 30];
        let (outcomes, _) = write(writer, during, Duration::from_secs(2));
        heal();
        let left = keep(during, &outcomes, &Outcome::Retryable);
        assert!(
            !left.is_empty(),
            "a broken backend delivers nothing, or not all"
        );
        deliver_in_the_end(writer, &left);
        deliver(writer, &records[before + 30..]);
        true
    });
    if was_broken {
        rig.expect_stored(&first_appearances(rig.read()), &records);
    }
}

/// Writes after the deadline: retryable records can be written again, and delivered ones are there.
fn deadline_passed(rig: &Rig) {
    let records = numbered("1001/router", 0..30);
    rig.with_writer(|writer| {
        let (outcomes, _) = write(writer, &records, Duration::ZERO);
        let rejected = outcomes
            .iter()
            .any(|outcome| matches!(outcome, Outcome::Rejected(_)));
        assert!(!rejected, "a passed deadline is no reason to reject");
        deliver_in_the_end(writer, &keep(&records, &outcomes, &Outcome::Retryable));
    });
    rig.expect_stored(&first_appearances(rig.read()), &records);
}

fn reopened(rig: &Rig) {
    let records = numbered("1001/router", 0..90);
    for batch in records.chunks(30) {
        rig.with_writer(|writer| deliver(writer, batch));
    }
    rig.expect(&records);
}

/// Creates records of one key that carry their number.
fn numbered(key: &str, numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers
        .map(|n| record(key, format!(r#"{{"n":{n}}}"#)))
        .collect()
}
