//! A record on its way to a backend: the client's bytes, and the CloudEvents 1.0 attributes that go
//! with them.
//!
//! Source: CloudEvents specification 1.0.2,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use crate::murmur::murmur2;

/// One accepted record. Its data leaves as it came.
#[derive(Clone)]
pub struct Record {
    /// `id`: unique; UUIDv7 and so time-ordered, or UUIDv8 if it follows from a key.
    pub id: Uuid,
    /// The attributes that all records of one request share.
    pub context: Arc<Context>,
    /// `customerid`: the customer the record was authorised for.
    pub customer: Arc<str>,
    /// `subject`: the ordering key, `<customer>/<value>`, or the customer alone.
    pub key: Box<str>,
    /// The record, byte for byte as the client sent it: one valid JSON object.
    pub data: Bytes,
}

/// The attributes that all records of one request share.
#[derive(Clone, Debug)]
pub struct Context {
    /// `source`: the gateway's configured name.
    pub source: Arc<str>,
    /// `type`: `iem.event`, `iem.metric`, …
    pub kind: Cow<'static, str>,
    /// `time`: when the request was received.
    pub time: SystemTime,
    /// `user`: the user that sent it.
    pub user: Arc<str>,
    /// `integrationid`, on tickets.
    pub integration: Option<Box<str>>,
    /// `actionablestate`, on tickets whose state the integration maps.
    pub actionable_state: Option<Box<str>>,
    /// `traceparent`, if the client sent a valid one (W3C Trace Context).
    pub traceparent: Option<Box<str>>,
    /// `rejectionreason`, on dead letters: why the sink will never take the record.
    pub rejection: Option<Box<str>>,
    /// The digests by which the request is known again. No sink has a use for them.
    pub digests: Option<Box<Digests>>,
}

/// The digests of a request whose client sent an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The digest of the key, of the user who sent it and of the endpoint.
    pub key: [u8; 32],
    /// The digest of the records.
    pub body: [u8; 32],
}

impl Context {
    /// Returns `time` as text: RFC 3339, in UTC, to the millisecond. A clock before 1970 reads
    /// 1970.
    pub fn time_text(&self) -> String {
        humantime::format_rfc3339_millis(self.time.max(SystemTime::UNIX_EPOCH)).to_string()
    }
}

/// The media type of every record's data.
pub const DATA_CONTENT_TYPE: &str = "application/json";

/// Leaves out the data, and the key, which is a part of it.
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("id", &self.id)
            .field("kind", &self.context.kind)
            .field("customer", &self.customer)
            .field("data_bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

impl Record {
    /// Returns the hash of the ordering key, without its sign: Kafka's clients choose a partition
    /// by it. A worker that is chosen by it writes to few partitions, or to one, if a topic has as
    /// many partitions as workers. Its batch is then one request, and not one for each partition.
    pub fn key_hash(&self) -> u32 {
        murmur2(self.key.as_bytes()) & 0x7fff_ffff
    }

    /// Passes each CloudEvents attribute with its value to `each`, in a fixed order, without
    /// `datacontenttype`: the bindings treat that one apart.
    pub fn for_each_attribute(&self, mut each: impl FnMut(&'static str, &str)) {
        let context = &*self.context;
        each("specversion", "1.0");
        each(
            "id",
            self.id
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        );
        each("source", &context.source);
        each("type", &context.kind);
        each("time", &context.time_text());
        each("subject", &self.key);
        each("customerid", &self.customer);
        each("user", &context.user);
        let optional = [
            ("integrationid", &context.integration),
            ("actionablestate", &context.actionable_state),
            ("traceparent", &context.traceparent),
            ("rejectionreason", &context.rejection),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                each(name, value);
            }
        }
    }
}
