//! Reads a record's customer and ordering key from a body, and cuts a body into records.
//!
//! ```text
//! body ─┬─ one object ──┬─ tape   simd-json ──────────────────────────┬─ fields ─ customer, ordering key,
//!       ├─ an array ────┤                                             │           or what is wrong
//!       └─ one a line ──┴─ text   serde_json, what simd-json refuses ─┘
//! ```
//!
//! Everything here is pure: bytes, names and the time come in as arguments. It knows nothing of
//! HTTP, users or sinks, and never changes a record's bytes.

mod body;
mod customer;
mod fields;
mod id;
mod key;
mod kind;
mod look_alike;
mod malformed;
mod parse;
mod tape;
mod text;
mod ticket;
mod trace;

pub use body::{
    BodyFault, Form, ParsedBody, ParsedRecord, parse_body, parse_body_by_text, tape_bytes_max,
};
pub use id::next_id;
pub use key::{KEY_VALUE_BYTES_MAX, KeyFields, ordering_key};
pub use kind::Kind;
pub use malformed::Malformed;
pub use parse::{Parsed, parse, parse_by_text, without_bom};
pub use tape::{TAPE_BYTES_PER_BODY_BYTE, TAPE_KEPT_BYTES_MAX};
pub use ticket::TicketUpdate;
pub use trace::traceparent;
