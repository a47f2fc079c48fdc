//! Reads a body with simd-json: a tape of its values, and the structural indexes that say where
//! each of them stands in the body.
//!
//! simd-json unescapes strings in the buffer that it parses. It is given a copy of the body in a
//! buffer that each thread keeps, so the body itself never changes. It refuses some JSON that RFC
//! 8259 allows: numbers outside the ranges of 64 bits, lone surrogates, more than 1,024 levels of
//! nesting. Those bodies, and those that are no JSON, are left to [`text`](super::text).

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem;

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape, fill_tape_padded};

use super::fields::{Fields, Value, Wanted};

/// The largest buffer, in bytes, that a thread keeps for its next body.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The most bytes that a thread keeps between two bodies: the copy, its strings, the indexes and the
/// tape.
pub const TAPE_KEPT_BYTES_MAX: usize = 4 * KEPT_BYTES_MAX;

/// The bytes that a structural index can take: a node of the tape, and the index itself, twice
/// because the list of indexes grows by doubling.
const INDEX_BYTES: usize = size_of::<Node<'_>>() + 2 * size_of::<u32>();

/// The most bytes that reading takes for each byte of a body: its copy, its strings, and a structural
/// index at every byte.
pub const TAPE_BYTES_PER_BODY_BYTE: usize = 2 + INDEX_BYTES;

/// Passes the wanted fields of the object `body` to `judge` and returns its verdict, or `None` if
/// simd-json does not read the body as an object.
pub(super) fn object<R>(
    body: &[u8],
    wanted: Wanted<'_>,
    judge: impl FnOnce(&Fields<'_, '_>) -> R,
) -> Option<R> {
    with_document(body, |document| {
        let mut fields = Fields::none_yet(wanted);
        document.object(Place::ROOT, &mut fields)?;
        Some(judge(&fields))
    })
}

/// Passes each element of the array `body` to `take`: how many elements are left with this one, its
/// text, and its wanted fields. Returns `None` if simd-json does not read the body as an array, if an
/// element is not an object, or as soon as `take` returns `None`.
pub(super) fn array<'b>(
    body: &'b [u8],
    wanted: Wanted<'_>,
    mut take: impl FnMut(usize, &'b [u8], &Fields<'_, '_>) -> Option<()>,
) -> Option<()> {
    with_document(body, |document| {
        let Node::Array { len, .. } = document.tape.first()? else {
            return None;
        };
        let mut fields = Fields::none_yet(wanted);
        let mut element = Place::ROOT.behind(1, 1);
        for left in (1..=*len).rev() {
            fields.clear();
            let next = document.object(element, &mut fields)?;
            let first = document.at(element.index)?;
            let last = document.at(next.index - 1)?;
            take(left, &body[first..=last], &fields)?;
            // A comma stands between two elements.
            element = next.behind(0, 1);
        }
        Some(())
    })
}

/// Returns a bound on the bytes that [`object()`] or [`array()`] takes to read `body`: the copy, its
/// strings, the list of indexes that simd-json begins with, and a structural index for each byte to
/// which one can point.
pub(super) fn bytes_max(body: &[u8]) -> usize {
    let behind = body.get(1..).unwrap_or_default();
    let mut indexes = 1;
    // The count of a short run fits a byte, which lets the compiler compare many bytes at once.
    for (before, bytes) in body.chunks(128).zip(behind.chunks(128)) {
        let pairs = before.iter().zip(bytes);
        let count: u8 = pairs
            .map(|(before, byte)| u8::from(begins(*before, *byte)))
            .sum();
        indexes += usize::from(count);
    }
    let first_list = (body.len() / 8 + INPUT_PADDING) * size_of::<u32>();
    2 * (body.len() + INPUT_PADDING) + first_list + indexes * INDEX_BYTES
}

/// Returns whether a structural index may point to a byte, given the byte before it.
fn begins(before: u8, byte: u8) -> bool {
    is_structural(byte) | ((is_structural(before) | is_space(before)) & !is_space(byte))
}

fn is_structural(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The buffers that a thread keeps from one body to the next.
#[derive(Default)]
struct Parser {
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Vec<Node<'static>>,
}

/// Parses `body` on this thread's buffers and passes the result to `read`. Returns `None` if
/// simd-json refuses the body.
fn with_document<R>(body: &[u8], read: impl FnOnce(&Document<'_>) -> Option<R>) -> Option<R> {
    thread_local! {
        static PARSER: RefCell<Parser> = RefCell::default();
    }
    PARSER.with_borrow_mut(|parser| parser.parse(body, read))
}

impl Parser {
    fn parse<R>(
        &mut self,
        body: &[u8],
        read: impl FnOnce(&Document<'_>) -> Option<R>,
    ) -> Option<R> {
        self.copy.clear();
        self.copy.reserve(body.len() + INPUT_PADDING);
        self.copy.extend_from_slice(body);
        self.copy.extend_from_slice(&[0; INPUT_PADDING]);
        let mut tape = Tape(mem::take(&mut self.tape)).reset();
        let is_read =
            fill_tape_padded(&mut self.copy, body.len(), &mut self.buffers, &mut tape).is_ok();
        let result = is_read
            .then(|| {
                read(&Document {
                    body,
                    tape: &tape.0,
                    indexes: self.buffers.structural_indexes(),
                })
            })
            .flatten();
        self.tape = tape.reset().0;
        self.shrink();
        result
    }

    /// Drops what a large body has left behind.
    fn shrink(&mut self) {
        if self.tape.capacity() * size_of::<Node<'_>>() > KEPT_BYTES_MAX {
            self.tape = Vec::new();
        }
        // `Buffers` holds a copy of the body's strings, and up to twice the indexes that it shows.
        let indexes_bytes = size_of_val(self.buffers.structural_indexes());
        if self.copy.capacity().max(2 * indexes_bytes) > KEPT_BYTES_MAX {
            self.buffers = Buffers::default();
            self.copy = Vec::new();
        }
    }
}

/// A parsed body. Each node of the tape that is a value or a name has one structural index, and so
/// has each closing brace or bracket, each colon and each comma.
struct Document<'b> {
    body: &'b [u8],
    tape: &'b [Node<'b>],
    /// The byte to which each structural index points.
    indexes: &'b [u32],
}

/// A value's place: the same value on the tape and among the structural indexes.
#[derive(Clone, Copy)]
struct Place {
    node: usize,
    index: usize,
}

impl Place {
    const ROOT: Self = Self { node: 0, index: 0 };

    fn behind(self, nodes: usize, indexes: usize) -> Self {
        Self {
            node: self.node + nodes,
            index: self.index + indexes,
        }
    }
}

impl<'b> Document<'b> {
    /// Returns the byte of the body to which a structural index points.
    fn at(&self, index: usize) -> Option<usize> {
        Some(*self.indexes.get(index)? as usize)
    }

    /// Puts the wanted fields of the object at `start` into `fields`, and returns the place behind
    /// the object.
    fn object(&self, start: Place, fields: &mut Fields<'_, 'b>) -> Option<Place> {
        let (Node::Object { len, count }, nodes) = self.tape.get(start.node..)?.split_first()?
        else {
            return None;
        };
        let mut nodes = nodes.get(..*count)?;
        let mut index = start.index + 1;
        for _ in 0..*len {
            let (Node::String(name), values) = nodes.split_first()? else {
                return None;
            };
            let value = values.first()?;
            // A colon stands between name and value.
            index += 2;
            if fields.meet(name.as_bytes()) {
                fields.put(name.as_bytes(), &self.value(value, index)?);
            }
            let Extent {
                nodes: skipped,
                indexes,
            } = extent(values)?;
            nodes = values.get(skipped..)?;
            // Behind the value stands a comma or the closing brace.
            index += indexes + 1;
        }
        // The braces of an empty object stand side by side.
        index += usize::from(*len == 0);
        Some(Place {
            node: start.node + 1 + count,
            index,
        })
    }

    fn value(&self, node: &Node<'b>, index: usize) -> Option<Value<'b>> {
        Some(match node {
            Node::String(text) => Value::String(Cow::Borrowed(text)),
            Node::Static(StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_)) => {
                Value::Number(Cow::Borrowed(number(&self.body[self.at(index)?..])?))
            }
            Node::Static(_) | Node::Object { .. } | Node::Array { .. } => Value::Other,
        })
    }
}

/// The nodes and the structural indexes of one value.
struct Extent {
    nodes: usize,
    indexes: usize,
}

/// Returns the extent of the value at the beginning of `tape`.
fn extent(tape: &[Node<'_>]) -> Option<Extent> {
    let nodes = match tape.first()? {
        Node::String(_) | Node::Static(_) => {
            return Some(Extent {
                nodes: 1,
                indexes: 1,
            });
        }
        Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
    };
    let indexes = tape.get(..nodes)?.iter().map(index_count).sum();
    Some(Extent { nodes, indexes })
}

/// Returns how many structural indexes belong to one node: its own, and those of a container's
/// brackets, colons and commas.
fn index_count(node: &Node<'_>) -> usize {
    match node {
        Node::String(_) | Node::Static(_) => 1,
        // Two braces, a colon for each name, and the commas between the pairs.
        Node::Object { len, .. } => 2 + len + len.saturating_sub(1),
        Node::Array { len, .. } => 2 + len.saturating_sub(1),
    }
}

/// Returns the number that `text` begins with, as it was sent.
fn number(text: &[u8]) -> Option<&str> {
    let length = text
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        .unwrap_or(text.len());
    str::from_utf8(&text[..length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::KeyFields;

    fn elements(body: &str) -> Option<Vec<(&str, Option<String>)>> {
        let key_fields = KeyFields::from_iter(["key"]);
        let wanted = Wanted {
            customer: ["one", "other"],
            own: &[],
            key: &key_fields,
        };
        let mut found = Vec::new();
        array(body.as_bytes(), wanted, |_, element, fields| {
            let element = str::from_utf8(element).expect("a slice of a str");
            found.push((element, fields.key_value().map(str::to_owned)));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn elements_are_cut_where_they_stand() {
        let body = concat!(
            " [ {} , {\"key\" : -1.50e+3 } ,",
            "{\"a\":{\"key\":1,\"b\":[[],{},[1,{\"c\":[2,3]}]]},\"key\":\"x\\ny\"} ,\n",
            "{\"key\":\"\",\"z\":[]}]\n"
        );
        let found = elements(body).expect("an array of objects");
        let slices: Vec<_> = found.iter().map(|(slice, _)| *slice).collect();
        assert_eq!(
            slices,
            [
                "{}",
                "{\"key\" : -1.50e+3 }",
                "{\"a\":{\"key\":1,\"b\":[[],{},[1,{\"c\":[2,3]}]]},\"key\":\"x\\ny\"}",
                "{\"key\":\"\",\"z\":[]}",
            ]
        );
        let keys: Vec<_> = found.iter().map(|(_, key)| key.as_deref()).collect();
        assert_eq!(keys, [None, Some("-1.50e+3"), Some("x\ny"), None]);
    }

    #[test]
    fn an_array_with_an_element_that_is_not_an_object_is_not_read() {
        for body in ["{}", "[1]", "[{},1]", "[[]]", "[{}", "[{}]]", "[{} {}]"] {
            assert_eq!(elements(body), None, "{body}");
        }
        assert_eq!(elements("[]"), Some(Vec::new()));
    }

    #[test]
    fn the_bound_on_memory_holds() {
        let long = format!("[{}1]", "1,".repeat(10_000));
        let words = format!("[{}]", "x ".repeat(10_000));
        let text = format!("[\"{}\"]", "x".repeat(10_000));
        for body in ["", "1", r#"{"a":"b c\"d"}"#, &long, &words, &text] {
            let mut parser = Parser::default();
            let _ = parser.parse(body.as_bytes(), |_| Some(()));
            // The list of indexes begins with room for an eighth of the body, and doubles.
            let indexes = parser.buffers.structural_indexes().len();
            let list = (2 * indexes).max(body.len() / 8);
            let taken = parser.tape.capacity() * size_of::<Node<'_>>()
                + list * size_of::<u32>()
                + 2 * body.len();
            assert!(
                taken <= bytes_max(body.as_bytes()),
                "{taken} for {}",
                body.len()
            );
        }
    }

    #[test]
    fn a_large_body_leaves_no_large_buffer() {
        let body = format!("[{}1]", "1,".repeat(1 << 20));
        let mut parser = Parser::default();
        assert!(parser.parse(body.as_bytes(), |_| Some(())).is_some());
        assert!(parser.tape.capacity() * size_of::<Node<'_>>() <= KEPT_BYTES_MAX);
        assert!(parser.copy.capacity() <= KEPT_BYTES_MAX);
        assert!(parser.parse(b"{}", |_| Some(())).is_some());
        assert!(parser.tape.capacity() > 0);
    }
}
