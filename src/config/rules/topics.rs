//! Rules for the topics and their sinks.

use std::time::Duration;

use super::bounds::{DAY, KIB, SECOND, TIB, size};
use super::faults::Faults;
use crate::config::{Config, SinkKind, Topic};
use crate::record::Kind;

/// Clients give up on a response after 15 s; the confirmation must leave time to respond.
pub(super) const DEADLINE_END: Duration = Duration::from_secs(14);

pub(super) fn check(config: &Config, faults: &mut Faults) {
    for kind in Kind::ALL {
        let topic = &config.topics[kind as usize];
        name_and_key(kind, topic, faults);
        bounds(kind, topic, config.server.max_body, faults);
    }
    journal(config, faults);
    names_distinct(config, faults);
    sinks(config, faults);
    memory(config, faults);
}

fn key(kind: Kind, name: &str) -> String {
    format!("topics.{}.{name}", kind.topic())
}

fn name_and_key(kind: Kind, topic: &Topic, faults: &mut Faults) {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    faults.require(
        (1..=249).contains(&topic.name.len())
            && topic.name.chars().all(in_name)
            && !matches!(&*topic.name, "." | ".."),
        &key(kind, "name"),
        "must be 1 to 249 letters, digits, `.`, `_` and `-`, and neither `.` nor `..`",
    );
    faults.require(
        topic.key.iter().all(|field| !field.is_empty()),
        &key(kind, "key"),
        "must not list an empty field",
    );
}

fn bounds(kind: Kind, topic: &Topic, max_body: usize, faults: &mut Faults) {
    faults.count(
        &key(kind, "queue_records"),
        topic.queue_records,
        1..=10_000_000,
    );
    faults.size(&key(kind, "queue_bytes"), topic.queue_bytes, max_body..=TIB);
    faults.count(
        &key(kind, "batch_records"),
        topic.batch_records,
        1..=topic.queue_records.max(1),
    );
    faults.size(
        &key(kind, "batch_bytes"),
        topic.batch_bytes,
        KIB..=topic.queue_bytes.max(KIB),
    );
    faults.duration(&key(kind, "linger"), topic.linger, Duration::ZERO..=SECOND);
    faults.require(
        topic.linger < topic.deadline,
        &key(kind, "linger"),
        "must be less than the topic's deadline",
    );
    faults.require(
        topic.deadline >= Duration::from_millis(10) && topic.deadline < DEADLINE_END,
        &key(kind, "deadline"),
        "must be at least 10ms and less than 14s: clients give up after 15s",
    );
    faults.count(&key(kind, "workers"), topic.workers, 1..=64);
}

fn journal(config: &Config, faults: &mut Faults) {
    let journal = &config.journal;
    faults.size("journal.bytes", journal.bytes, 256 * KIB * KIB..=TIB);
    let ages = SECOND..=365 * DAY;
    faults.duration("journal.age", journal.age, ages);
    faults.count(
        "journal.window_records",
        journal.window_records,
        1..=1_000_000,
    );
    let windows = KIB * KIB..=TIB;
    faults.size("journal.window_bytes", journal.window_bytes, windows);
    faults.require(
        journal.window_bytes >= config.server.max_body
            || !config.topics.iter().any(Topic::is_journaled),
        "journal.window_bytes",
        format!(
            "is {}, and must be at least server.max_body, {}, for a topic whose durability is journaled",
            size(journal.window_bytes),
            size(config.server.max_body),
        ),
    );
    let dead_letters = KIB * KIB..=TIB;
    faults.size(
        "journal.dead_letter_bytes",
        journal.dead_letter_bytes,
        dead_letters,
    );
}

/// Records of two topics with one name could not be told apart, and their writers would share a
/// file.
fn names_distinct(config: &Config, faults: &mut Faults) {
    for kind in Kind::ALL {
        let (earlier, later) = config.topics.split_at(kind as usize);
        let topic = &later[0];
        faults.require(
            !earlier
                .iter()
                .any(|other| other.sink == topic.sink && other.name == topic.name),
            &key(kind, "name"),
            format!(
                "`{}` is the name of another topic of the same sink",
                topic.name
            ),
        );
    }
}

/// A sink that a topic uses needs its address.
pub(super) fn sinks(config: &Config, faults: &mut Faults) {
    let used = |kind| config.topics.iter().any(|topic| topic.sink == kind);
    faults.require(
        !used(SinkKind::Kafka) || !config.sink.kafka.bootstrap_servers.is_empty(),
        "sink.kafka.bootstrap_servers",
        "must name a broker, such as \"broker-1:9092\"",
    );
    faults.require(
        !used(SinkKind::PubSub) || !config.sink.pubsub.project.is_empty(),
        "sink.pubsub.project",
        "must name a Google Cloud project",
    );
}

/// Full topics must leave memory for one more body, or a stalled topic could keep the others from
/// accepting any.
fn memory(config: &Config, faults: &mut Faults) {
    let queues = config.topics.iter().map(|topic| topic.queue_bytes);
    let needed = queues.fold(config.server.max_body, usize::saturating_add);
    faults.require(
        config.server.memory >= needed,
        "server.memory",
        format!(
            "is {}, but full queues and one body more need {}: \
             the queue_bytes of all topics, and server.max_body",
            size(config.server.memory),
            size(needed),
        ),
    );
}
