//! Reads a body with `serde_json`. It takes exactly what RFC 8259 allows (UTF-8, numbers of any
//! size, nesting of any depth, lone surrogates), without recursion and in time linear in the body,
//! and it finds what is wrong and where.
//!
//! Names and values are read as raw text, so that no unread value is converted.

use std::borrow::Cow;
use std::fmt;
use std::str;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as _, Deserializer as _};
use serde_json::Deserializer;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::fields::{Fields, Value, Wanted};
use super::malformed::Malformed;

/// The white space of RFC 8259, section 2.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Returns the wanted fields of the object `body`.
pub(super) fn read<'n, 'v>(
    body: &'v [u8],
    wanted: Wanted<'n>,
) -> Result<Fields<'n, 'v>, Malformed> {
    let mut fields = Fields::none_yet(wanted);
    members(body, |name, value| {
        if fields.meet(name.as_bytes()) {
            fields.put(name.as_bytes(), &as_sent(value));
        }
    })?;
    Ok(fields)
}

/// Passes each member of the object `body` to `each`: its name with the escapes resolved, and its
/// value as it was sent. A name that is not Unicode is left out: no wanted name is one.
pub(super) fn members<'v>(
    body: &'v [u8],
    each: impl FnMut(&str, &'v str),
) -> Result<(), Malformed> {
    let text = unicode(body)?;
    match text.trim_start_matches(WHITE_SPACE).chars().next() {
        None => return Err(Malformed::Empty),
        Some('{') => {}
        Some(_) => return Err(Malformed::NotAnObject),
    }
    let mut parser = Deserializer::from_str(text);
    parser
        .deserialize_map(Members(each))
        .map_err(|error| wrong(text, &error))?;
    parser.end().map_err(|error| trailing(text, &error))
}

/// Returns the elements of the array `body`, at most `max` and one more. A fault in the grammar comes
/// with the number of elements before it, unless it stands behind the array.
pub(super) fn elements(body: &[u8], max: usize) -> Result<Vec<&[u8]>, (Option<usize>, Malformed)> {
    let text = body.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let encoding = (text.len() < body.len()).then_some(Malformed::Encoding { at: text.len() });
    let mut array = Array {
        elements: Vec::new(),
        count: 0,
        max,
    };
    let mut parser = Deserializer::from_str(text);
    let read = parser.deserialize_seq(&mut array);
    read.map_err(|error| match (wrong(text, &error), encoding.clone()) {
        (Malformed::Incomplete { .. }, Some(encoding)) => (Some(array.count), encoding),
        (malformed, _) => (Some(array.count), malformed),
    })?;
    parser
        .end()
        .map_err(|error| (None, trailing(text, &error)))?;
    encoding.map_or(Ok(array.elements), |encoding| Err((None, encoding)))
}

/// Checks that `body` is one JSON value of any kind.
pub(super) fn check(body: &[u8]) -> Result<(), Malformed> {
    let text = unicode(body)?;
    let mut parser = Deserializer::from_str(text);
    <&RawValue>::deserialize(&mut parser).map_err(|error| wrong(text, &error))?;
    parser.end().map_err(|error| trailing(text, &error))
}

fn unicode(body: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(body).map_err(|error| Malformed::Encoding {
        at: error.valid_up_to(),
    })
}

/// A visitor that collects the elements of an array.
struct Array<'v> {
    elements: Vec<&'v [u8]>,
    count: usize,
    max: usize,
}

impl<'v> Visitor<'v> for &mut Array<'v> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'v>>(self, mut seq: S) -> Result<(), S::Error> {
        while let Some(element) = seq.next_element::<&RawValue>()? {
            self.count += 1;
            if self.elements.len() <= self.max {
                self.elements.push(element.get().as_bytes());
            }
        }
        Ok(())
    }
}

/// A visitor that passes on the members of the outermost object.
struct Members<F>(F);

impl<'v, F: FnMut(&str, &'v str)> Visitor<'v> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'v>>(self, mut map: M) -> Result<(), M::Error> {
        let Self(mut each) = self;
        while let Some((name, value)) = map.next_entry::<&RawValue, &'v RawValue>()? {
            if let Some(name) = unescaped(name.get()) {
                each(&name, value.get());
            }
        }
        Ok(())
    }
}

/// Returns a value as it was sent.
pub(super) fn as_sent(value: &str) -> Value<'_> {
    match value.as_bytes().first() {
        Some(b'"') => unescaped(value).map_or(Value::Other, Value::String),
        Some(b'-' | b'0'..=b'9') => Value::Number(Cow::Borrowed(value)),
        _ => Value::Other,
    }
}

/// Returns the content of a quoted JSON string with its escapes resolved, or `None` if that is not
/// Unicode.
pub(super) fn unescaped(quoted: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', quoted.as_bytes()).is_some() {
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    } else {
        quoted
            .strip_prefix('"')?
            .strip_suffix('"')
            .map(Cow::Borrowed)
    }
}

fn wrong(text: &str, error: &serde_json::Error) -> Malformed {
    if error.classify() == Category::Eof {
        return Malformed::Incomplete { at: text.len() };
    }
    let message = error.to_string();
    let at = offset(text, error);
    let (at, problem) = match message.split(" at line ").next() {
        // The one error whose position is before the wrong byte.
        Some(problem) if problem.starts_with("control character") => {
            (at + 1, "control character in a string".into())
        }
        None | Some("expected ident") => (at, "expected `true`, `false` or `null`".into()),
        // Of values that it only steps over, `serde_json` says this even for a trailing comma.
        Some("key must be a string") if text.as_bytes().get(at) == Some(&b'}') => {
            (at, "trailing comma".into())
        }
        Some(problem) => (at, problem.to_owned().into()),
    };
    Malformed::Syntax { at, problem }
}

fn trailing(text: &str, error: &serde_json::Error) -> Malformed {
    let at = offset(text, error);
    match text.as_bytes().get(at) {
        Some(b'{' | b'[') => Malformed::Several { at },
        _ => Malformed::Syntax {
            at,
            problem: "only white space may follow".into(),
        },
    }
}

/// Returns the byte of `text` at which the error is, from 0. `serde_json` counts lines from 1, and in
/// a line the bytes up to and including the wrong one, so a wrong line feed is column 0 of the next
/// line.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => text
            .match_indices('\n')
            .nth(line - 2)
            .map_or(text.len(), |(at, _)| at + 1),
    };
    (line_start + error.column())
        .saturating_sub(1)
        .min(text.len())
}
