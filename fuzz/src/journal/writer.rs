//! A writer of a journal's files, written from docs/journal.md. With its help an input can claim
//! anything in headers whose checksums match.

use std::collections::BTreeMap;

use super::Content;

pub(super) const BLOCK: usize = 4096;

/// The segments by their first sequence numbers.
pub(super) type Files = BTreeMap<u64, Vec<u8>>;

/// The most commits of a journal, so that an input is fast.
const COMMITS_MAX: usize = 12;

/// A segment's nonce.
#[derive(Clone, Copy)]
pub(super) struct Nonce(pub(super) [u8; 8]);

impl Nonce {
    pub(super) fn checksum(self, parts: &[&[u8]]) -> [u8; 4] {
        let first = crc32c::crc32c(&self.0);
        let sum = parts
            .iter()
            .fold(first, |sum, part| crc32c::crc32c_append(sum, part));
        sum.to_le_bytes()
    }
}

/// The bytes of an input, taken as numbers.
pub(super) struct Claims<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// Whether a number may be a lie.
    lies: bool,
}

impl<'a> Claims<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
            lies: true,
        }
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or_default()
    }

    fn is_over(&self) -> bool {
        self.bytes.len() == 0
    }

    fn pair(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// Returns the number, or what the input says in its place.
    fn number(&mut self, honest: u64) -> u64 {
        if !self.lies {
            return honest;
        }
        match self.byte() {
            byte @ 1..=15 => u64::from(byte),
            byte @ 16..=31 => honest.wrapping_add(u64::from(byte - 15)),
            byte @ 32..=47 => honest.wrapping_sub(u64::from(byte - 31)),
            byte @ 48..=63 => u64::MAX - u64::from(byte - 48),
            byte @ 64..=79 => (1 << 62) - u64::from(byte - 64),
            byte @ 80..=95 => u64::from(u32::MAX) - u64::from(byte - 80),
            byte @ 96..=111 => 1 << (4 * (byte - 96)),
            _ => honest,
        }
    }

    fn short(&mut self, honest: usize) -> u32 {
        u32::try_from(self.number(honest as u64) & u64::from(u32::MAX)).unwrap_or_default()
    }
}

/// A journal that is being written.
struct Writer<'a, 'b> {
    claims: &'a mut Claims<'b>,
    files: Files,
    written: BTreeMap<u64, Content>,
    segment: Vec<u8>,
    first: u64,
    nonce: Nonce,
    previous: Option<(u64, u64, [u8; 4])>,
    checksum: [u8; 4],
    sequence: u64,
    number: u64,
    low: u64,
    ids: u128,
}

/// Returns a journal whose numbers may be lies, and whose checksums match.
pub(super) fn sealed(claims: &mut Claims<'_>) -> Files {
    claims.lies = true;
    Writer::new(claims).write().files
}

/// Returns a sound journal that was damaged, and the records that it had.
pub(super) fn damaged(claims: &mut Claims<'_>) -> (Files, BTreeMap<u64, Content>) {
    claims.lies = false;
    let writer = Writer::new(claims).write();
    let (mut files, written) = (writer.files, writer.written);
    while !claims.is_over() && !files.is_empty() {
        damage(&mut files, claims);
    }
    (files, written)
}

impl<'a, 'b> Writer<'a, 'b> {
    fn new(claims: &'a mut Claims<'b>) -> Self {
        Self {
            claims,
            files: Files::new(),
            written: BTreeMap::new(),
            segment: Vec::new(),
            first: 0,
            nonce: Nonce([0; 8]),
            previous: None,
            checksum: [0; 4],
            sequence: 0,
            number: 0,
            low: 0,
            // Found fast among zeros.
            ids: 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834,
        }
    }

    fn write(mut self) -> Self {
        self.begin_segment();
        let steps = usize::from(self.claims.byte()) % COMMITS_MAX;
        for _ in 0..steps {
            match self.claims.byte() % 8 {
                0 => self.begin_segment(),
                1 => self.commit_ranges(),
                2 => self.low = (self.low + 1).min(self.sequence),
                how => self.commit_records(how),
            }
        }
        self.end_segment();
        self
    }

    fn end_segment(&mut self) {
        if !self.segment.is_empty() {
            let offset = self.segment.len() as u64;
            self.previous = Some((self.first, offset, self.checksum));
            // What the file held before.
            self.segment.resize(self.segment.len() + BLOCK, 0);
            let segment = std::mem::take(&mut self.segment);
            self.files.insert(self.first, segment);
        }
    }

    fn begin_segment(&mut self) {
        self.end_segment();
        if let Some((previous, ..)) = self.previous {
            self.sequence = self.sequence.max(previous + 1);
        }
        self.first = self.claims.number(self.sequence).min(1 << 60);
        self.nonce = Nonce([self.files.len() as u8 + 1; 8]);
        let mut block = b"IEMJRNL\0".to_vec();
        block.extend(1_u32.to_le_bytes());
        block.extend((BLOCK as u32).to_le_bytes());
        block.extend(self.nonce.0);
        block.extend(self.claims.number(self.first).to_le_bytes());
        block.extend(self.claims.number(self.number).to_le_bytes());
        block.push(u8::from(self.previous.is_some()));
        if let Some((segment, offset, checksum)) = self.previous {
            for number in [segment, offset, self.sequence] {
                block.extend(self.claims.number(number).to_le_bytes());
            }
            block.extend(checksum);
        }
        self.state(&mut block, 0);
        block.resize(BLOCK - 4, 0);
        block.extend(self.nonce.checksum(&[&block]));
        self.segment = block;
    }

    fn state(&mut self, buffer: &mut Vec<u8>, count: u64) {
        let accepted = self.sequence + count;
        for number in [self.low, accepted, self.low, 0, 0] {
            buffer.extend(self.claims.number(number).to_le_bytes());
        }
        self.ranges(buffer);
    }

    fn ranges(&mut self, buffer: &mut Vec<u8>) {
        buffer.extend(self.claims.short(0).to_le_bytes());
    }

    fn commit_ranges(&mut self) {
        let mut payload = Vec::new();
        self.ranges(&mut payload);
        self.commit(0, &payload);
    }

    fn commit_records(&mut self, how: u8) {
        let requests = usize::from(how % 3) + 1;
        let mut table = self.claims.short(requests).to_le_bytes().to_vec();
        let mut all = Vec::new();
        let mut count = 0;
        for request in 0..requests {
            let records = usize::from(how % 2) + 1;
            let bytes = self.request(records, request, count);
            table.extend(self.claims.short(bytes.len()).to_le_bytes());
            table.extend(self.claims.short(records).to_le_bytes());
            all.extend(bytes);
            count += records as u64;
        }
        let first = self.sequence.to_le_bytes();
        table.extend(self.nonce.checksum(&[&first, &table]));
        table.extend(all);
        self.commit(count, &table);
    }

    fn request(&mut self, records: usize, request: usize, before: u64) -> Vec<u8> {
        let mut bodies = Vec::new();
        let mut shared = vec![0; 4];
        shared.extend(self.claims.short(records).to_le_bytes());
        for index in 0..records {
            let data = vec![b'a' + (request as u8); 10 * request + 700 * index];
            self.ids += 1;
            let id = self.ids.to_be_bytes();
            let mut record = id.to_vec();
            record.extend(self.claims.short(0).to_le_bytes());
            record.extend(self.claims.short(3).to_le_bytes());
            record.extend(b"1/k");
            record.extend(&data);
            let sequence = self.sequence + before + index as u64;
            record.extend(self.nonce.checksum(&[&sequence.to_le_bytes(), &record]));
            shared.extend(self.claims.short(record.len()).to_le_bytes());
            bodies.extend(record);
            self.written.insert(sequence, (id.to_vec(), data));
        }
        shared.push((self.claims.number(0) & 0xff) as u8);
        shared.extend(self.claims.number(1 << 60).to_le_bytes());
        for text in ["source", "iem.event", "user"] {
            shared.extend(self.claims.short(text.len()).to_le_bytes());
            shared.extend(text.as_bytes());
        }
        shared.extend(self.claims.short(1).to_le_bytes());
        shared.extend(self.claims.short(1).to_le_bytes());
        shared.push(b'1');
        let length = self.claims.short(shared.len() + 4);
        shared[..4].copy_from_slice(&length.to_le_bytes());
        // The checksum stands where the length says, if that is here.
        let first = (self.sequence + before).to_le_bytes();
        let checksum = self.nonce.checksum(&[&first, &shared]);
        shared.extend(checksum);
        shared.extend(bodies);
        shared
    }

    fn commit(&mut self, count: u64, payload: &[u8]) {
        let mut header = b"CMT1\0\0\0\0".to_vec();
        header.extend(self.nonce.0);
        header.extend(self.claims.number(self.number).to_le_bytes());
        header.extend(self.claims.number(self.sequence).to_le_bytes());
        header.extend(self.claims.short(count as usize).to_le_bytes());
        let claimed = self.claims.short(payload.len());
        header.extend(claimed.to_le_bytes());
        header.extend(self.checksum);
        header.extend([0; 4]);
        self.state(&mut header, count);
        let length = header.len() + 4;
        header[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        let end = (length + payload.len()).next_multiple_of(BLOCK);
        let padded = [payload, &vec![0; end - length - payload.len()]].concat();
        let claimed_end = (length + claimed as usize).next_multiple_of(BLOCK);
        let covered = &padded[..padded.len().min(claimed_end - length)];
        header[44..48].copy_from_slice(&self.nonce.checksum(&[covered]));
        self.checksum = self.nonce.checksum(&[&header]);
        header.extend(self.checksum);
        self.segment.extend(header);
        self.segment.extend(padded);
        self.number += 1;
        self.sequence += count;
    }
}

/// Damages one of the files in one way.
fn damage(files: &mut Files, claims: &mut Claims<'_>) {
    let how = claims.byte();
    let chosen = usize::from(claims.byte()) % files.len();
    let name = *files.keys().nth(chosen).expect("so many files");
    let file = files.get_mut(&name).expect("its name");
    let at = claims.pair() % file.len().max(1);
    let block = at / BLOCK * BLOCK;
    let block_end = file.len().min(block + BLOCK);
    match how % 7 {
        0 => {
            if let Some(byte) = file.get_mut(at) {
                *byte ^= claims.byte();
            }
        }
        1 => file[block..block_end].fill(0),
        2 => file.truncate(at),
        3 => drop(files.remove(&name)),
        4 => {
            let copy = file[block..block_end].to_vec();
            let chosen = usize::from(claims.byte()) % files.len();
            let other = files.values_mut().nth(chosen).expect("so many files");
            let to = claims.pair() % other.len().max(1) / BLOCK * BLOCK;
            let length = copy.len().min(other.len() - to);
            other[to..to + length].copy_from_slice(&copy[..length]);
        }
        5 => {
            let content = file.clone();
            let name = claims.byte();
            files.insert(u64::from(name), content);
        }
        _ => {
            let number = claims.number(1).to_le_bytes();
            let length = number.len().min(file.len() - at);
            file[at..at + length].copy_from_slice(&number[..length]);
        }
    }
}
