//! Checks every checksum of a journal, whether its records are settled or not.

use std::path::Path;

use crate::damage::{Damage, DamageKind};
use crate::error::OpenError;
use crate::look::{Look, Part, Pass, PassProgress};
use crate::scan::Found;

/// The result of a verification.
#[derive(Clone, Debug)]
pub struct Verification {
    /// A message that names the process that has the journal open, if one does.
    pub holder: Option<String>,
    /// The number of segments.
    pub segments: usize,
    /// The commits whose headers are valid.
    pub commits: u64,
    /// The records that are proven by their checksums, settled ones included.
    pub records: u64,
    /// The bytes that were read.
    pub bytes: u64,
    /// All damage. The records that it names are not settled, and cannot be read.
    pub damages: Vec<Damage>,
    /// Whether a running gateway was writing its last commit at this moment. That commit was not
    /// looked at.
    pub is_being_written: bool,
}

impl Verification {
    /// Returns whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
    }
}

/// Verifies the journal of a folder, and tells its progress behind each commit. Blocks.
///
/// # Errors
/// There is no such folder, a later release has written it, or the disk fails. Blocks that cannot
/// be read are no error, but damage.
pub fn verify(
    folder: &Path,
    mut progress: impl FnMut(PassProgress),
) -> Result<Verification, OpenError> {
    let look = Look::at(folder)?;
    let mut verification = Verification {
        holder: look.holder.clone(),
        segments: look.recovered.segments.len(),
        commits: 0,
        records: 0,
        bytes: 0,
        damages: look.recovered.damages.clone(),
        is_being_written: look.is_being_written,
    };
    let mut pass = Pass::through_all(look);
    let mut before: Option<Part> = None;
    while let Some(part) = pass.next()? {
        verification.commits += u64::from(part.found.is_some());
        verification.damages.extend(part.damage(&pass.look));
        if let Some(before) = &before
            && !follows(&part, before)
        {
            verification.damages.push(Damage {
                path: pass.look.path(part.segment),
                bytes: part.contents.bytes.clone(),
                kind: DamageKind::Commit,
                lost: Vec::new(),
            });
        }
        before = Some(part);
        progress(pass.progress());
    }
    let PassProgress { bytes, records, .. } = pass.progress();
    verification.bytes = bytes;
    verification.records = records;
    verification.damages.sort_by(|one, other| {
        let place = |damage: &Damage| (damage.path.clone(), damage.bytes.start);
        place(one).cmp(&place(other))
    });
    Ok(verification)
}

/// Returns whether a commit names the one before it, as far as both can be read.
fn follows(part: &Part, before: &Part) -> bool {
    let number = |found: &Found| found.header.number;
    match (&part.found, &before.found) {
        (Some(found), Some(before_found))
            if part.segment == before.segment && number(found) == number(before_found) + 1 =>
        {
            found.header.previous_checksum == before_found.header.checksum()
        }
        _ => true,
    }
}
