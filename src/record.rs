//! Reads a record's customer and ordering key from a body, and cuts a body into records.
//!
//! ```text
//! body ─┬─ one object ──┬─ tape   simd-json ──────────────────────────┬─ fields ─ customer, ordering key,
//!       ├─ an array ────┤                                             │           or what is wrong
//!       └─ one a line ──┴─ text   serde_json, what simd-json refuses ─┘
//! ```
//!
//! A record may also be the data of an event (`cloud_event`), and an alert becomes a record
//! (`alertmanager`).
//!
//! Everything here is pure: bytes, names and the time come in as arguments. It knows nothing of
//! HTTP, users or sinks, and never changes a record's bytes.

mod alertmanager;
mod body;
mod cloud_event;
mod customer;
mod fields;
mod id;
mod key;
mod kind;
mod look_alike;
mod malformed;
mod members;
mod parse;
mod tape;
mod text;
mod ticket;
mod trace;

pub use alertmanager::{AlertEvent, AlertFault, AlertMapping, Alerts};
pub use body::{
    BodyFault, Form, ParsedBody, ParsedRecord, parse_body, parse_body_by_text, tape_bytes_max,
};
pub use cloud_event::{
    ATTRIBUTE_COUNT, ATTRIBUTE_HEADERS, CloudEvent, CloudEvents, EventData, EventFault, EventForm,
    EventRecord, cloud_events,
};
pub use id::{id_of_gateway, next_id};
pub use key::{KEY_VALUE_BYTES_MAX, KeyFields, ordering_key};
pub use kind::Kind;
pub use malformed::Malformed;
pub use parse::{Parsed, parse, parse_by_text, without_bom};
pub use tape::{TAPE_BYTES_PER_BODY_BYTE, TAPE_KEPT_BYTES_MAX};
pub use ticket::TicketUpdate;
pub use trace::traceparent;
