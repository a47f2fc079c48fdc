//! What the gateway reads of a record: its customer and its ordering key, from bytes that stay as they came.
//!
//! ```text
//! body ─┬─ one object ─────────────────────┬─ parse ─┬─ tape   simd-json, on a copy          ─┐
//!       ├─ split   an array's elements ─────┤         └─ text   serde_json, what tape refuses ─┴─ fields
//!       └─ one a line ──────────────────────┘              ─ customer, ordering key, or what is wrong
//! ```
//!
//! Everything here is pure: bytes, names and the time come in as arguments. It knows nothing of HTTP, of users or of
//! sinks, and never changes a record's bytes.

mod body;
mod customer;
mod fields;
mod id;
mod key;
mod kind;
mod malformed;
mod parse;
mod split;
mod tape;
mod text;
mod ticket;
mod trace;

pub use body::{BodyFault, Form, ParsedBody, ParsedRecord, parse_body};
pub use id::next_id;
pub use key::{KEY_VALUE_BYTES_MAX, KeyFields, ordering_key};
pub use kind::Kind;
pub use malformed::Malformed;
pub use parse::{Parsed, parse, parse_by_text, without_bom};
pub use tape::SCRATCH_BYTES_MAX;
pub use ticket::TicketUpdate;
pub use trace::traceparent;
