//! What the gateway reads of a record: its customer and its ordering key, from bytes that stay as
//! they came.
//!
//! ```text
//! body ─┬─ one object ──┬─ scan   grammar over tokens, 64 bytes at a time ─┬─ fields ─ customer, ordering key,
//!       ├─ an array ────┤                                                  │           or what is wrong
//!       └─ one a line ──┴─ text   serde_json, what scan does not read ─────┘
//! ```
//!
//! Everything here is pure: bytes, names and the time come in as arguments. It knows nothing of
//! HTTP, of users or of sinks, and never changes a record's bytes.

mod body;
mod customer;
mod fields;
mod id;
mod key;
mod kind;
mod malformed;
mod parse;
mod scan;
mod text;
mod ticket;
mod tokens;
mod trace;

pub use body::{BodyFault, Form, ParsedBody, ParsedRecord, parse_body};
pub use id::next_id;
pub use key::{KEY_VALUE_BYTES_MAX, KeyFields, ordering_key};
pub use kind::Kind;
pub use malformed::Malformed;
pub use parse::{Parsed, parse, parse_by_text, without_bom};
pub use ticket::TicketUpdate;
pub use trace::traceparent;
