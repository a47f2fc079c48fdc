//! A backend as the conformance suite sees it.

use std::collections::BTreeMap;

use crate::Sink;

/// A backend under test: opens sinks onto it, and reads what it holds.
pub trait Backend {
    /// Opens a sink. The suite closes it before it opens the next one.
    fn open(&self) -> Box<dyn Sink>;

    /// Creates an empty topic for the case of this name (letters and `-`), and returns its name at
    /// the backend. The default returns the case's name and creates no topic: it is for backends
    /// that create a topic with its first record.
    fn create_topic(&self, case: &str) -> String {
        case.to_owned()
    }

    /// Returns all records of the topic, oldest first. Called with the sink closed.
    fn read(&self, topic: &str) -> Vec<Stored>;

    /// Tells whether records of one key come back in the order in which they were written.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Tells whether the backend's format keeps a record on one line, and so drops each line break
    /// between tokens with the spaces and tabs behind it.
    fn joins_lines(&self) -> bool {
        false
    }

    /// Breaks the topic, so that writes to it fail, and returns a function that heals it. `None` if
    /// a test cannot break it: the cases that need it are then skipped.
    fn interrupt(&self, _topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
        None
    }
}

/// A record as the backend holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The `CloudEvents` attributes by their plain names (`id`, `customerid`, …),
    /// `datacontenttype` included.
    pub attributes: BTreeMap<String, String>,
    /// The record's bytes.
    pub data: Vec<u8>,
}
