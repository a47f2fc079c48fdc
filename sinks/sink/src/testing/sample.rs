//! Records and topics for tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use crate::{Context, Record, TopicConfig};

/// Creates a record with a new, time-ordered id, received now. A test changes the other fields
/// afterwards.
pub fn record(key: &str, data: impl Into<Bytes>) -> Record {
    Record {
        id: Uuid::now_v7(),
        context: Arc::new(Context {
            source: "iem-gateway".into(),
            kind: "iem.event".into(),
            time: SystemTime::now(),
            user: "api@example.com".into(),
            integration: None,
            actionable_state: None,
            traceparent: None,
            rejection: None,
            digests: None,
        }),
        customer: "1001".into(),
        key: key.into(),
        data: data.into(),
    }
}

/// Creates a topic with one writer, the gateway's default batches and a deadline of ten seconds.
pub fn topic(name: &str) -> TopicConfig {
    TopicConfig {
        name: name.to_owned(),
        workers: 1,
        batch_records: 4096,
        batch_bytes: 4 << 20,
        deadline: Duration::from_secs(10),
        is_persistent: false,
    }
}
