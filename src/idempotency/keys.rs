//! The keys of a window, in the order of their last outcomes: each user's, and all. The oldest makes
//! room when there is none, and an old one goes by itself, at most a few at a time.

#[cfg(test)]
mod sound;

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use slab::Slab;

use super::Settled;
use super::list::{Linked, Links, List};
use super::progress::Progress;
use super::state::State;

/// The part of the window that one user may hold.
const USER_PART: usize = 4;
/// The places of a user, beside those of its keys.
const USER_PLACES: usize = 1;

/// A key as a window knows it: a digest of user, endpoint and key.
pub(super) type Short = [u8; 16];

/// The digest of a request's records as a window knows it.
pub(super) type BodyDigest = [u8; 16];

/// One key.
pub(super) struct Entry {
    pub(super) body: BodyDigest,
    pub(super) state: State,
    key: Short,
    since: Instant,
    user: u32,
    links: [Links; 2],
}

/// The list of the keys of all users.
const ALL: usize = 0;
/// The list of a user's keys.
const OWN: usize = 1;

impl Linked for Entry {
    fn links(&mut self, list: usize) -> &mut Links {
        &mut self.links[list]
    }
}

/// The keys of all users.
pub(super) struct Keys {
    entries: Slab<Entry>,
    /// Clients can make keys with digests of their choice, but do not know the seed of the table.
    by_key: HashMap<Short, u32>,
    /// The keys that may go, the next one first. One under way is in no list.
    all: List<ALL>,
    users: Slab<User>,
    by_email: HashMap<Arc<str>, u32>,
    places: usize,
    places_max: usize,
    time: Duration,
    evicted: u64,
}

struct User {
    email: Arc<str>,
    own: List<OWN>,
    keys: usize,
    places: usize,
}

impl Keys {
    pub(super) fn new(places_max: usize, time: Duration) -> Self {
        Self {
            entries: Slab::new(),
            by_key: HashMap::new(),
            all: List::default(),
            users: Slab::new(),
            by_email: HashMap::new(),
            places: 0,
            places_max,
            time,
            evicted: 0,
        }
    }

    /// Returns the time of a key after its last outcome.
    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// Returns the places that are taken.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Returns the number of keys that went before their time.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Returns a key that is not over at `now`.
    pub(super) fn find(&mut self, key: &Short, now: Instant) -> Option<u32> {
        let index = *self.by_key.get(key)?;
        if self.is_over(index, now) {
            self.remove(index);
            return None;
        }
        Some(index)
    }

    pub(super) fn get(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    /// Adds a key whose first attempt begins, in the place of older ones if there is no other. `None`
    /// if it has no place.
    pub(super) fn insert(
        &mut self,
        email: &Arc<str>,
        key: Short,
        body: BodyDigest,
        progress: &Arc<Progress>,
        now: Instant,
    ) -> Option<u32> {
        let state = State::UnderWay(Arc::clone(progress));
        let mut user = self.by_email.get(email).copied();
        let has_room = self.make_room(&mut user, state.places());
        has_room.then(|| self.add(email, user, key, body, state, now))
    }

    /// Adds a key that was journaled before the start, if there is a place and the key is unknown. It
    /// goes before all others.
    pub(super) fn restore(
        &mut self,
        email: &Arc<str>,
        key: Short,
        body: BodyDigest,
        since: Instant,
    ) {
        if let Some(index) = self.by_key.get(&key).copied() {
            let entry = &self.entries[index as usize];
            if !matches!(entry.state, State::Restored) || entry.since >= since {
                return;
            }
            // A later request took the key anew.
            self.remove(index);
        }
        let user = self.by_email.get(email).copied();
        if self.has_room(user, State::Restored.places()) {
            let index = self.add(email, user, key, body, State::Restored, since);
            self.link_first(index);
        }
    }

    fn add(
        &mut self,
        email: &Arc<str>,
        user: Option<u32>,
        key: Short,
        body: BodyDigest,
        state: State,
        since: Instant,
    ) -> u32 {
        let user = user.unwrap_or_else(|| self.add_user(email));
        let places = state.places();
        let index = narrow(self.entries.insert(Entry {
            body,
            state,
            key,
            since,
            user,
            links: [Links::default(); 2],
        }));
        self.by_key.insert(key, index);
        let user = &mut self.users[user as usize];
        user.keys += 1;
        user.places += places;
        self.places += places;
        index
    }

    /// Begins another attempt with a key that is there, in the place of other keys if need be. Returns
    /// whether there is a place for it.
    pub(super) fn begin(&mut self, index: u32, progress: &Arc<Progress>) -> bool {
        self.unlink(index);
        let entry = &self.entries[index as usize];
        let state = State::UnderWay(Arc::clone(progress));
        let more = state.places().saturating_sub(entry.state.places());
        let has_room = self.make_room(&mut Some(entry.user), more);
        if has_room {
            self.set_state(index, state);
        } else {
            self.link_first(index);
        }
        has_room
    }

    /// Keeps a key under way whose request has been answered, with the outcomes of so many records. It
    /// takes more places, at the cost of the user's own keys alone. Returns whether there are any.
    pub(super) fn stay(&mut self, index: u32, progress: &Arc<Progress>, records: usize) -> bool {
        debug_assert!(self.is_of(index, progress));
        let entry = &self.entries[index as usize];
        let late = State::Late(Arc::clone(progress), records);
        let more = late.places().saturating_sub(entry.state.places());
        let user = entry.user;
        while !self.has_room(Some(user), more) {
            let Some(oldest) = self.users[user as usize].own.first() else {
                return false;
            };
            self.evicted += 1;
            self.remove(oldest);
        }
        self.set_state(index, late);
        true
    }

    /// Notes the outcomes of a key's records, from which its time counts.
    pub(super) fn settle(
        &mut self,
        index: u32,
        progress: &Progress,
        settled: &Arc<Settled>,
        now: Instant,
    ) {
        debug_assert!(self.is_of(index, progress));
        self.set_state(index, State::of(settled));
        self.link(index);
        let entry = &mut self.entries[index as usize];
        entry.since = now;
        if entry.state.places() > self.places_max / USER_PART {
            // The outcomes of so many records take more than there is for a user.
            self.evicted += 1;
            self.remove(index);
            return;
        }
        // It may go itself.
        let user = entry.user;
        self.make_room(&mut Some(user), 0);
    }

    /// Puts a key back into the state before an attempt that came to nothing.
    pub(super) fn give_back(&mut self, index: u32, progress: &Progress) {
        debug_assert!(self.is_of(index, progress));
        match &progress.before {
            Some(before) => {
                self.set_state(index, State::of(before));
                self.link_first(index);
            }
            None => self.remove(index),
        }
    }

    /// Removes the oldest keys whose time is over, at most so many.
    pub(super) fn expire(&mut self, now: Instant, most: usize) {
        for _ in 0..most {
            match self.all.first() {
                Some(first) if self.is_over(first, now) => self.remove(first),
                _ => return,
            }
        }
    }

    /// Whether the entry is that of the attempt with this progress.
    fn is_of(&self, index: u32, progress: &Progress) -> bool {
        let entry = self.entries.get(index as usize);
        entry.is_some_and(|entry| match &entry.state {
            State::UnderWay(own) | State::Late(own, _) => std::ptr::eq(&raw const **own, progress),
            State::Delivered(_) | State::Restored | State::Partly(_) => false,
        })
    }

    fn is_over(&self, index: u32, now: Instant) -> bool {
        let entry = &self.entries[index as usize];
        !entry.state.is_under_way() && now.saturating_duration_since(entry.since) >= self.time
    }

    /// Adds a user, and returns its number.
    fn add_user(&mut self, email: &Arc<str>) -> u32 {
        let user = narrow(self.users.insert(User {
            email: Arc::clone(email),
            own: List::default(),
            keys: 0,
            places: USER_PLACES,
        }));
        self.by_email.insert(Arc::clone(email), user);
        self.places += USER_PLACES;
        user
    }

    fn set_state(&mut self, index: u32, state: State) {
        let entry = &mut self.entries[index as usize];
        let places = state.places();
        let before = std::mem::replace(&mut entry.state, state);
        let user = &mut self.users[entry.user as usize];
        user.places = user.places + places - before.places();
        self.places = self.places + places - before.places();
    }

    fn link(&mut self, index: u32) {
        let user = self.entries[index as usize].user as usize;
        self.all.push(&mut self.entries, index);
        self.users[user].own.push(&mut self.entries, index);
    }

    fn link_first(&mut self, index: u32) {
        let user = self.entries[index as usize].user as usize;
        self.all.push_first(&mut self.entries, index);
        self.users[user].own.push_first(&mut self.entries, index);
    }

    fn unlink(&mut self, index: u32) {
        let user = self.entries[index as usize].user as usize;
        self.all.remove(&mut self.entries, index);
        self.users[user].own.remove(&mut self.entries, index);
    }

    fn remove(&mut self, index: u32) {
        if !self.entries[index as usize].state.is_under_way() {
            self.unlink(index);
        }
        let entry = self.entries.remove(index as usize);
        self.by_key.remove(&entry.key);
        let places = entry.state.places();
        self.places -= places;
        let user = &mut self.users[entry.user as usize];
        user.keys -= 1;
        user.places -= places;
        if user.keys == 0 {
            self.places -= user.places;
            let user = self.users.remove(entry.user as usize);
            self.by_email.remove(&user.email);
        }
    }

    /// Returns whether there are places for a user's key; `None` is one who is not there yet.
    fn has_room(&self, user: Option<u32>, places: usize) -> bool {
        let (own, more) = match user {
            Some(user) => (self.users[user as usize].places, places),
            None => (USER_PLACES, USER_PLACES + places),
        };
        own + places <= self.places_max / USER_PART && self.places + more <= self.places_max
    }

    /// Makes room for a user's key. Returns whether there is room. The user is `None` afterwards if
    /// it has lost its last key.
    ///
    /// A user within its fair part of the window makes room at the cost of the oldest key of all,
    /// another one at its own.
    fn make_room(&mut self, user: &mut Option<u32>, places: usize) -> bool {
        while !self.has_room(*user, places) {
            let known = user.map(|user| &self.users[user as usize]);
            let own = known.map_or(USER_PLACES, |user| user.places);
            let is_over_bound = own + places > self.places_max / USER_PART;
            let is_over_part = (own + places) * self.users.len() > self.places_max;
            let oldest = match known.and_then(|user| user.own.first()) {
                Some(oldest) if is_over_bound || is_over_part => Some(oldest),
                _ if is_over_bound => None,
                _ => self.all.first(),
            };
            let Some(oldest) = oldest else {
                return false;
            };
            self.evicted += 1;
            self.remove(oldest);
            *user = user.filter(|user| self.users.contains(*user as usize));
        }
        true
    }
}

/// There are far fewer keys than 2^32.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
