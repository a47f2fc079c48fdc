//! librdkafka's producer alone, with the settings and the messages of the Kafka sink.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

use super::work::Work;
use crate::body::Body;
use crate::users::Users;

/// The headers of each message.
const HEADERS: [(&str, &str); 9] = [
    ("content-type", "application/json"),
    ("ce_specversion", "1.0"),
    ("ce_id", "0196a2c4-5c1e-7d2a-8b90-1f2e3d4c5b6a"),
    ("ce_source", "iem-gateway"),
    ("ce_type", "iem.event"),
    ("ce_time", "2026-11-22T19:18:59.158Z"),
    ("ce_subject", "customer-000000/web-042_cpu"),
    ("ce_customerid", "customer-000000"),
    ("ce_user", "user-000000@example.com"),
];

/// A countdown of delivery reports that wakes the thread waiting for the last one.
struct Countdown {
    left: AtomicUsize,
    waiting: Thread,
}

impl ClientContext for Countdown {}

impl ProducerContext for Countdown {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, _: usize) {
        assert!(result.is_ok(), "every record is delivered");
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiting.unpark();
        }
    }
}

pub struct Bare {
    producer: ThreadedProducer<Countdown>,
    topic: String,
    event: Vec<u8>,
}

impl Bare {
    pub fn open(bootstrap: &str, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .set("batch.num.messages", "100000")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.messages", "0")
            .set("socket.nagle.disable", "true")
            .set("statistics.interval.ms", "5000")
            .set("message.timeout.ms", "11000");
        let countdown = Countdown {
            left: AtomicUsize::new(0),
            waiting: std::thread::current(),
        };
        let producer = ThreadedProducer::from_config_and_context(&config, countdown)
            .expect("a producer is created");
        Self {
            producer,
            topic: topic.to_owned(),
            event: Body::EVENT.plain(&Users::customer(0), 0),
        }
    }
}

impl Work for Bare {
    fn once(&mut self, records: usize) {
        let left = &self.producer.context().left;
        left.store(records, Ordering::Release);
        for _ in 0..records {
            let headers = OwnedHeaders::new_with_capacity(HEADERS.len());
            let headers = HEADERS.into_iter().fold(headers, |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
            let message = BaseRecord::with_opaque_to(&self.topic, 0)
                .key("customer-000000/web-042_cpu")
                .payload(&self.event)
                .headers(headers);
            assert!(
                self.producer.send(message).is_ok(),
                "the producer takes the record"
            );
        }
        while left.load(Ordering::Acquire) > 0 {
            std::thread::park();
        }
    }
}
