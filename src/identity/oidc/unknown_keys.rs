//! The names of keys that tokens had and that the issuer did not publish: whether it does now, the
//! next fetch tells. Pure, and bounded: anybody may make names up.

use std::collections::VecDeque;
use std::mem;

/// The most names of each kind; with more, the longest known goes.
const NAMES_MAX: usize = 100;

/// Names of unknown keys.
#[derive(Debug, Default)]
pub(super) struct UnknownKeys {
    /// Those of which the next fetch will tell.
    awaited: VecDeque<String>,
    /// Those of which the fetch under way will tell: it has begun since they were seen.
    fetched: VecDeque<String>,
    /// Those that the issuer did not have, the longest known first.
    missing: VecDeque<String>,
}

impl UnknownKeys {
    /// Notes a name that a token had. Returns whether a fetch is still to tell whether there is such
    /// a key.
    pub(super) fn is_awaited(&mut self, kid: &str) -> bool {
        let is_in = |names: &VecDeque<String>| names.iter().any(|name| name == kid);
        if is_in(&self.awaited) || is_in(&self.fetched) {
            return true;
        }
        if is_in(&self.missing) {
            return false;
        }
        self.awaited.push_back(kid.to_owned());
        keep_newest(&mut self.awaited);
        true
    }

    /// A fetch begins.
    pub(super) fn begin(&mut self) {
        self.fetched = mem::take(&mut self.awaited);
    }

    /// The fetch has brought keys, of which `is_known` tells.
    pub(super) fn end(&mut self, is_known: impl Fn(&str) -> bool) {
        self.missing.retain(|name| !is_known(name));
        let fetched = mem::take(&mut self.fetched);
        self.missing
            .extend(fetched.into_iter().filter(|name| !is_known(name)));
        keep_newest(&mut self.missing);
    }

    /// The fetch has failed: the next one will tell.
    pub(super) fn fail(&mut self) {
        self.fetched.append(&mut self.awaited);
        self.awaited = mem::take(&mut self.fetched);
        keep_newest(&mut self.awaited);
    }
}

fn keep_newest(names: &mut VecDeque<String>) {
    let over = names.len().saturating_sub(NAMES_MAX);
    names.drain(..over);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(unknown: &mut UnknownKeys, keys: &[&str]) {
        unknown.begin();
        unknown.end(|name| keys.contains(&name));
    }

    #[test]
    fn a_name_is_awaited_until_a_fetch_has_told() {
        let mut unknown = UnknownKeys::default();
        assert!(unknown.is_awaited("new"));
        unknown.begin();
        assert!(unknown.is_awaited("new"));
        assert!(unknown.is_awaited("newer"), "it came after the fetch began");
        unknown.end(|_| false);
        assert!(!unknown.is_awaited("new"));
        assert!(unknown.is_awaited("newer"));
        fetch(&mut unknown, &[]);
        assert!(!unknown.is_awaited("newer"));
        // What is missing stays so, until it is there.
        fetch(&mut unknown, &["new"]);
        assert!(!unknown.is_awaited("newer"));
        assert!(unknown.is_awaited("new"), "it was there, and is gone");
    }

    #[test]
    fn a_fetch_that_fails_tells_nothing() {
        let mut unknown = UnknownKeys::default();
        assert!(unknown.is_awaited("new"));
        unknown.begin();
        unknown.fail();
        assert!(unknown.is_awaited("new"));
        fetch(&mut unknown, &[]);
        assert!(!unknown.is_awaited("new"));
    }

    #[test]
    fn no_more_names_than_the_bound_are_kept() {
        let mut unknown = UnknownKeys::default();
        let names: Vec<_> = (0..NAMES_MAX).map(|number| number.to_string()).collect();
        assert!(names.iter().all(|name| unknown.is_awaited(name)));
        assert!(unknown.is_awaited("one more"));
        assert_eq!(unknown.awaited.len(), NAMES_MAX);
        unknown.begin();
        assert!(unknown.is_awaited("during the fetch"));
        unknown.fail();
        assert_eq!(unknown.awaited.len(), NAMES_MAX);
        fetch(&mut unknown, &[]);
        assert!(!unknown.is_awaited("during the fetch"));
        assert!(unknown.is_awaited(&names[0]), "the longest known went");
        fetch(&mut unknown, &[]);
        assert_eq!(unknown.missing.len(), NAMES_MAX);
        assert!(!unknown.is_awaited(&names[0]));
    }
}
