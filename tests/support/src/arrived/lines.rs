//! Reads a topic's files as any reader would, by the rule of the file sink's layout, and nothing of
//! the sink's own code: all `*.ndjson` and `*.ndjson.zst` in name order; where both names of one
//! stem stand, the plain one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;

/// A bound that no test's file reaches.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// One line of a topic's files: a `CloudEvents` event in structured mode.
pub struct Line {
    /// All members except the data.
    pub attributes: BTreeMap<String, Value>,
    /// The data's bytes as they stand in the file.
    pub data: Vec<u8>,
}

impl Line {
    fn parse(line: &[u8], path: &Path) -> Self {
        let members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(line).unwrap_or_else(|error| {
                panic!(
                    "a torn line in {} ({error}): {}",
                    path.display(),
                    String::from_utf8_lossy(line)
                )
            });
        let data = members
            .get("data")
            .expect("a line has data")
            .get()
            .as_bytes()
            .to_vec();
        let attributes = members.into_iter().filter(|(name, _)| name != "data");
        let attributes = attributes
            .map(|(name, raw)| (name, serde_json::from_str(raw.get()).expect("an attribute")));
        Self {
            attributes: attributes.collect(),
            data,
        }
    }

    /// The record, parsed. Fails on what `serde_json` cannot hold, such as numbers beyond an `f64`.
    pub fn record(&self) -> Value {
        serde_json::from_slice(&self.data).expect("a record that the tests can read")
    }

    /// Returns an attribute's text; fails the test where there is none.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> &str {
        self.optional(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.attributes))
    }

    /// Returns an attribute's text, or `None`.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_str)
    }

    /// Returns the `test_id` that a test put into its record.
    pub fn test_id(&self) -> String {
        self.record()["test_id"]
            .as_str()
            .expect("the record's own id")
            .to_owned()
    }
}

/// Reads all records of the topic whose files stand in `folder`. Fails the test on a torn line.
pub fn read_lines(folder: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for_each_line(folder, |line| lines.push(Line::parse(line, folder)));
    lines
}

/// As [`read_lines`], while a gateway writes: a last line that is not whole yet is left out.
pub fn read_lines_so_far(folder: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for path in files(folder) {
        let bytes = contents(&path);
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        lines.extend(split(&bytes[..end]).map(|line| Line::parse(line, folder)));
    }
    lines
}

/// Calls `each` with every line of the topic's files, in order. One file at a time is in memory.
pub fn for_each_line(folder: &Path, mut each: impl FnMut(&[u8])) {
    for path in files(folder) {
        let bytes = contents(&path);
        assert!(
            bytes.is_empty() || bytes.ends_with(b"\n"),
            "a torn tail in {}",
            path.display()
        );
        split(&bytes).for_each(&mut each);
    }
}

fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names: BTreeSet<String> = entries
        .filter_map(|entry| {
            entry
                .expect("a folder's entry")
                .file_name()
                .into_string()
                .ok()
        })
        .collect();
    let stem = |name: &str| {
        name.strip_suffix(".ndjson.zst")
            .map(|stem| format!("{stem}.ndjson"))
    };
    names
        .iter()
        .filter(|name| {
            name.ends_with(".ndjson") || stem(name).is_some_and(|plain| !names.contains(&plain))
        })
        .map(|name| folder.join(name))
        .collect()
}

fn contents(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        return decompressed(path);
    }
    match fs::read(path) {
        // Compressed since the folder was listed.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            decompressed(&path.with_added_extension("zst"))
        }
        read => read.expect("a topic's file"),
    }
}

fn decompressed(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).expect("a topic's file");
    let mut bytes = Vec::new();
    let read = zstd::Decoder::new(file)
        .and_then(|whole| whole.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.unwrap_or_else(|error| panic!("{} is torn: {error}", path.display()));
    bytes
}
