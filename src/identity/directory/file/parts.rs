//! A large directory file read on several threads: TOML cut before lines that begin an entry,
//! `[[…]]`.
//!
//! What the parts say together is what the whole says, or there is no answer: a cut within a string
//! or an array leaves a part that is no TOML, and only a file whose first line of all is an entry's
//! is cut, so that no part holds a key of the whole. Whoever gets no answer, or does not like it,
//! reads the whole.

use std::num::NonZero;
use std::thread;

use super::Written;

/// Shorter files are read faster than threads start.
const PART_BYTES_MIN: usize = 256 << 10;

/// What is written in `text`; none if that is not plain from its parts.
pub(super) fn read(text: &str) -> Option<Written> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    read_in(text, threads.min(text.len() / PART_BYTES_MIN))
}

fn read_in(text: &str, parts: usize) -> Option<Written> {
    if parts < 2 || !begins_with_entry(text) {
        return None;
    }
    let parts = cut(text, parts);
    let parse = |part| toml::from_str::<Written>(part).ok();
    let written: Option<Vec<_>> = thread::scope(|scope| {
        let threads: Vec<_> = parts
            .into_iter()
            .map(|part| scope.spawn(move || parse(part)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().ok().flatten())
            .collect()
    });
    written?.into_iter().reduce(|mut whole, part| {
        whole.customer.extend(part.customer);
        whole.user.extend(part.user);
        whole.integration.extend(part.integration);
        whole
    })
}

/// Whether nothing but comments and blank lines stands before the first entry.
fn begins_with_entry(text: &str) -> bool {
    let first = text
        .lines()
        .map(str::trim_start)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with("[["))
}

/// About `count` parts of one size, each but the first beginning with an entry.
fn cut(text: &str, count: usize) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::with_capacity(count), text);
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

    fn ids(written: &Written) -> Vec<&str> {
        written
            .customer
            .iter()
            .map(|customer| customer.id.get_ref().as_str())
            .collect()
    }

    #[test]
    fn parts_say_what_the_whole_says() {
        let text = entries(100) + INTEGRATION;
        let whole = toml::from_str::<Written>(&text).expect("it holds");
        for parts in 2..120 {
            let written = read_in(&text, parts).expect("each part holds");
            assert_eq!(ids(&written), ids(&whole), "{parts} parts");
            assert_eq!(written.integration.len(), 1);
        }
    }

    #[test]
    fn what_a_cut_might_change_has_no_answer() {
        let text = entries(10);
        for text in [
            // An entry's line within a string, and within an array.
            format!("[[customer]]\nid = \"a\"\nname = '''\n{text}'''\n"),
            format!("[[customer]]\nid = \"a\"\nname = \"A\"\nquota = {{ records = [\n{text}] }}\n"),
            // A key of the whole file.
            format!("customer = []\n{text}"),
            // What is wrong in one part.
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
