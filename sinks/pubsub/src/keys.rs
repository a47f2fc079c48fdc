//! Requests by ordering key. One key has one request under way, whichever call it belongs to.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use crate::request::Request;

/// The requests that wait for an earlier one of their key. A key is here as long as a task sends
/// its requests.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<Box<str>, VecDeque<Request>>>);

impl Keys {
    /// Adds requests of a key. Returns whether a task has to be started that sends them.
    pub(crate) fn add(&self, key: &str, requests: Vec<Request>) -> bool {
        let mut keys = self.0.lock();
        if let Some(waiting) = keys.get_mut(key) {
            waiting.extend(requests);
            return false;
        }
        keys.insert(key.into(), requests.into());
        true
    }

    /// Takes the next request of a key. If there is none, the key's task is over.
    pub(crate) fn next(&self, key: &str) -> Option<Request> {
        let mut keys = self.0.lock();
        let next = keys.get_mut(key).and_then(VecDeque::pop_front);
        if next.is_none() {
            keys.remove(key);
        }
        next
    }

    /// Adds requests before all others of their key.
    pub(crate) fn put_back(&self, key: &str, requests: Vec<Request>) {
        if let Some(waiting) = self.0.lock().get_mut(key) {
            for request in requests.into_iter().rev() {
                waiting.push_front(request);
            }
        }
    }

    /// Takes all requests of a key. The key's task is over.
    pub(crate) fn end(&self, key: &str) -> VecDeque<Request> {
        self.0.lock().remove(key).unwrap_or_default()
    }
}
