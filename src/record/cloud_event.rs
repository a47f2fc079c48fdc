//! One event of `CloudEvents` 1.0 whose data is a record: its attributes, as far as the gateway
//! reads them, and the place of its data. Attributes that it does not read are ignored, because it
//! gives each record attributes of its own.
//!
//! Sources: the JSON format,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>, and the
//! HTTP binding,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>.

mod batch;
mod fault;

use std::borrow::Cow;

use super::fields::Value;
use super::key::KeyFields;
use super::kind::Kind;
use super::malformed::Malformed;
use super::members::Members;
use super::parse::{Parsed, parse, parse_by_text};
use super::text;
use super::ticket::TicketUpdate;
use super::trace;

pub use batch::{CloudEvents, EventForm, cloud_events};
pub use fault::EventFault;

/// The number of the attributes that are read.
pub const ATTRIBUTE_COUNT: usize = 8;

/// The names of the attributes that are read, as they stand in an event of the JSON format.
pub const ATTRIBUTES: [&str; ATTRIBUTE_COUNT] = [
    "specversion",
    "id",
    "source",
    "type",
    "datacontenttype",
    "customerid",
    "integrationid",
    "traceparent",
];

/// The headers that carry these attributes in binary mode.
pub const ATTRIBUTE_HEADERS: [&str; ATTRIBUTE_COUNT] = [
    "ce-specversion",
    "ce-id",
    "ce-source",
    "ce-type",
    "content-type",
    "ce-customerid",
    "ce-integrationid",
    "ce-traceparent",
];

/// The members of an event in the JSON format that may not come twice: the attributes that are
/// read, the data, and the other attributes of the specification.
const MEMBERS: [&str; ATTRIBUTE_COUNT + 5] = [
    "specversion",
    "id",
    "source",
    "type",
    "datacontenttype",
    "customerid",
    "integrationid",
    "traceparent",
    "data",
    "data_base64",
    "time",
    "subject",
    "dataschema",
];

/// An event whose attributes hold. Its data is still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent<'b> {
    /// The kind of record that its `type` names.
    pub kind: Kind,
    /// Its `id` at the sender. Not empty.
    pub id: Cow<'b, str>,
    /// Its `source` at the sender. Not empty.
    pub source: Cow<'b, str>,
    /// The place of its data.
    pub data: EventData<'b>,
    customer: Option<Cow<'b, str>>,
    integration: Option<Cow<'b, str>>,
    traceparent: Option<Cow<'b, str>>,
    /// The names of its attributes, for faults.
    names: &'static [&'static str; ATTRIBUTE_COUNT],
}

/// The data of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventData<'b> {
    /// The body of binary mode.
    Body(&'b [u8]),
    /// The member `data`: one JSON value.
    Json(&'b [u8]),
    /// The member `data_base64`, still encoded.
    Base64(Cow<'b, str>),
}

/// The record that is an event's data, as far as the gateway reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventRecord {
    /// A record that names its customer.
    Record(Parsed),
    /// The change of a ticket, whose customer and integration the event names.
    Ticket(TicketUpdate),
}

impl<'b> CloudEvent<'b> {
    /// Reads an event of the JSON format.
    ///
    /// # Errors
    /// The first fault in the grammar; without one, the first fault of an attribute.
    pub fn from_json(event: &'b [u8]) -> Result<Self, Malformed> {
        let Members { values, repeated } = Members::read(event, &MEMBERS)?;
        if let Some(name) = repeated {
            return Err(EventFault::Repeated { name }.into());
        }
        let [attributes @ .., data, data_base64, _, _, _] = &values;
        let attributes: &[Option<&'b str>; ATTRIBUTE_COUNT] = attributes;
        let event = Self::new(
            attributes.map(|value| value.map(text::as_sent)),
            &ATTRIBUTES,
            EventData::Json(b""),
        )?;
        let data = match (data, data_base64) {
            (Some(data), None) => EventData::Json(data.as_bytes()),
            (None, Some(encoded)) => match text::as_sent(encoded) {
                Value::String(text) => EventData::Base64(text),
                Value::Number(_) | Value::Other => return Err(EventFault::Base64.into()),
            },
            (Some(_), Some(_)) => return Err(EventFault::TwoData.into()),
            (None, None) => return Err(EventFault::Missing { name: "data" }.into()),
        };
        Ok(Self { data, ..event })
    }

    /// Reads an event of binary mode: the values of [`ATTRIBUTE_HEADERS`], decoded, and the body.
    ///
    /// # Errors
    /// The first fault of an attribute.
    pub fn from_headers(
        values: [Option<String>; ATTRIBUTE_COUNT],
        body: &'b [u8],
    ) -> Result<Self, Malformed> {
        let values = values.map(|value| value.map(|text| Value::String(Cow::Owned(text))));
        Self::new(values, &ATTRIBUTE_HEADERS, EventData::Body(body)).map_err(Into::into)
    }

    fn new(
        values: [Option<Value<'b>>; ATTRIBUTE_COUNT],
        names: &'static [&'static str; ATTRIBUTE_COUNT],
        data: EventData<'b>,
    ) -> Result<Self, EventFault> {
        let [
            version,
            id,
            source,
            kind,
            content_type,
            customer,
            integration,
            traceparent,
        ] = values;
        let [
            version_name,
            id_name,
            source_name,
            kind_name,
            content_type_name,
            ..,
        ] = *names;
        if required(version, version_name)? != "1.0" {
            return Err(EventFault::Version { name: version_name });
        }
        let id = required(id, id_name)?;
        let source = required(source, source_name)?;
        let kind = Kind::of_event_type(&required(kind, kind_name)?)
            .ok_or(EventFault::UnknownType { name: kind_name })?;
        let content_type_is_json = match content_type {
            None => true,
            Some(Value::String(text)) => is_json(&text),
            Some(Value::Number(_) | Value::Other) => false,
        };
        if !content_type_is_json {
            return Err(EventFault::ContentType {
                name: content_type_name,
            });
        }
        let [.., customer_name, integration_name, _] = *names;
        let customer = identifier(customer, customer_name)?;
        let integration = identifier(integration, integration_name)?;
        if kind == Kind::Ticket {
            for (value, name) in [(&customer, customer_name), (&integration, integration_name)] {
                if value.is_none() {
                    return Err(EventFault::TicketWithout { name });
                }
            }
        }
        let traceparent = match traceparent {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(_) | Value::Other) | None => None,
        };
        Ok(Self {
            kind,
            id,
            source,
            data,
            customer,
            integration,
            traceparent,
            names,
        })
    }

    /// Returns the integration that a ticket's event names.
    pub fn integration(&self) -> Option<&str> {
        self.integration.as_deref()
    }

    /// Returns the event's own `traceparent`, if it is valid.
    pub fn traceparent(&self) -> Option<&str> {
        trace::traceparent(self.traceparent.as_ref()?.as_bytes())
    }

    /// Returns the customer of the event's record: the record's own, or the one that the event of a
    /// ticket names.
    pub fn customer<'r>(&'r self, record: &'r EventRecord) -> &'r str {
        match record {
            EventRecord::Record(parsed) => parsed.customer(),
            EventRecord::Ticket(_) => self.customer.as_deref().unwrap_or_default(),
        }
    }

    /// Reads the event's data, decoded, as the record that the event's type says; without
    /// simd-json if `by_text` is set.
    ///
    /// # Errors
    /// The fault of the record, or a customer other than the event's.
    pub fn read(
        &self,
        data: &[u8],
        key_fields: &KeyFields,
        by_text: bool,
    ) -> Result<EventRecord, Malformed> {
        let customer = self.customer.as_deref();
        let record = match (self.kind, by_text) {
            (Kind::Ticket, false) => {
                TicketUpdate::parse(data, customer.unwrap_or_default(), key_fields)
                    .map(EventRecord::Ticket)
            }
            (Kind::Ticket, true) => {
                TicketUpdate::parse_by_text(data, customer.unwrap_or_default(), key_fields)
                    .map(EventRecord::Ticket)
            }
            (_, false) => parse(data, key_fields).map(EventRecord::Record),
            (_, true) => parse_by_text(data, key_fields).map(EventRecord::Record),
        };
        let record = record.map_err(|malformed| self.of_data(malformed))?;
        match (&record, customer) {
            (EventRecord::Record(parsed), Some(customer)) if parsed.customer() != customer => {
                Err(self.other_customer())
            }
            _ => Ok(record),
        }
    }

    /// Returns the fault of the event whose data has this one.
    fn of_data(&self, malformed: Malformed) -> Malformed {
        let is_no_object = malformed.is_of_syntax()
            || matches!(malformed, Malformed::Empty | Malformed::NotAnObject);
        match self.data {
            _ if malformed == Malformed::TicketCustomer => self.other_customer(),
            EventData::Json(_) if is_no_object => EventFault::NotARecord.into(),
            EventData::Base64(_) if is_no_object => EventFault::Base64.into(),
            EventData::Body(_) | EventData::Json(_) | EventData::Base64(_) => malformed,
        }
    }

    fn other_customer(&self) -> Malformed {
        let [.., name, _, _] = *self.names;
        EventFault::OtherCustomer { name }.into()
    }
}

/// Returns the value of an attribute that every event has.
fn required<'v>(value: Option<Value<'v>>, name: &'static str) -> Result<Cow<'v, str>, EventFault> {
    match value {
        None => Err(EventFault::Missing { name }),
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(Value::String(_) | Value::Number(_) | Value::Other) => {
            Err(EventFault::NotText { name })
        }
    }
}

/// Returns the value of an attribute that names a customer or an integration: a string or, as in a
/// record, an integer of digits alone.
fn identifier<'v>(
    value: Option<Value<'v>>,
    name: &'static str,
) -> Result<Option<Cow<'v, str>>, EventFault> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(Value::Number(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(text))
        }
        Some(Value::String(_) | Value::Number(_) | Value::Other) => {
            Err(EventFault::NotAnIdentifier { name })
        }
    }
}

/// Returns whether a media type is JSON's: its subtype is `json`, or ends in `+json`.
fn is_json(media_type: &str) -> bool {
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let Some((_, subtype)) = media_type.split_once('/') else {
        return false;
    };
    let suffix = subtype.rsplit('+').next().unwrap_or_default();
    suffix.eq_ignore_ascii_case("json")
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
