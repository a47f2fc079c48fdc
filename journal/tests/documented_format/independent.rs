//! A reader of a journal's files, written from docs/journal.md alone. It takes a sound journal, and
//! panics where anything is not as documented.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

const BLOCK: usize = 4096;

/// The content of a journal.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// The records by their sequence numbers, settled or not.
    pub(crate) records: BTreeMap<u64, Record>,
    pub(crate) cursor: u64,
    /// The settled ranges of all states, not merged.
    pub(crate) ranges: Vec<Range<u64>>,
    /// Accepted, delivered, dead-lettered, lost.
    pub(crate) counts: [u64; 4],
    pub(crate) segments: usize,
    pub(crate) commits: usize,
}

/// A record with the attributes of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: Vec<u8>,
    pub(crate) time_ns: u64,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) user: String,
    pub(crate) optional: [Option<String>; 3],
    pub(crate) digests: Option<Vec<u8>>,
    pub(crate) customer: String,
    pub(crate) key: String,
    pub(crate) data: Vec<u8>,
}

/// The end of a segment, as the next one's header has it.
struct PreviousEnd {
    segment: u64,
    offset: usize,
    sequence: u64,
    checksum: u32,
}

struct Header {
    nonce: Vec<u8>,
    first_commit: u64,
    previous: Option<PreviousEnd>,
}

/// Bytes that are read from their front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        self.0.split_off(..count).expect("so many bytes")
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("4 bytes"))
    }

    fn size(&mut self) -> usize {
        self.u32() as usize
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("8 bytes"))
    }

    fn text(&mut self) -> String {
        let length = self.size();
        String::from_utf8(self.take(length).to_owned()).expect("UTF-8")
    }

    fn range(&mut self) -> Range<u64> {
        self.u64()..self.u64()
    }
}

/// CRC32C, a bit at a time.
fn crc32c(parts: [&[u8]; 2]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut sum = !0_u32;
    for byte in parts.into_iter().flatten() {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = sum & 1;
            sum = (sum >> 1) ^ (POLYNOMIAL * carry);
        }
    }
    !sum
}

/// Checks that the last 4 bytes are the checksum of those before them, and returns these.
fn sealed<'a>(nonce: &[u8], bytes: &'a [u8]) -> &'a [u8] {
    let (content, checksum) = bytes.split_last_chunk::<4>().expect("a checksum");
    assert_eq!(crc32c([nonce, content]), u32::from_le_bytes(*checksum));
    content
}

/// The same for a numbered checksum.
fn sealed_at<'a>(nonce: &[u8], sequence: u64, bytes: &'a [u8]) -> &'a [u8] {
    sealed(&[nonce, &sequence.to_le_bytes()].concat(), bytes)
}

/// Reads a folder.
pub(crate) fn read(folder: &Path) -> Content {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".journal"))
        .collect();
    names.sort();
    let files: Vec<(u64, Vec<u8>)> = names
        .iter()
        .map(|name| {
            assert_eq!(name.len(), 20 + ".journal".len());
            let first = name[..20].parse().expect("a number");
            (first, fs::read(folder.join(name)).expect("a segment"))
        })
        .collect();
    let mut content = Content {
        segments: files.len(),
        ..Content::default()
    };
    let headers: Vec<Header> = files
        .iter()
        .map(|(first, bytes)| header(bytes, *first, &mut content))
        .collect();
    for (index, (first, bytes)) in files.iter().enumerate() {
        let next = headers.get(index + 1);
        let end = next.and_then(|next| next.previous.as_ref());
        if let Some(end) = end {
            assert_eq!(end.segment, *first, "no segment is missing");
        }
        segment(bytes, *first, &headers[index], end, &mut content);
    }
    content
}

fn header(segment: &[u8], first: u64, content: &mut Content) -> Header {
    assert_eq!(segment.len() % BLOCK, 0);
    let block = &segment[..BLOCK];
    assert!(block.starts_with(b"IEMJRNL\0"));
    let nonce = block[16..24].to_owned();
    let mut bytes = Bytes(sealed(&nonce, block));
    bytes.take(8);
    assert_eq!(bytes.u32(), 1, "the version");
    assert_eq!(bytes.size(), BLOCK);
    bytes.take(8);
    assert_eq!(bytes.u64(), first);
    let first_commit = bytes.u64();
    let previous = (bytes.u8() == 1).then(|| PreviousEnd {
        segment: bytes.u64(),
        offset: usize::try_from(bytes.u64()).expect("an offset"),
        sequence: bytes.u64(),
        checksum: bytes.u32(),
    });
    state(&mut bytes, content);
    assert!(bytes.0.iter().all(|byte| *byte == 0));
    Header {
        nonce,
        first_commit,
        previous,
    }
}

fn state(bytes: &mut Bytes<'_>, content: &mut Content) {
    content.cursor = content.cursor.max(bytes.u64());
    content.counts = [(); 4].map(|()| bytes.u64());
    let ranges = bytes.u32();
    assert!(ranges <= 64);
    content.ranges.extend((0..ranges).map(|_| bytes.range()));
}

fn segment(
    segment: &[u8],
    first: u64,
    header: &Header,
    end: Option<&PreviousEnd>,
    content: &mut Content,
) {
    let nonce = &header.nonce;
    let mut sequence = first;
    let mut number = header.first_commit;
    let mut checksum = header.previous.as_ref().map_or(0, |end| end.checksum);
    let mut offset = BLOCK;
    let limit = end.map_or(segment.len(), |end| end.offset);
    while offset < limit && segment[offset..].starts_with(b"CMT1") {
        let commit = &segment[offset..];
        if commit[8..16] != **nonce {
            break;
        }
        let length = Bytes(&commit[4..]).size();
        let mut bytes = Bytes(sealed(nonce, &commit[..length]));
        bytes.take(16);
        assert_eq!(bytes.u64(), number);
        assert_eq!(bytes.u64(), sequence);
        let count = bytes.u32();
        let payload_bytes = bytes.size();
        assert_eq!(bytes.u32(), checksum, "the commit before");
        let payload_checksum = bytes.u32();
        state(&mut bytes, content);
        assert!(bytes.0.is_empty());
        let commit_bytes = (length + payload_bytes).next_multiple_of(BLOCK);
        let padded = &commit[length..commit_bytes];
        assert_eq!(crc32c([nonce, padded]), payload_checksum);
        let (payload, zeros) = padded.split_at(payload_bytes);
        assert!(zeros.iter().all(|byte| *byte == 0));
        if count == 0 {
            let mut bytes = Bytes(payload);
            let ranges = bytes.u32();
            content.ranges.extend((0..ranges).map(|_| bytes.range()));
            assert!(bytes.0.is_empty());
        } else {
            self::payload(payload, nonce, sequence, count, content);
        }
        checksum = u32::from_le_bytes(commit[length - 4..length].try_into().expect("4 bytes"));
        sequence += u64::from(count);
        number += 1;
        offset += commit_bytes;
        content.commits += 1;
    }
    if let Some(end) = end {
        assert_eq!(
            (offset, sequence, checksum),
            (end.offset, end.sequence, end.checksum)
        );
    }
}

fn payload(payload: &[u8], nonce: &[u8], first: u64, count: u32, content: &mut Content) {
    let requests = Bytes(payload).size();
    let table = sealed_at(nonce, first, &payload[..4 + 8 * requests + 4]);
    let mut rest = Bytes(&payload[table.len() + 4..]);
    let mut table = Bytes(&table[4..]);
    let mut sequence = first;
    for _ in 0..requests {
        let bytes = table.size();
        let records = u64::from(table.u32());
        for record in request(rest.take(bytes), nonce, sequence, records) {
            content.records.insert(sequence, record);
            sequence += 1;
        }
    }
    assert_eq!(sequence, first + u64::from(count));
    assert!(rest.0.is_empty());
}

fn request(request: &[u8], nonce: &[u8], first: u64, count: u64) -> Vec<Record> {
    let length = Bytes(request).size();
    let mut bytes = Bytes(sealed_at(nonce, first, &request[..length]));
    bytes.take(4);
    assert_eq!(u64::from(bytes.u32()), count);
    let lengths: Vec<usize> = (0..count).map(|_| bytes.size()).collect();
    let flags = bytes.u8();
    let time_ns = bytes.u64();
    let (source, kind, user) = (bytes.text(), bytes.text(), bytes.text());
    let optional = [1, 2, 4].map(|flag| (flags & flag != 0).then(|| bytes.text()));
    let digests = (flags & 8 != 0).then(|| bytes.take(64).to_owned());
    let customers = bytes.u32();
    let customers: Vec<String> = (0..customers).map(|_| bytes.text()).collect();
    assert!(bytes.0.is_empty());
    let mut records = Bytes(&request[length..]);
    let records = (first..).zip(lengths).map(|(sequence, length)| {
        let mut bytes = Bytes(sealed_at(nonce, sequence, records.take(length)));
        Record {
            id: bytes.take(16).to_owned(),
            time_ns,
            source: source.clone(),
            kind: kind.clone(),
            user: user.clone(),
            optional: optional.clone(),
            digests: digests.clone(),
            customer: customers[bytes.size()].clone(),
            key: bytes.text(),
            data: bytes.0.to_owned(),
        }
    });
    records.collect()
}
