//! A record as a Kafka message: the binary mode of the `CloudEvents` Kafka protocol binding.
//!
//! Attributes are headers named `ce_…`, the data's type is `content-type`, the key is the ordering
//! key and the value is the record's bytes.
//! Source: CloudEvents 1.0.2, Kafka protocol binding,
//! <https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents/bindings>.

use iem_sink::{DATA_CONTENT_TYPE, Record};
use rdkafka::message::{Header, OwnedHeaders};

/// The headers that librdkafka reserves memory for: more than any record has.
const HEADERS: usize = 12;

/// Returns the headers of a record.
pub(crate) fn headers(record: &Record) -> OwnedHeaders {
    let mut headers = Some(OwnedHeaders::new_with_capacity(HEADERS));
    for_each_header(record, |key, value| {
        headers = headers.take().map(|headers| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        });
    });
    headers.unwrap_or_default()
}

/// Returns the bytes that a record takes in a batch of its own, uncompressed: the size that a
/// topic's `max.message.bytes` bounds.
/// Source: <https://kafka.apache.org/documentation/#recordbatch>.
pub(crate) fn batch_bytes(record: &Record) -> usize {
    const BATCH_OVERHEAD: usize = 61;
    let mut count = 0;
    let mut headers = 0;
    for_each_header(record, |key, value| {
        count += 1;
        headers += field_bytes(key.len()) + field_bytes(value.len());
    });
    // The record's attributes and its two differences to the batch's first record: a byte each.
    let body = 3
        + field_bytes(record.key.len())
        + field_bytes(record.data.len())
        + varint_bytes(count)
        + headers;
    BATCH_OVERHEAD + field_bytes(body)
}

fn for_each_header(record: &Record, mut each: impl FnMut(&'static str, &str)) {
    each("content-type", DATA_CONTENT_TYPE);
    record.for_each_attribute(|name, value| each(header_name(name), value));
}

/// Returns the header of an attribute. The names are few and fixed; formatting them for each record
/// would cost more than the rest of this file.
fn header_name(attribute: &'static str) -> &'static str {
    match attribute {
        "specversion" => "ce_specversion",
        "id" => "ce_id",
        "source" => "ce_source",
        "type" => "ce_type",
        "time" => "ce_time",
        "subject" => "ce_subject",
        "customerid" => "ce_customerid",
        "user" => "ce_user",
        "integrationid" => "ce_integrationid",
        "actionablestate" => "ce_actionablestate",
        "traceparent" => "ce_traceparent",
        // No attribute comes here: a test covers all of them.
        other => other,
    }
}

/// Returns the bytes of a field with its length before it.
fn field_bytes(len: usize) -> usize {
    varint_bytes(len) + len
}

/// Returns the bytes of a length as a zigzag variable-length integer.
fn varint_bytes(len: usize) -> usize {
    let bits = usize::BITS - (len << 1).leading_zeros();
    (bits.max(1) as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iem_sink::Context;
    use iem_sink::testing::record;
    use rdkafka::message::Headers;

    use super::*;

    #[test]
    fn every_attribute_becomes_a_header() {
        let mut record = record("1001/router", r#"{"a":1}"#);
        record.context = Arc::new(Context {
            integration: Some("itsm".into()),
            actionable_state: Some("resolved".into()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            rejection: None,
            digests: None,
            ..Context::clone(&record.context)
        });
        let mut expected = vec![("content-type".to_owned(), "application/json".to_owned())];
        record.for_each_attribute(|name, value| {
            expected.push((format!("ce_{name}"), value.to_owned()));
        });
        let headers = headers(&record);
        let found: Vec<_> = headers
            .iter()
            .map(|header| {
                (
                    header.key.to_owned(),
                    String::from_utf8(header.value.unwrap().to_vec()).unwrap(),
                )
            })
            .collect();
        assert_eq!(found, expected);
        assert!(found.len() <= HEADERS);
    }

    #[test]
    fn a_length_is_a_zigzag_varint() {
        for (len, bytes) in [(0, 1), (63, 1), (64, 2), (8191, 2), (8192, 3), (1 << 20, 4)] {
            assert_eq!(varint_bytes(len), bytes, "{len}");
        }
    }
}
