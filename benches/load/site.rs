//! The resources that the cases of one run share: the number of serving threads, users, and the
//! backends. Each is made when it is first needed.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use iem_test_support::brokers::kafka::{Kafka, Options};
use iem_test_support::brokers::pubsub::PubSub;

use super::users::Users;

/// Descriptors for everything but clients' connections: files, pipes, the brokers' connections.
const DESCRIPTORS_RESERVED: usize = 256;

pub struct Site {
    /// The serving threads of each server.
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
            // Each connection needs a descriptor.
            descriptors: rlimit::increase_nofile_limit(u64::MAX)
                .expect("the system has a limit on descriptors"),
            users: RefCell::default(),
            kafka: OnceCell::new(),
            pubsub: OnceCell::new(),
            topics: Cell::new(0),
        }
    }

    /// Returns how many connections this process may have at once.
    pub fn connections_max(&self) -> usize {
        usize::try_from(self.descriptors)
            .unwrap_or(usize::MAX)
            .saturating_sub(DESCRIPTORS_RESERVED)
    }

    /// Returns the number of client threads.
    pub fn clients(&self) -> usize {
        (self.threads / 2).max(1)
    }

    /// Returns `count` users, which are made once.
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

    /// Creates a Kafka topic that keeps few records.
    pub fn kafka_topic(&self, partitions: usize) -> String {
        let name = self.topic();
        let limits = [
            ("retention.bytes", "268435456"),
            ("segment.bytes", "67108864"),
        ];
        let partitions = i32::try_from(partitions).expect("the number of partitions is small");
        self.kafka().create_topic(&name, partitions, 1, &limits);
        name
    }

    /// Creates a Pub/Sub topic without a subscription, so that the emulator keeps no message.
    pub fn pubsub_topic(&self) -> String {
        let name = self.topic();
        self.pubsub().create_topic(&name);
        self.pubsub().delete_subscription(&name);
        name
    }

    /// Returns a name that no topic of this run has.
    fn topic(&self) -> String {
        self.topics.set(self.topics.get() + 1);
        format!("load-{}", self.topics.get())
    }
}
