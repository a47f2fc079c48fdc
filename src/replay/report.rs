//! The result of a replay, for people and for programs.

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::ending::Ending;
use crate::record::Kind;

/// The most entries of one list that are shown. All are counted.
const SHOWN_MAX: usize = 100;

/// The most characters of a reason that are shown.
const REASON_CHARS_MAX: usize = 300;

/// The result of a replay.
pub struct Report {
    /// The name of the sink.
    pub sink: &'static str,
    /// By [`Kind`].
    pub topics: [Tally; Kind::COUNT],
    /// The records that the sink will never take.
    pub refused: List,
    /// Lines that are no record, and files that could not be read or removed.
    pub problems: List,
    /// The files that were read, and those of them that were removed.
    pub files: usize,
    pub removed: usize,
    /// The files that a gateway was still writing: not read at all, or up to their ends then.
    pub left_out: Vec<PathBuf>,
    pub being_written: Vec<PathBuf>,
    pub ending: Ending,
    /// The first line that was not delivered, if the replay ended early, and why it was not.
    pub stopped_at: Option<Entry>,
}

/// The records of one topic by how they have ended.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub delivered: u64,
    pub refused: u64,
    pub not_delivered: u64,
}

/// Something about a file or a line of it.
#[derive(Clone)]
pub struct Entry {
    pub file: PathBuf,
    pub line: Option<u64>,
    pub reason: String,
}

/// A list of which the first entries are kept.
#[derive(Default)]
pub struct List {
    count: u64,
    first: Vec<Entry>,
}

impl List {
    pub fn add(&mut self, mut entry: Entry) {
        self.count += 1;
        if self.first.len() < SHOWN_MAX {
            // It may quote a line of any length.
            if let Some((end, _)) = entry.reason.char_indices().nth(REASON_CHARS_MAX) {
                entry.reason.truncate(end);
                entry.reason.push('…');
            }
            entry.reason.shrink_to_fit();
            self.first.push(entry);
        }
    }

    fn value(&self) -> Value {
        let first = self.first.iter().map(Entry::value);
        json!({ "count": self.count, "first": first.collect::<Value>() })
    }

    /// Returns how many entries there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn write(&self, what: &str, out: &mut dyn Write) -> io::Result<()> {
        for entry in &self.first {
            writeln!(out, "{}", entry.text())?;
        }
        match self.count - self.first.len() as u64 {
            0 => Ok(()),
            more => writeln!(out, "and {more} more {what}"),
        }
    }
}

impl Entry {
    fn value(&self) -> Value {
        json!({ "file": self.file, "line": self.line, "reason": self.reason })
    }

    /// A reason may quote a file of strangers: nothing in it reaches a terminal as a command.
    fn text(&self) -> String {
        let Self { file, line, reason } = self;
        let text = match line {
            Some(line) => format!("{}:{line}: {reason}", file.display()),
            // The reason names the file.
            None => reason.clone(),
        };
        text.replace(char::is_control, "\u{fffd}")
    }
}

impl Report {
    pub fn new(sink: &'static str) -> Self {
        Self {
            sink,
            topics: Default::default(),
            refused: List::default(),
            problems: List::default(),
            files: 0,
            removed: 0,
            left_out: Vec::new(),
            being_written: Vec::new(),
            ending: Ending::Done,
            stopped_at: None,
        }
    }

    /// Returns whether the sink has every record of the files that were there.
    pub fn has_sent_all(&self) -> bool {
        self.refused.count == 0 && self.problems.count == 0 && self.left_out.is_empty()
    }

    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let topics = self.used_topics().map(|(topic, tally)| {
            json!({
                "topic": topic,
                "delivered": tally.delivered,
                "refused": tally.refused,
                "not_delivered": tally.not_delivered,
            })
        });
        let value = json!({
            "to": self.sink,
            "ended": self.ending.name(),
            "stopped_at": self.stopped_at.as_ref().map(Entry::value),
            "topics": topics.collect::<Value>(),
            "refused": self.refused.value(),
            "problems": self.problems.value(),
            "files": {
                "read": self.files,
                "removed": self.removed,
                "left_out": self.left_out,
                "being_written": self.being_written,
            },
        });
        writeln!(out, "{value:#}")
    }

    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.problems.write("lines that are no records", out)?;
        self.refused.write("records that were refused", out)?;
        for path in &self.left_out {
            writeln!(out, "{}: still being written, left out", path.display())?;
        }
        for path in &self.being_written {
            let path = path.display();
            writeln!(out, "{path}: still being written, read up to its end")?;
        }
        for (topic, tally) in self.used_topics() {
            writeln!(
                out,
                "{topic}: {} records delivered to {}, {} refused for good, {} under way at the end",
                tally.delivered, self.sink, tally.refused, tally.not_delivered
            )?;
        }
        writeln!(out, "{} files read, {} removed", self.files, self.removed)?;
        match (&self.stopped_at, self.ending) {
            (Some(entry), _) => writeln!(
                out,
                "{}; not delivered from here on: {}",
                self.ending,
                entry.text()
            ),
            (None, Ending::Done) => Ok(()),
            (None, _) => writeln!(out, "{}", self.ending),
        }
    }

    /// Returns the topics that had records, by name.
    fn used_topics(&self) -> impl Iterator<Item = (&'static str, Tally)> {
        let topics = Kind::ALL.into_iter().zip(self.topics);
        let topics = topics.map(|(kind, tally)| (kind.topic(), tally));
        topics.filter(|(_, tally)| tally.delivered + tally.refused + tally.not_delivered > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_of_strangers_holds_is_no_command_to_a_terminal() {
        let entry = Entry {
            file: "a.ndjson".into(),
            line: Some(3),
            reason: "its type \u{1b}[2J\r is that of no topic".to_owned(),
        };
        let expected = "a.ndjson:3: its type \u{fffd}[2J\u{fffd} is that of no topic";
        assert_eq!(entry.text(), expected);
    }

    #[test]
    fn the_first_entries_are_shown_and_all_are_counted() {
        let mut list = List::default();
        for line in 1..=103 {
            list.add(Entry {
                file: "a".into(),
                line: Some(line),
                reason: "no record".to_owned(),
            });
        }
        let mut out = Vec::new();
        list.write("lines", &mut out).expect("memory takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.lines().count(), 101);
        assert!(
            text.ends_with("a:100: no record\nand 3 more lines\n"),
            "{text}"
        );
        assert_eq!(list.value()["count"], 103);
    }
}
