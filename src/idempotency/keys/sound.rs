//! What has to hold of the keys after each step, for tests.

use super::{ALL, Keys, OWN, USER_PART, USER_PLACES, narrow};

impl Keys {
    /// Panics unless the places are those of the keys and the users, within their bounds, and each
    /// list has the keys that are not under way.
    pub(in crate::idempotency) fn assert_sound(&self) {
        let of_keys = |user: Option<u32>| -> usize {
            let keys = self.entries.iter().map(|(_, entry)| entry);
            let keys = keys.filter(|entry| user.is_none_or(|user| entry.user == user));
            keys.map(|entry| entry.state.places()).sum()
        };
        assert_eq!(self.places, of_keys(None) + self.users.len() * USER_PLACES);
        assert!(self.places <= self.places_max);
        assert_eq!(self.by_key.len(), self.entries.len());
        assert_eq!(self.by_email.len(), self.users.len());
        let linked = |first: Option<u32>, list: usize| -> Vec<u32> {
            let next = |index: &u32| self.entries[*index as usize].links[list].next();
            std::iter::successors(first, next).collect()
        };
        let mut all = linked(self.all.first(), ALL);
        all.sort_unstable();
        let settled = self.entries.iter();
        let settled = settled.filter(|(_, entry)| !entry.state.is_under_way());
        let settled: Vec<_> = settled.map(|(index, _)| narrow(index)).collect();
        assert_eq!(all, settled);
        for (number, user) in &self.users {
            let places = of_keys(Some(narrow(number))) + USER_PLACES;
            assert_eq!(user.places, places);
            assert!(places <= self.places_max / USER_PART);
            let mut own = linked(user.own.first(), OWN);
            own.sort_unstable();
            let of_user = |index: &u32| self.entries[*index as usize].user == narrow(number);
            let expected: Vec<_> = settled.iter().copied().filter(of_user).collect();
            assert_eq!(own, expected);
        }
    }
}
