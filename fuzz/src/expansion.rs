//! Placeholders in an input, as the contract's cases in `tests/data/contract/` have them:
//! `{{token:alice}}` becomes a valid token. So an input can hold what no mutation finds, and a file
//! of cases is a corpus.
//!
//! Beside those of the cases there are `{{length}}`, the bytes from the next blank line up to
//! `{{end}}` or the input's end, and texts of their own under `{{gzip:…}}` and its like.

use std::collections::BTreeSet;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

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
        "basic" => STANDARD.encode(arguments).into_bytes(),
        "basic-latin-1" => {
            let bytes: Option<Vec<u8>> = arguments
                .chars()
                .map(|letter| u8::try_from(letter).ok())
                .collect();
            STANDARD.encode(bytes?).into_bytes()
        }
        "hex" => {
            let digits = arguments.as_bytes().as_chunks::<2>().0;
            let byte = |digits: &[u8; 2]| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
            digits.iter().map(byte).collect::<Option<_>>()?
        }
        "repeat" => {
            let (times, text) = arguments.split_once(':')?;
            let times = times.parse::<usize>().ok()?;
            text.repeat(times.min(GROWTH_MAX / text.len().max(1)))
                .into_bytes()
        }
        "closing-braces" => "}"
            .repeat(arguments.parse::<usize>().ok()?.min(GROWTH_MAX))
            .into_bytes(),
        "example" => example(arguments)?.into(),
        "gzip" => written(GzEncoder::new(Vec::new(), Compression::fast()), arguments)
            .finish()
            .ok()?,
        "zlib" => written(ZlibEncoder::new(Vec::new(), Compression::fast()), arguments)
            .finish()
            .ok()?,
        "deflate" => written(
            DeflateEncoder::new(Vec::new(), Compression::fast()),
            arguments,
        )
        .finish()
        .ok()?,
        "zstd" => zstd::encode_all(&*plain(arguments), 1).ok()?,
        "gzip-members" => {
            let member = GzEncoder::new(Vec::new(), Compression::fast())
                .finish()
                .ok()?;
            member.repeat(
                arguments
                    .parse::<usize>()
                    .ok()?
                    .min(GROWTH_MAX / member.len()),
            )
        }
        "token-refresh" => secrets.refresh_token(arguments)?.into_bytes(),
        "expired" | "expired-refresh" => secrets.expired.clone().into_bytes(),
        "foreign" | "foreign-refresh" => secrets.foreign.clone().into_bytes(),
        "unsigned" => secrets.token(arguments)?.rsplit_once('.')?.0.into(),
        "cut" => secrets
            .token(arguments)?
            .into_bytes()
            .split_last_chunk::<5>()?
            .0
            .into(),
        "alg-none" => {
            let token = secrets.token(arguments)?;
            let claims = token.split('.').nth(1)?;
            format!(
                "{}.{claims}.",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)
            )
            .into_bytes()
        }
        _ => return None,
    })
}

fn written<W: Write>(mut encoder: W, arguments: &str) -> W {
    encoder
        .write_all(&plain(arguments))
        .expect("memory takes all");
    encoder
}

/// A body before it is compressed: one of the cases', an example, or the text itself.
fn plain(name: &str) -> Vec<u8> {
    let record = r#"{"envcustomerid":"acme"}"#;
    match name {
        "space" => b" ".to_vec(),
        "lines" => format!("{record}\n{record}\n").into_bytes(),
        "array" => format!("[{record},{record}]").into_bytes(),
        "large" => format!("{record}{}", " ".repeat(64 << 10)).into_bytes(),
        // Larger than what is read in place, and than the limit.
        "many" => format!("[{}]", [record; 12 << 10].join(",")).into_bytes(),
        "huge" => vec![b' '; 1 << 20],
        text => example(text).unwrap_or(text).as_bytes().to_vec(),
    }
}

fn example(name: &str) -> Option<&'static str> {
    Some(match name {
        "event" => include_str!("../../tests/data/examples/event.json"),
        "metric" => include_str!("../../tests/data/examples/metric.json"),
        "entity" => include_str!("../../tests/data/examples/entity.json"),
        "service" => include_str!("../../tests/data/examples/service.json"),
        "healthcheck" => include_str!("../../tests/data/examples/healthcheck.json"),
        "ticket" => include_str!("../../tests/data/examples/ticket.json"),
        _ => return None,
    })
}

/// Where `needle` begins.
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
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
