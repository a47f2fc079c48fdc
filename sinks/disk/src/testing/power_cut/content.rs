//! The content of one file: what is durable, and all that was written since, sector by sector.

use std::collections::BTreeMap;

/// The size of what a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// The content of a file.
#[derive(Default)]
pub(super) struct Content {
    durable: Vec<u8>,
    lengths: Versions<usize>,
    /// The sectors that were written. Each version reaches up to the last byte of the sector that
    /// was in the file, and zeros follow.
    sectors: BTreeMap<usize, Versions<Vec<u8>>>,
}

/// The versions of something since it was last durable, oldest first.
struct Versions<T> {
    since: Vec<T>,
    /// The number of versions at the last failed sync. No sync makes these durable.
    doubtful: usize,
}

impl Content {
    /// Returns a file whose bytes are durable.
    pub(super) fn new(durable: Vec<u8>) -> Self {
        Self {
            durable,
            ..Self::default()
        }
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let within = at % SECTOR_BYTES;
            let (piece, others) = rest.split_at(rest.len().min(SECTOR_BYTES - within));
            let end = within + piece.len();
            let mut sector = self.sector(at / SECTOR_BYTES).to_owned();
            sector.resize(sector.len().max(end), 0);
            sector[within..end].copy_from_slice(piece);
            self.add_version(at / SECTOR_BYTES, sector);
            at += piece.len();
            rest = others;
        }
        if !bytes.is_empty() && at > self.length() {
            self.lengths.since.push(at);
        }
    }

    pub(super) fn set_len(&mut self, length: usize) {
        let old_length = self.length();
        for number in length / SECTOR_BYTES..old_length.div_ceil(SECTOR_BYTES) {
            let kept = length.saturating_sub(number * SECTOR_BYTES);
            let sector = self.sector(number);
            if sector.len() > kept {
                let sector = sector[..kept].to_owned();
                self.add_version(number, sector);
            }
        }
        if length != old_length {
            self.lengths.since.push(length);
        }
    }

    /// Makes data and length durable, but for what is in doubt since a failed sync.
    pub(super) fn sync(&mut self) {
        if let Some(length) = self.lengths.settle() {
            self.durable.resize(length, 0);
        }
        for (number, versions) in &mut self.sectors {
            if let Some(sector) = versions.settle() {
                put(&mut self.durable, *number, &sector);
            }
        }
        self.sectors
            .retain(|_, versions| !versions.since.is_empty());
    }

    pub(super) fn fail_sync(&mut self) {
        self.lengths.doubt();
        self.sectors.values_mut().for_each(Versions::doubt);
    }

    /// Returns the content after a power cut.
    pub(super) fn after_power_cut(&self, choose: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
        let mut content = self.durable.clone();
        if let Some(length) = self.lengths.choose(choose) {
            content.resize(*length, 0);
        }
        for (number, versions) in &self.sectors {
            if let Some(sector) = versions.choose(choose) {
                put(&mut content, *number, sector);
            }
        }
        content
    }

    /// Returns the length that a reader sees.
    fn length(&self) -> usize {
        let newest = self.lengths.since.last();
        newest.copied().unwrap_or(self.durable.len())
    }

    /// Returns the part of a sector that a reader sees.
    fn sector(&self, number: usize) -> &[u8] {
        let newest = self.sectors.get(&number);
        if let Some(newest) = newest.and_then(|versions| versions.since.last()) {
            return newest;
        }
        let end = self.durable.len();
        let start = number * SECTOR_BYTES;
        &self.durable[start.min(end)..(start + SECTOR_BYTES).min(end)]
    }

    fn add_version(&mut self, number: usize, sector: Vec<u8>) {
        self.sectors.entry(number).or_default().since.push(sector);
    }
}

/// Puts a sector into a file, which is extended for it where that is necessary.
fn put(content: &mut Vec<u8>, number: usize, sector: &[u8]) {
    let start = number * SECTOR_BYTES;
    let end = start + sector.len();
    if !sector.is_empty() && content.len() < end {
        content.resize(end, 0);
    }
    let sector_end = content.len().min(start + SECTOR_BYTES);
    if start < sector_end {
        content[start..end].copy_from_slice(sector);
        content[end..sector_end].fill(0);
    }
}

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self {
            since: Vec::new(),
            doubtful: 0,
        }
    }
}

impl<T> Versions<T> {
    /// Returns the newest version, which is durable from now on, and forgets the others. `None` if
    /// there is none, or none since the last failed sync.
    fn settle(&mut self) -> Option<T> {
        if self.since.len() == self.doubtful {
            return None;
        }
        self.doubtful = 0;
        self.since.drain(..).last()
    }

    fn doubt(&mut self) {
        self.doubtful = self.since.len();
    }

    /// Chooses a version; `None` is the durable one.
    fn choose(&self, choose: &mut impl FnMut(usize) -> usize) -> Option<&T> {
        if self.since.is_empty() {
            return None;
        }
        match choose(1 + self.since.len()) {
            0 => None,
            number => Some(&self.since[number - 1]),
        }
    }
}
