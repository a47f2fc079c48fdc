//! The records of one request and their outcomes.

use iem_sink::{Outcome, Record};
use smallvec::SmallVec;

/// The records of one request; nearly always one.
pub type Records = SmallVec<[Record; 1]>;

/// The outcomes of a request's records, in the records' order.
pub type Outcomes = SmallVec<[Outcome; 1]>;
