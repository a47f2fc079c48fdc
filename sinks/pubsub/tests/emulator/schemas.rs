//! Topics with a schema: records that it refuses, and what they cost the others.

use iem_sink::{Reason, SinkErrorKind};
use serde_json::json;

use super::proxy::Proxy;
use super::*;

const REFUSED: Outcome = Outcome::Rejected(Reason::Schema);

/// Creates records that the schema takes, except those with the numbers in `bad`, which are of
/// customer 6666.
fn schema_records(count: usize, bad: &[usize], keys: usize) -> Vec<Record> {
    (0..count)
        .map(|n| {
            let key = n % keys;
            if bad.contains(&n) {
                Record {
                    customer: "6666".into(),
                    ..record(&format!("1001/{key}"), r#"{"other":true}"#)
                }
            } else {
                record(&format!("1001/{key}"), format!(r#"{{"n":{n}}}"#))
            }
        })
        .collect()
}

fn topic_with_schema(pubsub: &PubSub) -> String {
    let name = fresh_name("schema");
    create_topic_with_schema(pubsub, &name);
    name
}

fn create_topic_with_schema(pubsub: &PubSub, name: &str) {
    let fields = json!([{ "name": "n", "type": "int" }]);
    pubsub.create_topic_with_schema(
        name,
        &json!({ "type": "record", "name": "Numbered", "fields": fields }),
    );
}

/// Writes the records. Asserts that those with the numbers in `bad` are rejected, and that exactly
/// the others are there, which it returns.
fn write_good_and_bad(
    (pubsub, name): (&PubSub, &str),
    writer: &mut BlockingWriter,
    records: &[Record],
    bad: &[usize],
) -> Vec<Message> {
    let (outcomes, result) = write(writer, records, AMPLE);
    assert_eq!(result, Ok(()));
    let mut good = Vec::new();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        if bad.contains(&n) {
            assert_eq!(outcome, REFUSED, "record {n}");
        } else {
            assert_eq!(outcome, Outcome::Delivered, "record {n}");
            good.push(records[n].clone());
        }
    }
    let messages = pubsub.read_all(name);
    assert_once(&messages, &good);
    messages
}

#[test]
fn a_sender_whose_records_were_refused_costs_others_nothing_the_next_time() {
    let pubsub = PubSub::shared();
    let name = topic_with_schema(pubsub);
    let proxy = Proxy::start(&pubsub.host());
    let sink = PubSubSink::open(config(proxy.endpoint())).unwrap();
    let mut writer = writer(&sink, &name);
    let bad = [0, 517, 518];
    let records = schema_records(1000, &bad, 5);
    write_good_and_bad((pubsub, &name), &mut writer, &records, &bad);

    let before = proxy.requests();
    let records = schema_records(1000, &bad, 5);
    write_good_and_bad((pubsub, &name), &mut writer, &records, &bad);
    assert_eq!(
        proxy.requests() - before,
        1 + 1 + bad.len(),
        "one request of good records, one of bad ones, and one for each bad one"
    );
}

#[test]
fn with_ordering_a_bad_record_holds_up_neither_its_key_nor_others() {
    let pubsub = PubSub::shared();
    let name = topic_with_schema(pubsub);
    let proxy = Proxy::start(&pubsub.host());
    let ordered_topics = [name.clone()].into();
    let sink = PubSubSink::open(PubSubConfig {
        ordered_topics,
        ..config(proxy.endpoint())
    })
    .unwrap();
    let mut writer = writer(&sink, &name);
    let keys = 3;
    let bad = [31, 150];
    for expected in [None, Some(keys + 2 * bad.len())] {
        let records = schema_records(300, &bad, keys);
        let before = proxy.requests();
        let messages = write_good_and_bad((pubsub, &name), &mut writer, &records, &bad);
        if let Some(expected) = expected {
            assert_eq!(
                proxy.requests() - before,
                expected,
                "one for each key, one for each bad record, and one for those behind it"
            );
        }
        for key in 0..keys {
            let good = records.iter().enumerate();
            let good = good.filter(|(n, _)| n % keys == key && !bad.contains(n));
            let good: Vec<String> = good.map(|(_, record)| record.id.to_string()).collect();
            let key = format!("1001/{key}");
            let of_key = messages.iter();
            let of_key = of_key.filter(|message| message.ordering_key == key);
            let read: Vec<&str> = of_key
                .map(|message| &*message.attributes["ce-id"])
                .collect();
            assert_eq!(read, good);
        }
    }
}

#[test]
fn a_refusal_rejects_a_record_only_if_the_topic_is_known_to_have_a_schema() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "schema-later");
    let sink = open(pubsub);
    let mut writer = writer(&sink, &name);
    deliver(&mut writer, &numbered(1, 1));
    pubsub.delete_topic(&name);
    pubsub.delete_subscription(&name);
    create_topic_with_schema(pubsub, &name);

    let bad = schema_records(1, &[0], 1);
    let (outcomes, result) = write(&mut writer, &bad, AMPLE);
    assert_eq!(outcomes, [Outcome::Retryable]);
    let error = result.unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Permanent);
    assert!(error.message.contains("schema"), "{error}");

    sink.check(Instant::now() + AMPLE).unwrap();
    let (outcomes, result) = write(&mut writer, &bad, AMPLE);
    assert_eq!((outcomes, result), (vec![REFUSED], Ok(())));
}
