//! The journals that a command is about.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::JournalError;
use crate::record::Kind;

/// The journals that were named.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// The topic, where the folder has journals of several
    topic: Option<String>,
    /// Folder of one journal, or with one folder a topic [default: journal.path of the configuration]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// A journal that was found.
pub(super) struct Found {
    /// The name of its folder, which is its topic.
    pub(super) topic: String,
    pub(super) folder: PathBuf,
}

impl Which {
    /// Looks there, unless a folder was named.
    pub(super) fn or_in(&mut self, folder: Option<PathBuf>) {
        self.folder = self.folder.take().or(folder);
    }

    fn folder(&self) -> Result<&Path, JournalError> {
        self.folder.as_deref().ok_or(JournalError::NoFolder)
    }

    /// Finds the journals, in the order of their topics.
    pub(super) fn find(&self) -> Result<Vec<Found>, JournalError> {
        let folder = match &self.topic {
            Some(topic) => self.folder()?.join(topic),
            None => self.folder()?.to_owned(),
        };
        if is_journal(&folder)? {
            return Ok(vec![Found::new(folder)]);
        }
        let mut found = Vec::new();
        if self.topic.is_none() {
            for name in names(&folder)? {
                let folder = folder.join(name);
                if folder.is_dir() && is_journal(&folder)? {
                    found.push(Found::new(folder));
                }
            }
        }
        if found.is_empty() {
            return Err(JournalError::NoJournal(folder));
        }
        found.sort_by(|one, other| one.topic.cmp(&other.topic));
        Ok(found)
    }

    /// Finds one journal.
    #[cfg(feature = "file")]
    pub(super) fn find_one(&self) -> Result<Found, JournalError> {
        let mut found = self.find()?;
        match found.len() {
            1 => Ok(found.remove(0)),
            _ => Err(JournalError::Several {
                folder: self.folder()?.to_owned(),
                topics: found
                    .into_iter()
                    .map(|found| found.topic)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }
}

impl Found {
    fn new(folder: PathBuf) -> Self {
        // `.` has no name of its own.
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let topic = absolute.file_name().unwrap_or(absolute.as_os_str());
        Self {
            topic: topic.to_string_lossy().into_owned(),
            folder,
        }
    }
}

/// Returns whether a folder has a journal.
pub(super) fn is_journal(folder: &Path) -> Result<bool, JournalError> {
    Ok(names(folder)?.iter().any(|name| iem_journal::is_file(name)))
}

fn names(folder: &Path) -> Result<Vec<String>, JournalError> {
    let read = || -> io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        let names = entries.into_iter().map(|entry| entry.file_name());
        Ok(names.filter_map(|name| name.into_string().ok()).collect())
    };
    read().map_err(|cause| JournalError::Folder {
        folder: folder.to_owned(),
        cause,
    })
}

/// Reads the name of a topic.
pub(super) fn topic(name: &str) -> Result<Kind, String> {
    Kind::of_topic(name).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.map(Kind::topic).into();
        format!("none of {}", names.join(", "))
    })
}
