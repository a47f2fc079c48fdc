//! Placeholders in an input, as the contract's cases in `tests/data/contract/` have them:
//! `{{token:alice}}` becomes a valid token. So an input can hold what no mutation finds, and a file
//! of cases is a corpus.
//!
//! Beside those of the cases there are `{{length}}`, the bytes from the next blank line up to
//! `{{end}}` or the input's end, and texts of their own under `{{gzip:…}}` and its like.

use std::collections::BTreeSet;

use iem_test_support::{encoded, find, forged, placeholder};

use crate::gateway::GATEWAY;

/// Bytes of a placeholder with its braces.
const PLACEHOLDER_MAX: usize = 4 << 10;
/// Bytes that an input may grow by, in all.
const GROWTH_MAX: usize = 1 << 20;

/// An input with its placeholders replaced.
#[derive(Default)]
pub struct Expanded {
    pub bytes: Vec<u8>,
    /// The users whose valid tokens or credentials are in it.
    pub users: BTreeSet<String>,
    lengths: Vec<usize>,
    ends: Vec<usize>,
}

/// Replaces each placeholder; what is none stays.
pub fn expand(input: &[u8]) -> Expanded {
    let mut expanded = Expanded::default();
    let mut rest = input;
    while let Some(start) = find(rest, b"{{") {
        let (before, from) = rest.split_at(start);
        expanded.bytes.extend(before);
        let window = &from[..from.len().min(PLACEHOLDER_MAX)];
        let text = find(window, b"}}").and_then(|end| str::from_utf8(&from[2..end]).ok());
        let known = text.filter(|text| expanded.put(text));
        let length = known.map_or(2, |text| text.len() + 4);
        if known.is_none() {
            expanded.bytes.extend(b"{{");
        }
        rest = &from[length..];
    }
    expanded.bytes.extend(rest);
    expanded.fill_lengths();
    expanded.find_credentials();
    expanded
}

impl Expanded {
    /// Puts what a placeholder stands for; says whether it is one.
    fn put(&mut self, placeholder: &str) -> bool {
        let (name, arguments) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        if self.bytes.len() > GROWTH_MAX {
            return false;
        }
        let value = match name {
            "length" => {
                self.lengths.push(self.bytes.len());
                Some(Vec::new())
            }
            "end" => {
                self.ends.push(self.bytes.len());
                Some(Vec::new())
            }
            "token" => {
                let token = GATEWAY.secrets.token(arguments);
                self.users
                    .extend(token.as_ref().map(|_| GATEWAY.secrets.email(arguments)));
                token.map(String::into_bytes)
            }
            _ => value(name, arguments),
        };
        let known = value.is_some();
        self.bytes.extend(value.into_iter().flatten());
        known
    }

    fn fill_lengths(&mut self) {
        for at in std::mem::take(&mut self.lengths).into_iter().rev() {
            let rest = &self.bytes[at..];
            let heads = [b"\r\n\r\n".as_slice(), b"\n\n"];
            let begin = heads
                .iter()
                .filter_map(|end| Some(find(rest, end)? + end.len()))
                .min();
            let begin = at + begin.unwrap_or(rest.len());
            let end = self
                .ends
                .iter()
                .find(|end| **end >= begin)
                .copied()
                .unwrap_or(self.bytes.len());
            let digits = (end - begin).to_string();
            self.ends
                .iter_mut()
                .filter(|end| **end > at)
                .for_each(|end| *end += digits.len());
            self.bytes.splice(at..at, digits.into_bytes());
        }
    }

    /// Base64 of right credentials may stand there as it is.
    fn find_credentials(&mut self) {
        for (email, encoded) in &GATEWAY.secrets.credentials {
            if find(&self.bytes, encoded.as_bytes()).is_some() {
                self.users.insert(email.clone());
            }
        }
    }
}

fn value(name: &str, arguments: &str) -> Option<Vec<u8>> {
    let secrets = &GATEWAY.secrets;
    Some(match name {
        "gzip-members" => {
            let member = encoded("gzip", b"");
            let times = arguments.parse::<usize>().ok()?;
            member.repeat(times.min(GROWTH_MAX / member.len()))
        }
        "token-refresh" => secrets.refresh_token(arguments)?.into_bytes(),
        "expired" | "expired-refresh" => secrets.expired.clone().into_bytes(),
        "foreign" | "foreign-refresh" => secrets.foreign.clone().into_bytes(),
        "unsigned" | "cut" | "alg-none" => forged(name, &secrets.token(arguments)?)?.into_bytes(),
        _ => placeholder(name, arguments, GROWTH_MAX)?,
    })
}

/// The parts of an input that consists of several, between lines of `%%`; at most so many.
pub fn split(input: &[u8], parts_max: usize) -> Vec<&[u8]> {
    const SEPARATOR: &[u8] = b"\n%%\n";
    let mut parts = Vec::new();
    let mut rest = input;
    while parts.len() < parts_max {
        let end = find(rest, SEPARATOR);
        parts.push(&rest[..end.unwrap_or(rest.len())]);
        let Some(end) = end else { break };
        rest = &rest[end + SEPARATOR.len()..];
    }
    parts
}
