//! The elements of a JSON array, found at memory speed and unread.
//!
//! Only brackets outside strings are looked at, 64 bytes at a time, each set of bytes as the bits of a word. This says
//! where elements *would* end; whether they are JSON is for those who read them. Nothing rests on it but speed: an
//! array whose gaps hold nothing but commas and white space, and whose every element is read as one JSON object, is
//! what the grammar says it is, however its elements were found.

use std::slice::Chunks;

use wide::u8x16;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The elements of an array that are objects or arrays. Ends early at anything else.
pub(super) struct Elements<'b> {
    body: &'b [u8],
    brackets: Brackets<'b>,
    /// The first byte behind the last element.
    behind: usize,
    /// No element has been found yet.
    first: bool,
    whole: bool,
}

impl<'b> Elements<'b> {
    /// The elements of `body`, whose first byte but white space is a `[`.
    pub(super) fn of(body: &'b [u8]) -> Self {
        let opens = body.iter().position(|byte| *byte == b'[').map_or(body.len(), |at| at + 1);
        Self { body, brackets: Brackets::behind(body, opens), behind: opens, first: true, whole: false }
    }

    /// Whether the array ended where the last element was found, with nothing behind it but white space.
    pub(super) fn are_all(&self) -> bool {
        self.whole
    }
}

impl<'b> Iterator for Elements<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let start = self.brackets.next()?;
        let gap = &self.body[self.behind..start];
        if self.body[start] == b']' {
            self.whole = is_gap(gap, 0) && is_gap(&self.body[start + 1..], 0);
            return None;
        }
        if !is_gap(gap, usize::from(!self.first)) {
            return None;
        }
        let mut depth = 1_usize;
        while depth > 0 {
            let at = self.brackets.next()?;
            let opens = matches!(self.body[at], b'{' | b'[');
            depth = if opens { depth + 1 } else { depth - 1 };
            self.behind = at + 1;
        }
        self.first = false;
        Some(&self.body[start..self.behind])
    }
}

/// Whether what stands between elements is so many commas, and white space.
fn is_gap(gap: &[u8], commas: usize) -> bool {
    let mut found = 0;
    gap.iter().all(|byte| match byte {
        b',' => {
            found += 1;
            true
        }
        byte => matches!(byte, b' ' | b'\t' | b'\n' | b'\r'),
    }) && found == commas
}

/// Where the brackets and braces are that stand outside strings.
struct Brackets<'b> {
    blocks: Chunks<'b, u8>,
    /// Where the block begins that comes next.
    next: usize,
    /// Those of the last block that have not been handed out: a bit each.
    found: u64,
    /// All bits set where the last block ended within a string.
    in_string: u64,
    /// 1 where the last block ended in a backslash that escapes the next byte.
    escaped: u64,
}

impl<'b> Brackets<'b> {
    fn behind(body: &'b [u8], start: usize) -> Self {
        Self { blocks: body[start..].chunks(BLOCK), next: start, found: 0, in_string: 0, escaped: 0 }
    }

    fn look_at(&mut self, block: &[u8; BLOCK]) {
        let escaped = self.escaped(bits(block, |bytes| bytes.simd_eq(u8x16::splat(b'\\'))));
        let quotes = bits(block, |bytes| bytes.simd_eq(u8x16::splat(b'"'))) & !escaped;
        // Each bit becomes the parity of the quotes up to it: set from a string's first quote to before its last.
        let mut strings = quotes;
        for distance in [1, 2, 4, 8, 16, 32] {
            strings ^= strings << distance;
        }
        strings ^= self.in_string;
        self.in_string = if strings >> (BLOCK - 1) == 0 { 0 } else { u64::MAX };
        let brackets = bits(block, |bytes| {
            // Braces are brackets with this bit set.
            let braces = bytes | u8x16::splat(b'{' ^ b'[');
            braces.simd_eq(u8x16::splat(b'{')) | braces.simd_eq(u8x16::splat(b'}'))
        });
        self.found = brackets & !strings;
    }

    /// The bytes that a backslash before them escapes.
    fn escaped(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = self.escaped;
        self.escaped = 0;
        while backslashes != 0 {
            let backslash = backslashes & backslashes.wrapping_neg();
            backslashes ^= backslash;
            if escaped & backslash == 0 {
                escaped |= backslash << 1;
                self.escaped = backslash >> (BLOCK - 1);
            }
        }
        escaped
    }
}

impl Iterator for Brackets<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            let chunk = self.blocks.next()?;
            self.next += BLOCK;
            self.look_at(chunk.try_into().unwrap_or(&padded(chunk)));
        }
        let at = self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(self.next - BLOCK + at)
    }
}

/// The last block, filled up with white space.
#[cold]
fn padded(chunk: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    block[..chunk.len()].copy_from_slice(chunk);
    block
}

/// A bit for each byte of the block that is `wanted`, the first byte's the lowest.
fn bits(block: &[u8; BLOCK], wanted: impl Fn(u8x16) -> u8x16) -> u64 {
    let (parts, _) = block.as_chunks();
    parts.iter().rev().fold(0, |bits, part| bits << 16 | u64::from(wanted(u8x16::new(*part)).to_bitmask()))
}
