//! Google's publisher alone, used as in its documentation, with a flush for each batch.

use std::time::Duration;

use bytes::Bytes;
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{BasePublisher, Publisher};
use google_cloud_pubsub::model::Message;
use iem_test_support::brokers::pubsub::PROJECT;
use tokio::runtime::Runtime;

use super::work::Work;
use crate::body::Body;
use crate::users::Users;

/// The attributes of each message.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("Content-Type", "application/json"),
    ("ce-specversion", "1.0"),
    ("ce-id", "0196a2c4-5c1e-7d2a-8b90-1f2e3d4c5b6a"),
    ("ce-source", "iem-gateway"),
    ("ce-type", "iem.event"),
    ("ce-time", "2026-11-22T19:18:59.158Z"),
    ("ce-subject", "customer-000000/web-042_cpu"),
    ("ce-customerid", "customer-000000"),
    ("ce-user", "user-000000@example.com"),
];

pub struct Bare {
    runtime: Runtime,
    publisher: Publisher,
    event: Bytes,
}

impl Bare {
    pub fn connect(endpoint: &str, topic: &str) -> Self {
        // The client's TLS needs a provider, although it connects without TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().expect("a runtime is created");
        let publisher = runtime.block_on(async {
            let base = BasePublisher::builder()
                .with_endpoint(endpoint)
                .with_credentials(anonymous::Builder::new().build())
                .build()
                .await
                .expect("a client is created");
            base.publisher(format!("projects/{PROJECT}/topics/{topic}"))
                .set_message_count_threshold(1000)
                .set_byte_threshold(9_500_000)
                .set_delay_threshold(Duration::from_hours(1))
                .build()
        });
        Self {
            runtime,
            publisher,
            event: Body::EVENT.plain(&Users::customer(0), 0).into(),
        }
    }
}

impl Work for Bare {
    fn once(&mut self, records: usize) {
        self.runtime.block_on(async {
            let answers: Vec<_> = (0..records)
                .map(|_| self.publisher.publish(message(&self.event)))
                .collect();
            self.publisher.flush().await;
            for answer in answers {
                answer.await.expect("the message has an id");
            }
        });
    }
}

fn message(event: &Bytes) -> Message {
    Message::new()
        .set_data(event.clone())
        .set_attributes(ATTRIBUTES.map(|(name, value)| (name.to_owned(), value.to_owned())))
}
