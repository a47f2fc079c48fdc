//! File operations that fail on demand.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;

use parking_lot::Mutex;

use crate::operation::Operation;

/// The operations that fail next, and the number of attempts.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    coming: Vec<Fault>,
    /// The kinds of error of the attempts that fail, by number.
    at: BTreeMap<usize, ErrorKind>,
    attempts: usize,
    /// The number of attempted syncs of each file or folder, by inode.
    syncs: BTreeMap<u64, usize>,
}

struct Fault {
    operation: Operation,
    times: usize,
    kind: ErrorKind,
}

impl Faults {
    /// Makes the next `times` attempts of `operation` fail with `StorageFull`. A write that fails
    /// writes the first half of its bytes; no other operation that fails changes anything.
    pub fn fail(&self, operation: Operation, times: usize) {
        self.fail_with(operation, times, ErrorKind::StorageFull);
    }

    /// Makes the next `times` attempts of `operation` fail with an error of this kind.
    pub fn fail_with(&self, operation: Operation, times: usize, kind: ErrorKind) {
        self.state.lock().coming.push(Fault {
            operation,
            times,
            kind,
        });
    }

    /// Makes the attempt with this number fail with an error of this kind, whatever the operation.
    /// The first attempt since the disk was created, or since the last [`reset`](Self::reset), has
    /// number 1.
    pub fn fail_at(&self, number: usize, kind: ErrorKind) {
        self.state.lock().at.insert(number, kind);
    }

    /// Returns the number of attempted operations, failed ones included, since the disk was created
    /// or since the last [`reset`](Self::reset). `create_folders` attempts one for each folder that
    /// is missing, and one more to sync it.
    pub fn attempts(&self) -> usize {
        self.state.lock().attempts
    }

    /// Makes all operations succeed again.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.coming.clear();
        state.at.clear();
    }

    /// Makes all operations succeed again, and counts attempts and syncs from zero.
    pub fn reset(&self) {
        *self.state.lock() = State::default();
    }

    /// Returns how often a sync of the file or folder with this inode was attempted.
    pub fn syncs_of(&self, inode: u64) -> usize {
        self.state.lock().syncs.get(&inode).copied().unwrap_or(0)
    }

    pub(crate) fn note_sync(&self, file: &File) {
        let inode = file.metadata().map_or(0, |metadata| metadata.ino());
        *self.state.lock().syncs.entry(inode).or_default() += 1;
    }

    pub(crate) fn meet(&self, operation: Operation) -> io::Result<()> {
        let mut state = self.state.lock();
        state.attempts += 1;
        let number = state.attempts;
        if let Some(kind) = state.at.remove(&number) {
            return Err(kind.into());
        }
        match state
            .coming
            .iter_mut()
            .find(|fault| fault.operation == operation && fault.times > 0)
        {
            None => Ok(()),
            Some(fault) => {
                fault.times -= 1;
                Err(fault.kind.into())
            }
        }
    }
}
