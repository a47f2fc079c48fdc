//! The faults of an event of `CloudEvents`. The messages begin with the attribute, under the name
//! that it has in the request.

use std::fmt;

use crate::record::kind::Kind;

/// The fault of an event that holds no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// An attribute that every event has, or the data, is not there.
    #[error("`{name}` is missing; {}", needs(name))]
    Missing {
        /// The name of the attribute.
        name: &'static str,
    },
    /// An attribute that every event has is empty or no string.
    #[error("`{name}` must be a non-empty string")]
    NotText {
        /// The name of the attribute.
        name: &'static str,
    },
    /// An attribute or the data is given twice.
    #[error("`{name}` is given more than once; send it once")]
    Repeated {
        /// The name of the attribute.
        name: &'static str,
    },
    /// The header of an attribute holds no text.
    #[error("`{name}` must be UTF-8 once it is percent-decoded")]
    NotUnicode {
        /// The name of the header.
        name: &'static str,
    },
    /// Another version of `CloudEvents`.
    #[error("`{name}` must be 1.0")]
    Version {
        /// The name of the attribute.
        name: &'static str,
    },
    /// A type that no kind of record has.
    #[error("`{name}` must be {}", Types)]
    UnknownType {
        /// The name of the attribute.
        name: &'static str,
    },
    /// Data of a media type that is not JSON's.
    #[error("`{name}` must be application/json or end in +json: the data is a record in JSON")]
    ContentType {
        /// The name of the attribute.
        name: &'static str,
    },
    /// An attribute that names neither a customer nor an integration.
    #[error("`{name}` must be a non-empty string or an integer of digits alone")]
    NotAnIdentifier {
        /// The name of the attribute.
        name: &'static str,
    },
    /// A ticket's event without its customer or its integration.
    #[error(
        "`{name}` is missing; an event of type iem.ticket needs the attributes customerid and \
         integrationid"
    )]
    TicketWithout {
        /// The name of the attribute.
        name: &'static str,
    },
    /// A customer other than the record's.
    #[error("`{name}` names another customer than the record; send the record's, or leave it out")]
    OtherCustomer {
        /// The name of the attribute.
        name: &'static str,
    },
    /// Data that is no object.
    #[error("`data` must be a JSON object, a record of the event's type")]
    NotARecord,
    /// Encoded data that cannot be decoded, or that is no JSON object.
    #[error("`data_base64` must be a JSON object in base64 (RFC 4648, section 4)")]
    Base64,
    /// Data as it is, and encoded.
    #[error("`data` and `data_base64` exclude each other; send one of them")]
    TwoData,
    /// A batch that is no array.
    #[error(
        "a JSON array of events is expected; send a single one as application/cloudevents+json"
    )]
    NotABatch,
}

/// Says what an event needs, in the words of its mode.
fn needs(name: &str) -> &'static str {
    if name.starts_with("ce-") {
        "send ce-specversion, ce-id, ce-source and ce-type, or a whole event as \
         application/cloudevents+json"
    } else {
        "an event has specversion, id, source, type and data"
    }
}

/// The types of all kinds of record, in words.
struct Types;

impl fmt::Display for Types {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let separator = match index {
                0 => "",
                _ if index + 1 == Kind::COUNT => " or ",
                _ => ", ",
            };
            write!(formatter, "{separator}{}", kind.event_type())?;
        }
        Ok(())
    }
}
