//! What tests of a sink, and of what stands before it, share: records to write, a sink that does as
//! a test says, one that does nothing, and the suite that every sink must pass. Never part of a
//! running gateway.

mod conformance;
mod null;
mod sample;
mod scripted;

pub use conformance::{Backend, Stored, conformance};
pub use null::NullSink;
pub use sample::{record, topic};
pub use scripted::{Behaviour, Log, Predicate, ScriptedSink};
