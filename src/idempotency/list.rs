//! A list through the entries of a slab, each of which knows its neighbours.

use slab::Slab;

/// The index of no entry.
const NONE: u32 = u32::MAX;

/// The neighbours of an entry.
#[derive(Clone, Copy)]
pub(super) struct Links {
    previous: u32,
    next: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            previous: NONE,
            next: NONE,
        }
    }
}

#[cfg(test)]
impl Links {
    pub(super) fn next(self) -> Option<u32> {
        (self.next != NONE).then_some(self.next)
    }
}

/// An entry of lists, of which it has the links by their numbers.
pub(super) trait Linked {
    fn links(&mut self, list: usize) -> &mut Links;
}

/// The ends of the list with this number.
pub(super) struct List<const LIST: usize> {
    first: u32,
    last: u32,
}

impl<const LIST: usize> Default for List<LIST> {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
        }
    }
}

impl<const LIST: usize> List<LIST> {
    /// Returns the entry that has been in the list for longest.
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Adds an entry behind all others.
    pub(super) fn push<T: Linked>(&mut self, entries: &mut Slab<T>, index: u32) {
        *entries[index as usize].links(LIST) = Links {
            previous: self.last,
            next: NONE,
        };
        match entries.get_mut(self.last as usize) {
            Some(last) => last.links(LIST).next = index,
            None => self.first = index,
        }
        self.last = index;
    }

    /// Adds an entry before all others.
    pub(super) fn push_first<T: Linked>(&mut self, entries: &mut Slab<T>, index: u32) {
        *entries[index as usize].links(LIST) = Links {
            previous: NONE,
            next: self.first,
        };
        match entries.get_mut(self.first as usize) {
            Some(first) => first.links(LIST).previous = index,
            None => self.last = index,
        }
        self.first = index;
    }

    /// Takes an entry out, which is in the list.
    pub(super) fn remove<T: Linked>(&mut self, entries: &mut Slab<T>, index: u32) {
        let Links { previous, next } = *entries[index as usize].links(LIST);
        match entries.get_mut(previous as usize) {
            Some(entry) => entry.links(LIST).next = next,
            None => self.first = next,
        }
        match entries.get_mut(next as usize) {
            Some(entry) => entry.links(LIST).previous = previous,
            None => self.last = previous,
        }
    }
}
