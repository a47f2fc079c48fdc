//! Compressed bodies: gzip (RFC 1952), deflate (RFC 9110, section 8.4.1.2: zlib, RFC 1950, or
//! without its header and trailer, RFC 1951, as some clients send it) and zstd (RFC 8878).
//!
//! A body is decoded a piece at a time into a buffer that is counted, up to a limit; the decoder's
//! own state is counted too. So a small body that unfolds to a huge one ends at the limit, and
//! never takes more memory or more time at one go than any other.

use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use crate::memory::{Buffer, Exhausted, Memory, Share};

/// The most that one [`Decoder::step`] adds to the buffer.
pub const STEP_BYTES_MAX: usize = 16 << 10;

/// The most memory that decoding one body takes beside its buffer: zstd's, for a window of 8 MiB.
pub const STATE_BYTES_MAX: usize = 9 << 20;
/// What decoding gzip or deflate takes: a window of 32 KiB, and tables.
const INFLATE_BYTES: usize = 64 << 10;

/// Base 2 logarithm of the largest window of a zstd body: 8 MiB, what RFC 9659 allows for this
/// content coding.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Base 2 logarithm of the largest window of gzip and deflate, which is the one that all use.
const INFLATE_WINDOW_LOG: u8 = 15;
/// The most members of a gzip body. Each costs a new decoder, however short it is.
const GZIP_MEMBERS_MAX: usize = 4096;

/// A content coding that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `gzip`, and `x-gzip`.
    Gzip,
    /// `deflate`, with the zlib format around or without.
    Deflate,
    /// `zstd`.
    Zstd,
}

impl Encoding {
    /// The coding of this name, in any case.
    pub fn named(name: &[u8]) -> Option<Self> {
        const NAMES: [(&[u8], Encoding); 4] = [
            (b"gzip", Encoding::Gzip),
            (b"x-gzip", Encoding::Gzip),
            (b"deflate", Encoding::Deflate),
            (b"zstd", Encoding::Zstd),
        ];
        NAMES
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, encoding)| encoding)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The decoded body is larger than the limit.
    #[error("the decoded body is too large")]
    TooLarge,
    /// The memory for all bodies has no room for this one.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// It is not what its encoding says.
    #[error("the body is not valid {}: {problem}", .encoding.name())]
    Corrupt {
        /// The encoding.
        encoding: Encoding,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Decodes one body.
pub struct Decoder {
    encoding: Encoding,
    engine: Engine,
    /// The body may end here: what has been read is whole.
    complete: bool,
    /// Members of gzip, so far.
    members: usize,
    state: Share,
}

enum Engine {
    /// Of deflate, until there are the two bytes that tell its formats apart: the first, if it is
    /// there.
    Undecided(Option<u8>),
    Inflate(Decompress),
    Zstd(DCtx<'static>),
}

/// What one step has done.
struct Progress {
    read: usize,
    written: usize,
    /// A member, stream or frame has ended, its checksum has held.
    ended: bool,
}

impl Decoder {
    /// A decoder whose state counts against `memory`.
    ///
    /// # Errors
    /// [`Exhausted`] when there is no room for that state.
    pub fn new(encoding: Encoding, memory: &Arc<Memory>) -> Result<Self, Exhausted> {
        let mut state = Share::new(memory);
        state.grow_to(INFLATE_BYTES)?;
        let engine = match encoding {
            Encoding::Gzip => Engine::Inflate(Decompress::new_gzip(INFLATE_WINDOW_LOG)),
            Encoding::Deflate => Engine::Undecided(None),
            Encoding::Zstd => Engine::Zstd(zstd_context().ok_or(Exhausted)?),
        };
        Ok(Self {
            encoding,
            engine,
            complete: false,
            members: 1,
            state,
        })
    }

    /// Decodes a piece: takes from the front of `input`, and adds to `output` at most
    /// [`STEP_BYTES_MAX`]. Says whether there may be more to decode before other input is
    /// there.
    ///
    /// # Errors
    /// What is wrong with the body, or that `output` would become longer than `limit`.
    pub fn step(
        &mut self,
        input: &mut &[u8],
        output: &mut Buffer,
        limit: usize,
    ) -> Result<bool, DecodeError> {
        if input.is_empty() && self.complete {
            return Ok(false);
        }
        let mut decoded = [0; STEP_BYTES_MAX];
        let Progress {
            read,
            written,
            ended,
        } = match &mut self.engine {
            Engine::Undecided(first) => {
                match (*first, input.split_first()) {
                    (_, None) => return Ok(false),
                    (None, Some((byte, rest))) => (*first, *input) = (Some(*byte), rest),
                    (Some(first), Some((second, _))) => {
                        self.engine = self.decided([first, *second])?
                    }
                }
                return Ok(true);
            }
            Engine::Inflate(_) if self.complete => {
                self.next_member()?;
                return Ok(true);
            }
            Engine::Inflate(inflate) => inflated(self.encoding, inflate, input, &mut decoded)?,
            Engine::Zstd(context) => {
                let progress = unfolded(context, input, &mut decoded)?;
                self.state.grow_to(context.sizeof())?;
                progress
            }
        };
        if output.len() + written > limit {
            return Err(DecodeError::TooLarge);
        }
        output.extend(&decoded[..written])?;
        *input = &input[read..];
        self.complete = ended;
        Ok(!input.is_empty() || written == STEP_BYTES_MAX)
    }

    /// Says whether the body is whole.
    ///
    /// # Errors
    /// That it was cut off.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.complete {
            Ok(())
        } else {
            Err(corrupt(self.encoding, "it is cut off"))
        }
    }

    /// What inflates a body that begins with these two bytes, with the first one put in. By RFC
    /// 1950 a zlib header names deflate and is a multiple of 31; no deflate stream that an
    /// encoder makes begins so.
    fn decided(&self, header: [u8; 2]) -> Result<Engine, DecodeError> {
        let is_zlib = header[0] & 0x0f == 8 && u16::from_be_bytes(header).is_multiple_of(31);
        let mut inflate = Decompress::new_with_window_bits(is_zlib, INFLATE_WINDOW_LOG);
        // A byte holds no symbol beside the block's header.
        inflated(self.encoding, &mut inflate, &header[..1], &mut [0])?;
        Ok(Engine::Inflate(inflate))
    }

    /// More bytes behind the end: gzip takes another member, deflate nothing.
    fn next_member(&mut self) -> Result<(), DecodeError> {
        self.members += 1;
        if self.encoding != Encoding::Gzip {
            return Err(corrupt(self.encoding, "something follows its end"));
        }
        if self.members > GZIP_MEMBERS_MAX {
            return Err(corrupt(self.encoding, "it has more than 4096 members"));
        }
        self.engine = Engine::Inflate(Decompress::new_gzip(INFLATE_WINDOW_LOG));
        self.complete = false;
        Ok(())
    }
}

fn inflated(
    encoding: Encoding,
    inflate: &mut Decompress,
    input: &[u8],
    output: &mut [u8],
) -> Result<Progress, DecodeError> {
    let (read, written) = (inflate.total_in(), inflate.total_out());
    // The library's own words depend on how the body came in pieces.
    let status = inflate
        .decompress(input, output, FlushDecompress::None)
        .map_err(|_| corrupt(encoding, "it is corrupt"))?;
    // Both are lengths of parts of slices.
    let since = |before, now: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
    Ok(Progress {
        read: since(read, inflate.total_in()),
        written: since(written, inflate.total_out()),
        ended: status == Status::StreamEnd,
    })
}

fn zstd_context() -> Option<DCtx<'static>> {
    let mut context = DCtx::try_create()?;
    context
        .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
        .ok()?;
    Some(context)
}

fn unfolded(
    context: &mut DCtx<'_>,
    input: &[u8],
    output: &mut [u8],
) -> Result<Progress, DecodeError> {
    let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(output));
    let expected = context
        .decompress_stream(&mut to, &mut from)
        .map_err(|code| corrupt(Encoding::Zstd, get_error_name(code)))?;
    Ok(Progress {
        read: from.pos(),
        written: to.pos(),
        ended: expected == 0,
    })
}

fn corrupt(encoding: Encoding, problem: &'static str) -> DecodeError {
    DecodeError::Corrupt { encoding, problem }
}

#[cfg(test)]
mod tests;
