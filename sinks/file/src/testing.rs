//! A reader of a topic's files, for tests. Panics if the file system fails.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::name::{self, Form};

/// Returns all lines of `topic` in the data directory `path`, oldest first: those of all `*.ndjson`
/// and `*.ndjson.zst` files in name order. If two files have the same stem, the `.ndjson` counts. A
/// topic without a folder has no lines.
///
/// A last line without a line break is returned like the others, so that a test can see that it is
/// torn.
pub fn read_topic(path: &Path, topic: &str) -> Vec<String> {
    let folder = path.join(topic);
    loop {
        match read_folder(&folder) {
            Ok(lines) => return lines,
            // A file was compressed after the listing, so its name has changed.
            Err(error) if error.kind() == ErrorKind::NotFound && folder.is_dir() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => panic!("cannot read {}: {error}", folder.display()),
        }
    }
}

fn read_folder(folder: &Path) -> io::Result<Vec<String>> {
    let mut files: BTreeMap<String, (Form, PathBuf)> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match name::parse(&name) {
            Some((stem, Form::Lines)) => drop(files.insert(stem.to_owned(), (Form::Lines, path))),
            Some((stem, Form::Archive)) => {
                files
                    .entry(stem.to_owned())
                    .or_insert((Form::Archive, path));
            }
            Some((_, Form::Temporary)) | None => {}
        }
    }
    let mut lines = Vec::new();
    for (form, path) in files.into_values() {
        let mut text = String::new();
        let mut file = File::open(&path)?;
        match form {
            Form::Archive => zstd::Decoder::new(file)?.read_to_string(&mut text)?,
            Form::Lines | Form::Temporary => file.read_to_string(&mut text)?,
        };
        lines.extend(text.split_terminator('\n').map(str::to_owned));
    }
    Ok(lines)
}
