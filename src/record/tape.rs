//! The fast way: simd-json's tape, on a copy that the thread keeps.
//!
//! simd-json rewrites its input, hence the copy. It refuses some valid JSON (integers beyond 64 bits, floats beyond
//! their range, nesting beyond 1024, lone surrogates), and its tape has no digits of numbers: whatever is not plainly
//! readable here is left to [`text`](super::text), which alone says what is wrong with a body.

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem;

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape, fill_tape_padded};

use super::fields::{Fields, Value, Wanted};

/// The most bytes that this module keeps for each thread that parses, whatever it is sent.
pub const SCRATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longer bodies are not read here: the tape takes up to 24 bytes for each of theirs, vectors grow by doubling, and
/// at such lengths the thorough way is as fast.
const BODY_BYTES_MAX: usize = 64 * 1024;

struct Scratch {
    input: Vec<u8>,
    buffers: Buffers,
    /// Empty between two calls, kept for its allocation.
    tape: Tape<'static>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { input: Vec::new(), buffers: Buffers::new(0), tape: Tape(Vec::new()) });
}

/// Hands the wanted fields of the object `body` to `judge`; `None` if this way does not read that body.
pub(super) fn read<R>(
    body: &[u8],
    wanted: Wanted<'_>,
    judge: impl FnOnce(&Fields<'_, '_>) -> R,
) -> Option<R> {
    if body.len() > BODY_BYTES_MAX {
        return None;
    }
    SCRATCH.with_borrow_mut(|Scratch { input, buffers, tape: kept }| {
        input.clear();
        input.extend_from_slice(body);
        input.resize(body.len() + INPUT_PADDING, 0);
        let mut tape = Tape(mem::take(&mut kept.0)).reset();
        let judgement = match fill_tape_padded(input, body.len(), buffers, &mut tape) {
            Ok(()) => fields(&tape.0, wanted).map(|fields| judge(&fields)),
            Err(_) => None,
        };
        *kept = tape.reset();
        judgement
    })
}

/// Walks the fields of the outermost object, stepping over nested values by their node counts.
fn fields<'n, 'v>(tape: &[Node<'v>], wanted: Wanted<'n>) -> Option<Fields<'n, 'v>> {
    let (Node::Object { .. }, mut rest) = tape.split_first()? else { return None };
    let mut fields = Fields::none_yet(wanted);
    while let [Node::String(name), value, following @ ..] = rest {
        if fields.want(name) {
            fields.put(name, &readable(value)?);
        }
        let nested = match value {
            Node::Object { count, .. } | Node::Array { count, .. } => *count,
            Node::String(_) | Node::Static(_) => 0,
        };
        rest = following.get(nested..)?;
    }
    Some(fields)
}

/// The value as sent; `None` for a number whose digits as sent cannot be told any more.
fn readable<'v>(value: &Node<'v>) -> Option<Value<'v>> {
    match value {
        Node::String(text) => Some(Value::String(Cow::Borrowed(text))),
        Node::Static(StaticNode::U64(number)) => Some(Value::Number(Cow::Owned(number.to_string()))),
        // `-0` is an integer here, and the sign is gone.
        Node::Static(StaticNode::I64(_) | StaticNode::F64(_)) => None,
        Node::Static(StaticNode::Bool(_) | StaticNode::Null) | Node::Object { .. } | Node::Array { .. } => {
            Some(Value::Other)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::KeyFields;

    fn read_and_forget(body: &[u8]) -> bool {
        let key_fields = KeyFields::from_iter([""; 0]);
        read(body, Wanted { own: ["", ""], key: &key_fields }, |_| ()).is_some()
    }

    #[test]
    fn what_a_thread_keeps_is_bounded() {
        // A structural character at every byte, and lengths that make every vector grow just before its limit.
        for len in (1..=16).map(|part| part * BODY_BYTES_MAX / 16 - 9) {
            assert!(read_and_forget(format!(r#"{{"a":[{}1]}}"#, "0,".repeat((len - 9) / 2)).as_bytes()));
            assert!(!read_and_forget("[".repeat(len).as_bytes()));
            assert!(!read_and_forget("{".repeat(len).as_bytes()));
        }
        assert!(!read_and_forget(format!(r#"{{"a":"{}"}}"#, "x".repeat(8 << 20)).as_bytes()));
        SCRATCH.with_borrow(|Scratch { input, buffers, tape }| {
            // simd-json keeps 4 bytes for each structural character, a copy's length, and 1024 levels of its stack.
            let indexes = buffers.structural_indexes().len().next_power_of_two() * size_of::<u32>();
            let strings = 2 * BODY_BYTES_MAX;
            let levels = 1024 * 24;
            let kept =
                input.capacity() + tape.0.capacity() * size_of::<Node<'_>>() + indexes + strings + levels;
            assert!(BODY_BYTES_MAX < kept && kept <= SCRATCH_BYTES_MAX, "{kept} bytes");
        });
    }
}
