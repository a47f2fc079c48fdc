//! What the cases of one run share: how many threads serve, users, and the backends, each started
//! when it is first needed.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use iem_test_support::brokers::kafka::{Kafka, Options};
use iem_test_support::brokers::pubsub::PubSub;

use super::users::Users;

/// Descriptors for all else: files, pipes, the brokers' connections.
const DESCRIPTORS_BESIDE: usize = 256;

pub struct Site {
    /// That serve, in every server.
    pub threads: usize,
    descriptors: u64,
    users: RefCell<HashMap<usize, Arc<Users>>>,
    kafka: OnceCell<Kafka>,
    pubsub: OnceCell<PubSub>,
    topics: Cell<usize>,
}

impl Site {
    pub fn new(threads: usize) -> Self {
        Self {
            threads,
            // A connection is a descriptor.
            descriptors: rlimit::increase_nofile_limit(u64::MAX).expect("a limit on descriptors"),
            users: RefCell::default(),
            kafka: OnceCell::new(),
            pubsub: OnceCell::new(),
            topics: Cell::new(0),
        }
    }

    /// Connections that this process may have at once.
    pub fn connections_max(&self) -> usize {
        usize::try_from(self.descriptors)
            .unwrap_or(usize::MAX)
            .saturating_sub(DESCRIPTORS_BESIDE)
    }

    /// Threads that make load.
    pub fn clients(&self) -> usize {
        (self.threads / 2).max(1)
    }

    pub fn users(&self, count: usize) -> Arc<Users> {
        Arc::clone(
            self.users
                .borrow_mut()
                .entry(count)
                .or_insert_with(|| Users::make(count)),
        )
    }

    pub fn kafka(&self) -> &Kafka {
        self.kafka.get_or_init(|| {
            Kafka::start(&Options {
                for_load: true,
                ..Options::default()
            })
        })
    }

    pub fn pubsub(&self) -> &PubSub {
        self.pubsub.get_or_init(PubSub::start_for_benches)
    }

    /// Makes a topic at Kafka, which keeps little.
    pub fn kafka_topic(&self, partitions: usize) -> String {
        let name = self.topic();
        let little = [
            ("retention.bytes", "268435456"),
            ("segment.bytes", "67108864"),
        ];
        let partitions = i32::try_from(partitions).expect("a few partitions");
        self.kafka().create_topic(&name, partitions, 1, &little);
        name
    }

    /// Makes a topic at Pub/Sub, without a subscription, so that the emulator keeps nothing.
    pub fn pubsub_topic(&self) -> String {
        let name = self.topic();
        self.pubsub().create_topic(&name);
        self.pubsub().delete_subscription(&name);
        name
    }

    fn topic(&self) -> String {
        self.topics.set(self.topics.get() + 1);
        format!("load-{}", self.topics.get())
    }
}
