//! Where the tokens of a JSON text stand, found at memory speed.
//!
//! Bytes are looked at 64 at a time, each set of them as the bits of a word, as Langdale and Lemire
//! do it (*Parsing gigabytes of JSON per second*, 2019). Nothing is copied, and nothing is kept of
//! what has been handed out.

use std::slice::Chunks;

use wide::u8x16;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The places of brackets, braces, colons and commas outside strings, of both quotes of each
/// string, and of the first byte of anything else that is no white space. So a string's first quote
/// is followed by its last.
///
/// Ends early at what no JSON has: a control character where none may stand, or an escape that is
/// none.
pub(super) struct Tokens<'b> {
    text: &'b [u8],
    blocks: Chunks<'b, u8>,
    /// Where the last block begins.
    at: usize,
    /// Those of the last block that have not been handed out: a bit each.
    found: u64,
    /// All bits set where the last block ended within a string.
    in_string: u64,
    /// 1 where the last block ended in a backslash that escapes the next byte.
    escaped: u64,
    /// 1 where the last block ended in a byte of a number or a literal.
    in_scalar: u64,
    plain: bool,
    has_escapes: bool,
}

impl<'b> Tokens<'b> {
    pub(super) fn of(text: &'b [u8]) -> Self {
        Self {
            text,
            blocks: text.chunks(BLOCK),
            at: 0,
            found: 0,
            in_string: 0,
            escaped: 0,
            in_scalar: 0,
            plain: true,
            has_escapes: false,
        }
    }

    /// Whether all that was looked at may stand in JSON.
    pub(super) fn are_plain(&self) -> bool {
        self.plain
    }

    /// Whether there is an escape in what was looked at.
    pub(super) fn have_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Looks at blocks up to one with a token, or to the end.
    #[inline(never)]
    fn look_on(&mut self) -> Option<()> {
        while self.found == 0 {
            let chunk = self.blocks.next()?;
            self.at = chunk.as_ptr().addr() - self.text.as_ptr().addr();
            self.look_at(chunk.try_into().unwrap_or(&padded(chunk)));
            if !self.plain {
                (self.found, self.blocks) = (0, [].chunks(BLOCK));
            }
        }
        Some(())
    }

    #[inline]
    fn look_at(&mut self, block: &[u8; BLOCK]) {
        let backslashes = bits(block, |bytes| bytes.simd_eq(u8x16::splat(b'\\')));
        let escaped = if backslashes | self.escaped == 0 {
            0
        } else {
            self.escaped(backslashes)
        };
        let quotes = bits(block, |bytes| bytes.simd_eq(u8x16::splat(b'"'))) & !escaped;
        // Each bit becomes the parity of the quotes up to it: set from a string's first quote to
        // before its last.
        let mut strings = quotes;
        for distance in [1, 2, 4, 8, 16, 32] {
            strings ^= strings << distance;
        }
        strings ^= self.in_string;
        self.in_string = if strings >> (BLOCK - 1) == 0 {
            0
        } else {
            u64::MAX
        };
        let blanks = bits(block, |bytes| bytes.min(u8x16::splat(b' ')).simd_eq(bytes));
        let controls = bits(block, |bytes| {
            bytes.min(u8x16::splat(b' ' - 1)).simd_eq(bytes)
        });
        if controls != 0 {
            self.plain &= controls & (strings | !white_space(block)) == 0;
        }
        let marks = bits(block, |bytes| {
            // Braces are brackets with this bit set.
            let braces = bytes | u8x16::splat(b'{' ^ b'[');
            braces.simd_eq(u8x16::splat(b'{'))
                | braces.simd_eq(u8x16::splat(b'}'))
                | bytes.simd_eq(u8x16::splat(b','))
                | bytes.simd_eq(u8x16::splat(b':'))
        }) & !strings;
        let scalars = !(marks | blanks | strings | quotes);
        let begin = scalars & !(scalars << 1 | self.in_scalar);
        self.in_scalar = scalars >> (BLOCK - 1);
        self.found = marks | quotes | begin;
    }

    /// The bytes that a backslash before them escapes.
    #[cold]
    fn escaped(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = self.escaped;
        self.escaped = 0;
        self.has_escapes = true;
        while backslashes != 0 {
            let backslash = backslashes & backslashes.wrapping_neg();
            backslashes ^= backslash;
            if escaped & backslash == 0 {
                escaped |= backslash << 1;
                self.escaped = backslash >> (BLOCK - 1);
                let at = self.at + backslash.trailing_zeros() as usize;
                self.plain &= is_escape(&self.text[at + 1..]);
            }
        }
        escaped
    }
}

impl Iterator for Tokens<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.found == 0 {
            self.look_on()?;
        }
        let at = self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(self.at + at)
    }
}

/// The last block, filled up with white space.
#[cold]
fn padded(chunk: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    block[..chunk.len()].copy_from_slice(chunk);
    block
}

/// Those of the control characters that are white space (RFC 8259, section 2).
fn white_space(block: &[u8; BLOCK]) -> u64 {
    bits(block, |bytes| {
        let [tab, line_feed, carriage_return] = [b'\t', b'\n', b'\r'].map(u8x16::splat);
        bytes.simd_eq(tab) | bytes.simd_eq(line_feed) | bytes.simd_eq(carriage_return)
    })
}

/// Whether what follows a backslash begins with the rest of an escape (RFC 8259, section 7).
fn is_escape(rest: &[u8]) -> bool {
    match rest {
        [b'u', digits @ ..] => digits
            .get(..4)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
        _ => false,
    }
}

/// A bit for each byte of the block that is `wanted`, the first byte's the lowest.
#[inline]
fn bits(block: &[u8; BLOCK], wanted: impl Fn(u8x16) -> u8x16) -> u64 {
    let (parts, _) = block.as_chunks();
    parts.iter().rev().fold(0, |bits, part| {
        bits << 16 | u64::from(wanted(u8x16::new(*part)).to_bitmask())
    })
}
