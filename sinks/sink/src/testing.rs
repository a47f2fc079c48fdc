//! Support for tests of sinks and of the pipeline before them: sample records, a scripted sink, a
//! sink that drops records, a writer that waits, and the conformance suite of all sinks. Never part of a running
//! gateway.

mod blocking;
mod conformance;
mod null;
mod sample;
mod scripted;

pub use self::blocking::BlockingWriter;
pub use self::conformance::{Backend, Stored, conformance};
pub use self::null::NullSink;
pub use self::sample::{record, topic};
pub use self::scripted::{Behaviour, Log, Predicate, ScriptedSink};
