//! Any bytes as the files of a journal, in three ways by the first byte: as they are; as the numbers
//! of headers whose checksums match, whatever they claim; and as damage to a sound journal. Checked:
//! nothing panics; a reader and an export return the same records, in order; each of them stands in
//! a file with a checksum that matches, and in the third way it is one that was written, with its
//! sequence number. `scripts/fuzz` bounds each allocation: no length from a file may ask for more
//! than the file has.

mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use iem_journal::{
    Export, Journal, JournalConfig, OnDamage, OpenError, Selection, inspect, verify,
};
use iem_test_support::find;

use crate::folder;
use writer::{BLOCK, Claims, Files, Nonce, damaged, sealed};

/// A record as it is compared: its id and its data.
type Content = (Vec<u8>, Vec<u8>);

/// Checks one input.
pub fn check(input: &[u8]) {
    let Some((way, rest)) = input.split_first() else {
        return;
    };
    match way % 3 {
        0 => check_files(&raw(rest), None),
        1 => check_files(&sealed(&mut Claims::new(rest)), None),
        _ => {
            let (files, written) = damaged(&mut Claims::new(rest));
            check_files(&files, Some(&written));
        }
    }
}

/// Takes bytes as two segments. The first byte is the length of the first one in blocks, the second
/// one names the other.
fn raw(bytes: &[u8]) -> Files {
    let Some(([blocks, name], bytes)) = bytes.split_first_chunk::<2>() else {
        return Files::new();
    };
    let length = usize::from(blocks % 16 + 1) * BLOCK;
    let (one, other) = bytes.split_at(length.min(bytes.len()));
    let mut files = Files::from([(0, one.to_owned())]);
    if !other.is_empty() {
        files.insert(u64::from(*name).max(1), other.to_owned());
    }
    files
}

fn check_files(files: &Files, written: Option<&BTreeMap<u64, Content>>) {
    let folder = folder::create();
    let path = folder.path();
    for (first, bytes) in files {
        fs::write(path.join(format!("{first:020}.journal")), bytes).expect("a file");
    }
    let exported = match look(path) {
        Ok(exported) => exported,
        Err(OpenError::LaterRelease { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let read = read(path, files);
    assert_eq!(read, exported, "a reader and an export differ");
    for (sequence, (id, data)) in &read {
        assert!(
            is_proven(files, *sequence, id, data),
            "{sequence} is not proven"
        );
        if let Some(written) = written {
            let (expected_id, expected) = &written[sequence];
            assert!(id == expected_id && data == expected, "{sequence}");
        }
    }
}

/// Looks at a folder in all ways. Returns the records that are not settled.
fn look(folder: &Path) -> Result<BTreeMap<u64, Content>, OpenError> {
    let inspection = inspect(folder)?;
    assert!(inspection.low <= 1 << 62 && inspection.end <= 1 << 62);
    let mut last = 0;
    let verification = verify(folder, |progress| {
        assert!(progress.bytes >= last);
        last = progress.bytes;
    })?;
    for damage in inspection.damages.iter().chain(&verification.damages) {
        assert_eq!(damage.to_string().lines().count(), 1, "{damage}");
        assert!(damage.lost.iter().all(|range| !range.is_empty()));
    }
    let records = |selection| -> Result<BTreeMap<u64, Content>, OpenError> {
        let mut records = BTreeMap::new();
        for next in Export::open(folder, selection)? {
            let (sequence, record) = next?;
            let last = records.last_key_value().map(|(last, _)| *last);
            assert!(last < Some(sequence), "{sequence} behind {last:?}");
            records.insert(
                sequence,
                (record.id.as_bytes().to_vec(), record.data.to_vec()),
            );
        }
        Ok(records)
    };
    let all = records(Selection::All)?;
    let unsettled = records(Selection::Unsettled)?;
    for (sequence, record) in &unsettled {
        assert_eq!(all.get(sequence), Some(record));
    }
    Ok(unsettled)
}

/// Opens the journal, and reads what is not settled.
fn read(folder: &Path, files: &Files) -> BTreeMap<u64, Content> {
    let segment_bytes = 16 * BLOCK as u64;
    let config = JournalConfig {
        folder: folder.to_owned(),
        create: true,
        segment_bytes,
        bytes: segment_bytes * (files.len() as u64 + 3),
        on_damage: OnDamage::Report,
    };
    let mut journal = Journal::open(Arc::default(), config).expect("it can be looked at");
    let mut records = BTreeMap::new();
    while let Some(read) = journal.reader.read().expect("a disk that reads") {
        let sequences: Vec<u64> = read.records.iter().map(|(sequence, _)| *sequence).collect();
        let again = journal.reader.read_again(read.place, &sequences);
        assert_eq!(again.expect("a disk that reads").len(), sequences.len());
        for (sequence, record) in read.records {
            let last = records.last_key_value().map(|(last, _)| *last);
            assert!(last < Some(sequence), "{sequence} behind {last:?}");
            records.insert(
                sequence,
                (record.id.as_bytes().to_vec(), record.data.to_vec()),
            );
        }
    }
    let counts = journal.progress.status().counts;
    assert!(counts.backlog() <= counts.accepted);
    records
}

/// Returns whether a file has this record with a checksum that matches.
fn is_proven(files: &Files, sequence: u64, id: &[u8], data: &[u8]) -> bool {
    files.values().any(|bytes| {
        let nonces = nonces(bytes);
        let mut from = 0;
        while let Some(at) = find(&bytes[from..], id) {
            let start = from + at;
            from = start + 1;
            let key = bytes.get(start + 20..start + 24);
            let Some(key) = key.and_then(|key| key.first_chunk::<4>()) else {
                continue;
            };
            let data_at = start + 24 + u32::from_le_bytes(*key) as usize;
            let end = data_at + data.len();
            let is_here = bytes.get(data_at..end) == Some(data);
            let checksum = bytes.get(end..end + 4);
            let seals = |nonce: &Nonce| {
                let parts = [&sequence.to_le_bytes(), &bytes[start..end]];
                checksum == Some(&nonce.checksum(&parts))
            };
            if is_here && nonces.iter().any(seals) {
                return true;
            }
        }
        false
    })
}

/// Returns all nonces that a file names.
fn nonces(bytes: &[u8]) -> Vec<Nonce> {
    let blocks = bytes.chunks(BLOCK);
    let at = |block: &[u8], at: usize| block.get(at..at + 8)?.try_into().ok().map(Nonce);
    blocks
        .flat_map(|block| [at(block, 8), at(block, 16)])
        .flatten()
        .collect()
}
