//! The limits of topics and their queues.

use super::*;

#[test]
fn topic_names() {
    let name = "topics.events.name: must be 1 to 249 letters, digits, `.`, `_` and `-`, \
                and neither `.` nor `..`";
    for bad in ["", ".", "..", "a/b", "a b", "é", &"a".repeat(250)] {
        broken(&[(&format!("topics.events.name = '{bad}'"), name)]);
    }
    hold(&["topics.events.name = 'iem-events_1.a'"]);
    broken(&[(
        "topics.tickets.name = 'events'",
        "topics.tickets.name: `events` is the name of another topic of the same sink",
    )]);
}

#[test]
fn topic_bounds() {
    let deadline = "topics.events.deadline: must be at least 10ms and less than 14s: \
                    clients give up after 15s";
    broken(&[
        (
            "topics.events.key = ['']",
            "topics.events.key: must not list an empty field",
        ),
        (
            "topics.events.batch_records = 0",
            "topics.events.batch_records: must be 1 to 65536, is 0",
        ),
        (
            "topics.events.batch_records = 65537",
            "topics.events.batch_records: must be 1 to 65536, is 65537",
        ),
        (
            "topics.events.batch_bytes = '65 MiB'",
            "topics.events.batch_bytes: must be 1 KiB to 64 MiB, is 65 MiB",
        ),
        (
            "topics.events.linger = '2s'",
            "topics.events.linger: must be 0s to 1s, is 2s",
        ),
        (
            "topics.events = { linger = '1s', deadline = '1s' }",
            "topics.events.linger: must be less than the topic's deadline",
        ),
        (
            "topics.events.workers = 0",
            "topics.events.workers: must be 1 to 64, is 0",
        ),
        ("topics.events.deadline = '9ms'", deadline),
        ("topics.events.deadline = '14s'", deadline),
    ]);
    hold(&[
        "topics.events.deadline = '13s 999ms'",
        "topics.events.key = []",
    ]);
}

#[test]
fn a_stalled_topic_leaves_memory_to_the_others() {
    broken(&[(
        "server.memory = '391 MiB'",
        "server.memory: is 391 MiB, but full queues and one body more need 392 MiB: \
         the queue_bytes of all topics, and server.max_body",
    )]);
    hold(&["server.memory = '392 MiB'"]);
}

#[test]
fn a_queue_takes_the_largest_body() {
    let toml = "server = { max_body = '65 MiB', memory = '4 GiB' }";
    let errors = load_with(toml, &[]).expect_err("queues too small");
    assert_eq!(errors.0.len(), Kind::COUNT);
    assert_eq!(
        errors.0[0].key.as_deref(),
        Some("topics.events.queue_bytes")
    );
    assert_eq!(errors.0[0].message, "must be 65 MiB to 1 TiB, is 64 MiB");
}

#[test]
fn numbers_beyond_all_sense_are_refused_without_overflow() {
    let toml = "server = { max_body = '9999999999 TiB', memory = '9999999999 TiB' }\n\
                [topics.events]\nworkers = 9223372036854775807\nqueue_bytes = '9999999999 TiB'";
    let errors = load_with(toml, &[]).expect_err("must be refused");
    assert!(
        errors
            .0
            .iter()
            .any(|error| error.key.as_deref() == Some("topics.events.workers")),
        "{errors}"
    );
}
