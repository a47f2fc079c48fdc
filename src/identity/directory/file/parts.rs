//! A large directory file read on several threads: TOML cut before lines that begin an entry,
//! `[[…]]`.
//!
//! The parts together hold the same entries as the whole, or there is no result: a cut within a
//! string or an array leaves a part that is no TOML, and only a file that begins with an entry is
//! cut, so that no part holds a key of the whole. Without a result, or to find a fault's line, the
//! caller reads the whole.

use std::num::NonZero;
use std::thread;

use super::schema::Entries;

/// Shorter files are read faster than threads start.
const PART_BYTES_MIN: usize = 256 << 10;

/// Reads the entries in `text`; `None` if its parts do not give them.
pub(super) fn read(text: &str) -> Option<Entries> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    read_in(text, threads.min(text.len() / PART_BYTES_MIN))
}

fn read_in(text: &str, parts: usize) -> Option<Entries> {
    if parts < 2 || !begins_with_entry(text) {
        return None;
    }
    let parts = cut(text, parts);
    let entries: Option<Vec<_>> = thread::scope(|scope| {
        let threads: Vec<_> = parts
            .into_iter()
            .map(|part| scope.spawn(move || toml::from_str::<Entries>(part).ok()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().ok().flatten())
            .collect()
    });
    entries?.into_iter().reduce(|mut whole, part| {
        whole.customer.extend(part.customer);
        whole.user.extend(part.user);
        whole.integration.extend(part.integration);
        whole
    })
}

/// Returns whether only comments and blank lines stand before the first entry.
fn begins_with_entry(text: &str) -> bool {
    let first = text
        .lines()
        .map(str::trim_start)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with("[["))
}

/// Cuts the text into about `count` parts of one size; each but the first begins with an entry.
fn cut(text: &str, count: usize) -> Vec<&str> {
    let mut parts = Vec::with_capacity(count);
    let mut rest = text;
    for left in (2..=count).rev() {
        let middle = rest.ceil_char_boundary(rest.len() / left);
        let Some(entry) = rest[middle..].find("\n[[") else {
            break;
        };
        let (part, behind) = rest.split_at(middle + entry + 1);
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const INTEGRATION: &str = "[[integration]]\ncustomer = \"1\"\nid = \"snow\"\n";

    fn entries(count: usize) -> String {
        (0..count).fold(String::from("# All\n\n"), |mut text, n| {
            write!(
                text,
                "[[customer]]\nid = \"{n}\"\nname = \"Customer {n}\"\n\n"
            )
            .expect("a string");
            text
        })
    }

    fn ids(entries: &Entries) -> Vec<&str> {
        entries
            .customer
            .iter()
            .map(|customer| customer.id.get_ref().as_str())
            .collect()
    }

    #[test]
    fn the_parts_hold_the_entries_of_the_whole() {
        let text = entries(100) + INTEGRATION;
        let whole = toml::from_str::<Entries>(&text).expect("it holds");
        for parts in 2..120 {
            let entries = read_in(&text, parts).expect("each part holds");
            assert_eq!(ids(&entries), ids(&whole), "{parts} parts");
            assert_eq!(entries.integration.len(), 1);
        }
    }

    #[test]
    fn a_text_that_a_cut_might_change_has_no_result() {
        let text = entries(10);
        for text in [
            // An entry's line within a string, and within an array.
            format!("[[customer]]\nid = \"a\"\nname = '''\n{text}'''\n"),
            format!("[[customer]]\nid = \"a\"\nname = \"A\"\nquota = {{ records = [\n{text}] }}\n"),
            // A key of the whole file.
            format!("customer = []\n{text}"),
            // A fault in one part.
            format!("{text}[[customer]]\nname = 5\n"),
            format!("{text}nothing\n{text}"),
        ] {
            for parts in 2..20 {
                assert!(read_in(&text, parts).is_none(), "{parts} parts of {text}");
            }
        }
        assert!(read_in(&entries(10), 1).is_none() && read_in("", 2).is_none());
    }
}
