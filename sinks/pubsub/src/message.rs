//! A record as a message: the binary mode of the `CloudEvents` Pub/Sub binding, within Pub/Sub's
//! limits.
//!
//! Sources: <https://github.com/googleapis/google-cloudevents/blob/main/docs/spec/pubsub.md>,
//! <https://cloud.google.com/pubsub/quotas#resource_limits>.

use google_cloud_pubsub::model::Message;
use iem_sink::{DATA_CONTENT_TYPE, Reason, Record};

/// The most bytes of one publish request: a message alone in its request, with its attributes and
/// the topic's name, must fit.
pub const MAX_REQUEST_BYTES: usize = 10_000_000;

/// The most bytes of one attribute's value, and of an ordering key.
pub const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// The most messages of one request.
pub(crate) const REQUEST_MESSAGES: u32 = 1000;

/// The most bytes of one request of several messages. It leaves room below Pub/Sub's limit.
pub(crate) const REQUEST_BYTES: u32 = 9_500_000;

/// The attributes that memory is reserved for: ten or eleven, and up to three optional ones.
const ATTRIBUTES: usize = 14;

/// Returns the bytes of a request that has this record alone: what [`MAX_REQUEST_BYTES`] bounds.
pub(crate) fn request_bytes(record: &Record, topic: &str, ordered: bool) -> usize {
    let mut bytes = field(record.data.len());
    bytes += attribute_bytes("Content-Type".len(), DATA_CONTENT_TYPE);
    record.for_each_attribute(|name, value| {
        bytes += attribute_bytes("ce-".len() + name.len(), value);
    });
    if ordered {
        bytes += field(record.key.len());
    }
    field(topic.len()) + field(bytes)
}

/// Returns the message of a record, and its bytes in a request.
///
/// # Errors
/// Pub/Sub would refuse the message, and with it all others of its request.
pub(crate) fn message(
    record: &Record,
    topic: &str,
    ordered: bool,
) -> Result<(Message, usize), Reason> {
    let mut message = Message::new();
    message.attributes.reserve(ATTRIBUTES);
    let mut bytes = field(record.data.len());
    let mut add = |name: String, value: &str| {
        bytes += attribute_bytes(name.len(), value);
        message.attributes.insert(name, value.to_owned());
        value.len() <= MAX_ATTRIBUTE_BYTES
    };
    let mut attributes_fit = add("Content-Type".to_owned(), DATA_CONTENT_TYPE);
    record.for_each_attribute(|name, value| attributes_fit &= add(["ce-", name].concat(), value));
    if !attributes_fit {
        return Err(Reason::TooLarge {
            limit: MAX_ATTRIBUTE_BYTES,
        });
    }
    if ordered {
        bytes += field(record.key.len());
        message.ordering_key = record.key.to_string();
    }
    if field(topic.len()) + field(bytes) > MAX_REQUEST_BYTES {
        return Err(Reason::TooLarge {
            limit: MAX_REQUEST_BYTES,
        });
    }
    message.data = record.data.clone();
    Ok((message, field(bytes)))
}

fn attribute_bytes(name_bytes: usize, value: &str) -> usize {
    field(field(name_bytes) + field(value.len()))
}

/// Returns the bytes of a length-delimited field in a protocol buffer: tag, length, content.
fn field(bytes: usize) -> usize {
    let length = bytes.max(1).ilog2() as usize / 7 + 1;
    1 + length + bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use iem_sink::testing::record;

    #[test]
    fn a_field_is_tag_length_and_content() {
        for (bytes, expected) in [
            (0, 2),
            (1, 3),
            (127, 129),
            (128, 131),
            (16_383, 16_386),
            (16_384, 16_388),
        ] {
            assert_eq!(field(bytes), expected);
        }
    }

    #[test]
    fn attributes_and_key_follow_the_binding() {
        let record = record("1001/router", "{}");
        let (sent, bytes) = message(&record, "projects/p/topics/t", true).expect("a message");
        assert!(bytes > record.data.len() + 200, "attributes count: {bytes}");
        assert_eq!(sent.ordering_key, "1001/router");
        assert_eq!(sent.data, record.data);
        assert_eq!(sent.attributes["Content-Type"], "application/json");
        assert_eq!(sent.attributes["ce-id"], record.id.to_string());
        assert_eq!(sent.attributes["ce-subject"], "1001/router");
        for ordered in [true, false] {
            let (_, bytes) = message(&record, "t", ordered).expect("a message");
            assert_eq!(request_bytes(&record, "t", ordered), field(1) + bytes);
        }
        assert_eq!(
            message(&record, "t", false)
                .expect("a message")
                .0
                .ordering_key,
            ""
        );
    }

    #[test]
    fn a_message_beyond_the_limits_is_rejected() {
        let topic = "projects/p/topics/t";
        let key = |bytes| message(&record(&"k".repeat(bytes), "{}"), topic, false).err();
        assert_eq!(key(1024), None);
        assert_eq!(
            key(1025),
            Some(Reason::TooLarge {
                limit: MAX_ATTRIBUTE_BYTES
            })
        );

        let data = |bytes| message(&record("k", vec![b' '; bytes]), topic, false).err();
        assert_eq!(data(MAX_REQUEST_BYTES - 600), None);
        assert_eq!(
            data(MAX_REQUEST_BYTES - 100),
            Some(Reason::TooLarge {
                limit: MAX_REQUEST_BYTES
            })
        );
    }
}
