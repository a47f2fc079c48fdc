//! Reads a file line by line, as it stands or decompressed. Its first bytes tell the compression, not
//! its name. Holds one line at a time, and nothing of a line that cannot be a record's.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// The longest line that is read: several times the largest body that a gateway takes by default.
const LINE_BYTES_MAX: u64 = 1 << 30;
const READ_BYTES: usize = 256 << 10;

/// The first bytes of a Zstandard frame (RFC 8878, section 3.1.1) and of a gzip member (RFC 1952,
/// section 2.3.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A reader of a file's lines.
pub(crate) struct LineReader {
    source: Box<dyn BufRead>,
    /// The same file, for its position.
    file: File,
    line: Vec<u8>,
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'l> {
    /// A line that begins as an object does, with its line break if it has one.
    Object(&'l [u8]),
    /// A line break alone.
    Blank,
    /// Any other line. Nothing of it is held.
    Other,
}

impl LineReader {
    /// Opens a file, to read at most its first `bytes_max` bytes.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut source = BufReader::with_capacity(READ_BYTES, file.try_clone()?.take(bytes_max));
        let begin = source.fill_buf()?;
        let source: Box<dyn BufRead> = if begin.starts_with(&ZSTD) {
            Box::new(BufReader::new(zstd::Decoder::with_buffer(source)?))
        } else if begin.starts_with(&GZIP) {
            Box::new(BufReader::new(MultiGzDecoder::new(source)))
        } else {
            Box::new(source)
        };
        Ok(Self {
            source,
            file,
            line: Vec::new(),
        })
    }

    /// Reads the next line; `None` at the end of the file.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let Some(first) = self.source.fill_buf()?.first().copied() else {
            return Ok(None);
        };
        if first != b'{' {
            let mut source = self.source.as_mut().take(LINE_BYTES_MAX);
            let length = source.skip_until(b'\n')?;
            if length as u64 == LINE_BYTES_MAX {
                return Err(too_long());
            }
            let is_blank = first == b'\n' || first == b'\r' && length == 2;
            return Ok(Some(if is_blank { Line::Blank } else { Line::Other }));
        }
        let mut source = self.source.as_mut().take(LINE_BYTES_MAX);
        source.read_until(b'\n', &mut self.line)?;
        if self.line.len() as u64 == LINE_BYTES_MAX && !self.line.ends_with(b"\n") {
            return Err(too_long());
        }
        Ok(Some(Line::Object(&self.line)))
    }

    /// Returns how many bytes of the file have been read.
    pub(crate) fn bytes_read(&self) -> u64 {
        // Both handles have one position.
        (&self.file).stream_position().unwrap_or(0)
    }
}

fn too_long() -> io::Error {
    io::Error::other("a line is longer than 1 GiB")
}
