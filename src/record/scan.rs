//! The fast way: the grammar of RFC 8259 over the places of the tokens, on the body as it came. No
//! value is converted, and none is kept but those of the wanted fields.
//!
//! What is not plainly JSON, or deeply nested, is left to [`text`](super::text), which alone says
//! what is wrong with a body.

use std::ops::Range;

use super::fields::{Fields, Wanted};
use super::text::{as_sent, unescaped};
use super::tokens::Tokens;

/// Levels of nesting that are read here; each takes stack.
const DEPTH_MAX: usize = 64;

/// The wanted fields of the object `body`; `None` if this way does not read that body.
pub(super) fn object<'n, 'b>(body: &'b [u8], wanted: Wanted<'n>) -> Option<Fields<'n, 'b>> {
    let mut scan = Scan::of(body)?;
    let (start, b'{') = scan.next()? else {
        return None;
    };
    let (fields, _) = scan.record(start, wanted)?;
    scan.is_done().then_some(fields)
}

/// Hands each element of the array `body` to `take`, with its wanted fields. `None` if this way
/// does not read that body, if an element is no object, or as soon as `take` wants no more.
pub(super) fn array<'b>(
    body: &'b [u8],
    wanted: Wanted<'_>,
    mut take: impl FnMut(&'b [u8], &Fields<'_, 'b>) -> Option<()>,
) -> Option<()> {
    let mut scan = Scan::of(body)?;
    let (_, b'[') = scan.next()? else { return None };
    let mut next = scan.next()?;
    while next.1 != b']' {
        let (start, b'{') = next else { return None };
        let (fields, end) = scan.record(start, wanted)?;
        take(&body[start..end], &fields)?;
        next = match scan.next()? {
            (_, b',') => scan.next().filter(|(_, byte)| *byte == b'{')?,
            end @ (_, b']') => end,
            _ => return None,
        };
    }
    scan.is_done().then_some(())
}

/// The rest of a text. What is expected and not there is `None`.
struct Scan<'b> {
    text: &'b str,
    tokens: Tokens<'b>,
}

impl<'b> Scan<'b> {
    fn of(body: &'b [u8]) -> Option<Self> {
        let text = simdutf8::basic::from_utf8(body).ok()?;
        Some(Self {
            text,
            tokens: Tokens::of(body),
        })
    }

    /// The next token's place, and the byte there.
    #[inline]
    fn next(&mut self) -> Option<(usize, u8)> {
        let at = self.tokens.next()?;
        Some((at, self.text.as_bytes()[at]))
    }

    /// Whether nothing follows but white space.
    fn is_done(&mut self) -> bool {
        self.tokens.next().is_none() && self.tokens.are_plain()
    }

    /// The wanted fields of the object that begins at `start`, and the byte behind it.
    fn record<'n>(&mut self, start: usize, wanted: Wanted<'n>) -> Option<(Fields<'n, 'b>, usize)> {
        debug_assert_eq!(self.text.as_bytes()[start], b'{', "an object");
        let mut fields = Fields::none_yet(wanted);
        let end = self.object(0, |scan, name, value| {
            let text = scan.text;
            if !scan.tokens.have_escapes() {
                let name = &text.as_bytes()[name.start + 1..name.end - 1];
                if fields.want(name) {
                    fields.put(name, &as_sent(&text[value]));
                }
            // A name that is not Unicode is none of those wanted.
            } else if let Some(name) = unescaped(&text[name])
                && fields.want(name.as_bytes())
            {
                fields.put(name.as_bytes(), &as_sent(&text[value]));
            }
        })?;
        Some((fields, end))
    }

    /// The rest of an object behind its brace, up to the byte behind it. Each field is told of: its
    /// name and its value.
    #[inline]
    fn object(
        &mut self,
        depth: usize,
        mut field: impl FnMut(&Self, Range<usize>, Range<usize>),
    ) -> Option<usize> {
        let (mut at, mut byte) = self.next()?;
        if byte == b'}' {
            return Some(at + 1);
        }
        loop {
            if byte != b'"' {
                return None;
            }
            let name = at..self.tokens.next()? + 1;
            let (_, b':') = self.next()? else { return None };
            let (start, first) = self.next()?;
            let end = self.value(start, first, depth)?;
            field(self, name, start..end);
            match self.next()? {
                (_, b',') => (at, byte) = self.next()?,
                (end, b'}') => return Some(end + 1),
                _ => return None,
            }
        }
    }

    /// The rest of an array behind its bracket.
    fn array(&mut self, depth: usize) -> Option<usize> {
        let (mut at, mut byte) = self.next()?;
        if byte == b']' {
            return Some(at + 1);
        }
        loop {
            self.value(at, byte, depth)?;
            match self.next()? {
                (_, b',') => (at, byte) = self.next()?,
                (end, b']') => return Some(end + 1),
                _ => return None,
            }
        }
    }

    /// The value whose first byte is `first` at `start`, within so many others, up to the byte
    /// behind it.
    #[inline]
    fn value(&mut self, start: usize, first: u8, depth: usize) -> Option<usize> {
        match first {
            b'"' => Some(self.tokens.next()? + 1),
            b'{' | b'[' => self.nested(first, depth + 1),
            _ => self.scalar(start),
        }
    }

    fn nested(&mut self, first: u8, depth: usize) -> Option<usize> {
        if depth > DEPTH_MAX {
            return None;
        }
        if first == b'{' {
            self.object(depth, |_, _, _| {})
        } else {
            self.array(depth)
        }
    }

    /// A number or a literal, with nothing of another token right behind it.
    fn scalar(&self, start: usize) -> Option<usize> {
        let text = &self.text.as_bytes()[start..];
        let length = match text {
            [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            _ => number(text)?,
        };
        let ends = matches!(
            text.get(length),
            None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
        );
        ends.then_some(start + length)
    }
}

/// How long the number is that `text` begins with (RFC 8259, section 6).
fn number(text: &[u8]) -> Option<usize> {
    let digits = |at: usize| {
        let count = text[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        (count > 0).then_some(at + count)
    };
    let start = usize::from(text.first() == Some(&b'-'));
    let mut end = if text.get(start) == Some(&b'0') {
        start + 1
    } else {
        digits(start)?
    };
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        end = digits(end + 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-'))))?;
    }
    Some(end)
}
