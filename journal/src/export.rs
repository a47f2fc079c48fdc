//! Reads the records of a journal out, beside a running gateway or without one.

use std::path::Path;
use std::time::SystemTime;
use std::vec;

use iem_disk::DiskError;
use iem_sink::Record;

use crate::damage::Damage;
use crate::error::OpenError;
use crate::look::{Look, Pass, PassProgress};

/// The records that are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those that are not settled.
    Unsettled,
    /// All that is acknowledged and can still be read, settled ones in segments that are not removed
    /// yet included; of segments alone that were written at this time or later.
    AcknowledgedSince(SystemTime),
    /// All that can still be read: settled ones in segments that are not removed yet, and those of
    /// a last commit that was not written to its end, too.
    All,
}

/// An iterator over the records of a journal, with their sequence numbers, in order.
pub struct Export {
    pass: Pass,
    selection: Selection,
    records: vec::IntoIter<(u64, Record)>,
    damages: Vec<Damage>,
    is_over: bool,
}

impl Export {
    /// Opens the journal of a folder for reading. Blocks.
    ///
    /// # Errors
    /// There is no such folder, a later release has written it, or the disk fails.
    pub fn open(folder: &Path, selection: Selection) -> Result<Self, OpenError> {
        let look = Look::at(folder)?;
        let damages = look.recovered.damages.clone();
        let pass = match selection {
            Selection::Unsettled => Pass::through_unsettled(look),
            Selection::AcknowledgedSince(time) => Pass::through_all(look.since(time)),
            Selection::All => Pass::through_all(look),
        };
        Ok(Self {
            pass,
            selection,
            records: Vec::new().into_iter(),
            damages,
            is_over: false,
        })
    }

    /// Returns the damage that was met so far.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Returns the progress.
    pub fn progress(&self) -> PassProgress {
        self.pass.progress()
    }

    /// Reads more records. Returns whether there are any more.
    fn read(&mut self) -> Result<bool, DiskError> {
        if let Some(part) = self.pass.next()? {
            let cursor = &self.pass.look.recovered.state.cursor;
            self.damages.extend(part.damage(&self.pass.look));
            let mut records = part.contents.records;
            if self.selection == Selection::Unsettled {
                records.retain(|(sequence, _)| !cursor.is_settled(*sequence));
            }
            self.records = records.into_iter();
            return Ok(true);
        }
        if self.is_over {
            return Ok(false);
        }
        self.is_over = true;
        if self.selection == Selection::All
            && let Some(contents) = self.pass.read_torn()?
        {
            self.records = contents.records.into_iter();
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for Export {
    type Item = Result<(u64, Record), DiskError>;

    /// Returns the next record. After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.records.next() {
                return Some(Ok(record));
            }
            match self.read() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
