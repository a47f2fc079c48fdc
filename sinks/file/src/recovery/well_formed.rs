//! The positions of a file's well-formed lines. A line is well-formed if it begins with `{`, ends
//! with `}` and a line break, and contains no NUL, which is what a file system leaves where data
//! did not reach the disk. Memory is bounded, however long a line is.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The size of a read from the end, where usually one line is looked at.
const TAIL_CHUNK_BYTES: usize = 8 << 10;
/// The size of a read from the front, where the whole file is read.
const READ_BYTES: usize = 256 << 10;

/// The features of a line that decide whether it is well-formed.
#[derive(Default)]
struct Features {
    first: Option<u8>,
    last: Option<u8>,
    contains_nul: bool,
}

impl Features {
    fn update(&mut self, piece: &[u8]) {
        self.first = self.first.or(piece.first().copied());
        self.last = piece.last().copied().or(self.last);
        self.contains_nul |= memchr::memchr(0, piece).is_some();
    }

    fn are_well_formed(&self) -> bool {
        self.first == Some(b'{') && self.last == Some(b'}') && !self.contains_nul
    }
}

/// Returns the ranges of consecutive well-formed lines, in order. Reads the whole file.
pub(super) fn ranges(file: &File) -> io::Result<Vec<Range<u64>>> {
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut start = 0;
    let mut end = 0;
    let mut line = Features::default();
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(ranges);
        }
        let line_break = memchr::memchr(b'\n', chunk);
        line.update(&chunk[..line_break.unwrap_or(chunk.len())]);
        let used = line_break.map_or(chunk.len(), |at| at + 1);
        reader.consume(used);
        end += used as u64;
        if line_break.is_none() {
            continue;
        }
        if std::mem::take(&mut line).are_well_formed() {
            match ranges.last_mut() {
                Some(range) if range.end == start => range.end = end,
                _ => ranges.push(start..end),
            }
        }
        start = end;
    }
}

/// Returns the end of the last well-formed line. Reads from the end, and no more than necessary.
pub(super) fn end(file: &File, length: u64) -> io::Result<u64> {
    let (mut end, _) = line_start(file, length)?;
    while end > 0 {
        let last = end - 1;
        let (start, contains_nul) = line_start(file, last)?;
        let is_object =
            start < last && byte_at(file, start)? == b'{' && byte_at(file, last - 1)? == b'}';
        if is_object && !contains_nul {
            break;
        }
        end = start;
    }
    Ok(end)
}

/// Returns the start of the line that reaches up to `end`, and whether it contains a NUL.
fn line_start(file: &File, end: u64) -> io::Result<(u64, bool)> {
    let mut buffer = [0; TAIL_CHUNK_BYTES];
    let mut chunk_end = end;
    let mut contains_nul = false;
    while chunk_end > 0 {
        let chunk_start = chunk_end.saturating_sub(TAIL_CHUNK_BYTES as u64);
        // At most the size of the buffer, so it fits.
        #[allow(clippy::cast_possible_truncation)]
        let chunk = &mut buffer[..(chunk_end - chunk_start) as usize];
        file.read_exact_at(chunk, chunk_start)?;
        let line_break = memchr::memrchr(b'\n', chunk);
        let from = line_break.map_or(0, |at| at + 1);
        contains_nul |= memchr::memchr(0, &chunk[from..]).is_some();
        if line_break.is_some() {
            return Ok((chunk_start + from as u64, contains_nul));
        }
        chunk_end = chunk_start;
    }
    Ok((0, contains_nul))
}

fn byte_at(file: &File, offset: u64) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    Ok(byte[0])
}
