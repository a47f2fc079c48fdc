//! Which of a file's lines are well-formed: those that begin with `{`, end with `}` and a line
//! break, and hold no NUL, which is what a file system leaves where data did not reach the disk. In
//! bounded memory, however long a line is.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// How much is read at a time from the end, where mostly one line is looked at …
const CHUNK_BYTES: usize = 8 << 10;
/// … and from the front, through the whole file.
const READ_BYTES: usize = 256 << 10;

/// What was seen of a line so far.
#[derive(Default)]
struct Line {
    first: Option<u8>,
    last: Option<u8>,
    holds_nul: bool,
}

impl Line {
    fn take(&mut self, piece: &[u8]) {
        self.first = self.first.or(piece.first().copied());
        self.last = piece.last().copied().or(self.last);
        self.holds_nul |= memchr::memchr(0, piece).is_some();
    }

    fn is_good(&self) -> bool {
        self.first == Some(b'{') && self.last == Some(b'}') && !self.holds_nul
    }
}

/// The runs of well-formed lines, front to back. Reads the whole file.
pub(crate) fn good_runs(file: &File) -> io::Result<Vec<Range<u64>>> {
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let mut runs: Vec<Range<u64>> = Vec::new();
    let (mut start, mut end) = (0, 0);
    let mut line = Line::default();
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(runs);
        }
        let line_break = memchr::memchr(b'\n', chunk);
        line.take(&chunk[..line_break.unwrap_or(chunk.len())]);
        let used = line_break.map_or(chunk.len(), |at| at + 1);
        reader.consume(used);
        end += used as u64;
        if line_break.is_none() {
            continue;
        }
        if std::mem::take(&mut line).is_good() {
            match runs.last_mut() {
                Some(run) if run.end == start => run.end = end,
                _ => runs.push(start..end),
            }
        }
        start = end;
    }
}

/// Where the last well-formed line ends. Reads from the end, no further than it must.
pub(crate) fn good_length(file: &File, length: u64) -> io::Result<u64> {
    let (mut end, _) = line_start(file, length)?;
    while end > 0 {
        let last = end - 1;
        let (start, holds_nul) = line_start(file, last)?;
        let is_object =
            start < last && byte_at(file, start)? == b'{' && byte_at(file, last - 1)? == b'}';
        if is_object && !holds_nul {
            break;
        }
        end = start;
    }
    Ok(end)
}

/// Where the line begins that reaches up to `end`, and whether it holds a NUL.
fn line_start(file: &File, end: u64) -> io::Result<(u64, bool)> {
    let mut buffer = [0; CHUNK_BYTES];
    let mut chunk_end = end;
    let mut holds_nul = false;
    while chunk_end > 0 {
        let chunk_start = chunk_end.saturating_sub(CHUNK_BYTES as u64);
        // At most a chunk, so it fits.
        #[allow(clippy::cast_possible_truncation)]
        let chunk = &mut buffer[..(chunk_end - chunk_start) as usize];
        file.read_exact_at(chunk, chunk_start)?;
        let line_break = memchr::memrchr(b'\n', chunk);
        let from = line_break.map_or(0, |at| at + 1);
        holds_nul |= memchr::memchr(0, &chunk[from..]).is_some();
        if line_break.is_some() {
            return Ok((chunk_start + from as u64, holds_nul));
        }
        chunk_end = chunk_start;
    }
    Ok((0, holds_nul))
}

fn byte_at(file: &File, offset: u64) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    Ok(byte[0])
}
