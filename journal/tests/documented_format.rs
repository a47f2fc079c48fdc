//! The format of docs/journal.md, proven by a reader that was written from it: it finds in a journal
//! what was put in.

#[path = "documented_format/independent.rs"]
mod independent;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use iem_disk::{Disk, Operation};
use iem_journal::{Export, Journal, JournalConfig, OnDamage, Request, Selection, Settlement};
use iem_sink::{Context, Digests, testing};

const SEGMENT_BYTES: u64 = 16 * 4096;
const DIGESTS: Digests = Digests {
    key: [7; 32],
    body: [9; 32],
};

fn record(number: u64) -> iem_sink::Record {
    let optional = |flag: u64, text: &str| (number & flag != 0).then(|| text.into());
    let plain = testing::record("1001/key", format!("{{\"number\":{number}}}"));
    iem_sink::Record {
        context: Arc::new(Context {
            time: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_372_120_123_456_789 + number),
            user: format!("user-{number}@example.com").into(),
            integration: optional(1, "servicenow"),
            actionable_state: optional(2, "resolved"),
            traceparent: optional(4, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            digests: (number & 8 != 0).then(|| Box::new(DIGESTS)),
            ..Context::clone(&plain.context)
        }),
        ..plain
    }
}

/// Returns a request of records with one context, of several customers.
fn request(number: u64) -> Vec<iem_sink::Record> {
    let first = record(number);
    let other = |customer: u64| iem_sink::Record {
        customer: format!("customer-{customer}").into(),
        key: format!("customer-{customer}/Grüße").into(),
        id: record(number).id,
        data: vec![b'x'; 1_000].into(),
        ..first.clone()
    };
    vec![other(number % 2), other(1), first.clone(), other(1)]
}

fn expected(record: &iem_sink::Record) -> independent::Record {
    let context = &*record.context;
    let time = context.time.duration_since(SystemTime::UNIX_EPOCH);
    let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    independent::Record {
        id: record.id.as_bytes().to_vec(),
        time_ns: u64::try_from(time.expect("after 1970").as_nanos()).expect("a time"),
        source: context.source.to_string(),
        kind: context.kind.to_string(),
        user: context.user.to_string(),
        optional: [
            owned(&context.integration),
            owned(&context.actionable_state),
            owned(&context.traceparent),
        ],
        digests: context
            .digests
            .as_ref()
            .map(|digests| [digests.key, digests.body].concat()),
        customer: record.customer.to_string(),
        key: record.key.to_string(),
        data: record.data.to_vec(),
    }
}

#[test]
fn a_reader_written_from_the_document_finds_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Disk::default());
    let config = JournalConfig {
        folder: folder.path().to_owned(),
        create: true,
        segment_bytes: SEGMENT_BYTES,
        bytes: 8 * SEGMENT_BYTES,
        on_damage: OnDamage::Report,
    };
    let mut journal = Journal::open(Arc::clone(&disk), config).expect("a journal");
    let mut written = BTreeMap::new();
    let mut settled = BTreeSet::new();
    for number in 0..40 {
        journal.spare_maker.make().expect("room");
        let (one, two) = (request(number), request(number + 1_000));
        let requests = [&one, &two];
        let to_append = requests.map(|records| Request { records });
        if number == 13 {
            // The segment ends before a commit that was not synced.
            disk.faults.fail(Operation::Sync, 1);
            assert!(journal.appender.append(&to_append).is_err());
            journal.spare_maker.make().expect("room");
        }
        let sequences = journal.appender.append(&to_append).expect("room");
        let records = requests.into_iter().flatten().map(expected);
        written.extend(sequences.clone().zip(records));
        if number % 5 == 4 {
            let ended = [
                (sequences.start..sequences.start + 3, Settlement::Delivered),
                (sequences.end - 1..sequences.end, Settlement::DeadLettered),
            ];
            for (range, how) in ended {
                journal.progress.settle(range.clone(), how);
                settled.extend(range);
            }
            journal.appender.checkpoint(true).expect("a disk");
        }
    }
    // The first segment is settled, and becomes the last one.
    journal.progress.settle(0..80, Settlement::Delivered);
    settled.extend(0..80);
    journal.appender.checkpoint(true).expect("a disk");
    let status = journal.progress.status();

    let content = independent::read(folder.path());
    assert_eq!(content.segments, status.segments);
    assert!(content.segments > 2 && content.commits > 20);
    let first = *content.records.first_key_value().expect("a record").0;
    assert!(first > 0, "a segment was removed");
    let kept: BTreeMap<_, _> = written.split_off(&first);
    assert_eq!(content.records, kept);
    let mut known: BTreeSet<u64> = (0..content.cursor).collect();
    known.extend(content.ranges.iter().cloned().flatten());
    known.retain(|sequence| written.contains_key(sequence) || kept.contains_key(sequence));
    assert_eq!(known, settled);
    let counts = status.counts;
    assert_eq!(
        content.counts,
        [
            counts.accepted,
            counts.delivered,
            counts.dead_lettered,
            counts.damaged
        ]
    );
    let export = Export::open(folder.path(), Selection::Unsettled).expect("a journal");
    let exported: BTreeMap<u64, Vec<u8>> = export
        .map(|record| record.expect("a disk that reads"))
        .map(|(sequence, record)| (sequence, record.data.to_vec()))
        .collect();
    let open = kept
        .into_iter()
        .filter(|(sequence, _)| !settled.contains(sequence));
    let open: BTreeMap<u64, Vec<u8>> = open.map(|(one, record)| (one, record.data)).collect();
    assert_eq!(exported, open);
}
