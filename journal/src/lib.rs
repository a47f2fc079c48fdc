//! A write-ahead log of one topic. Records are written here and synced, answered, and forwarded to
//! their sink afterwards, in order, across restarts and crashes.
//!
//! The crate knows the sink contract and nothing of HTTP, channels or threads: an [`Appender`] writes
//! commits, a [`Reader`] reads them, and a [`Progress`] notes which records are settled. It never
//! acknowledges what is not synced, and never gives up a record that was acknowledged: what cannot
//! be read any more is reported, with its sequence numbers.
//!
//! [`inspect()`], [`verify()`] and [`Export`] read a journal beside a running gateway or without one. They
//! take no lock and never write.
//!
//! `docs/journal.md` has the format of the files.

mod access;
mod appender;
mod config;
mod contents;
mod counts;
mod cursor;
mod damage;
mod error;
mod export;
mod format;
mod inspect;
mod kept_limit;
mod log;
mod look;
mod name;
mod open;
mod progress;
mod reader;
mod recovery;
mod scan;
mod spare;
mod tail;
mod verify;
mod walk;

pub use appender::{Appender, RANGES_MAX};
pub use config::{JournalConfig, OnDamage, SEGMENT_BYTES};
pub use counts::Counts;
pub use damage::{Damage, DamageKind};
pub use error::{AppendError, OpenError};
pub use iem_disk::FileSystem;

pub use export::{Export, Selection};
pub use format::request::Request;
pub use inspect::{Inspection, SegmentSummary, inspect};
pub use kept_limit::KeptLimit;
pub use look::PassProgress;
pub use name::is_file;
pub use open::Journal;
pub use progress::{Progress, Settlement, Status};
pub use reader::{Passed, Place, Read, Reader, Written};
pub use spare::SpareMaker;
pub use verify::{Verification, verify};

#[cfg(test)]
mod tests;
