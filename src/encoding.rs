//! Decoders of compressed bodies: gzip (RFC 1952), deflate and zstd (RFC 8878).
//!
//! Deflate is the zlib format (RFC 9110, section 8.4.1.2; RFC 1950), or raw deflate (RFC 1951),
//! which some clients send.
//!
//! A body is decoded in bounded steps into a buffer whose bytes are counted, up to a limit. The
//! decoder's own state is counted too, as far as the body has made it write there: a header that
//! announces a large window costs nothing yet. So a small body that expands to a huge one ends at the
//! limit; it never takes more memory, or more time in one step, than any other body.

use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use crate::memory::{Buffer, Exhausted, MemoryBudget, Reservation};

/// The most bytes that one [`Decoder::step`] adds to the buffer.
pub const STEP_BYTES_MAX: usize = 16 << 10;

/// The most bytes that a decoder takes beside its buffer: those of zstd with a window of 8 MiB.
pub const STATE_BYTES_MAX: usize = 9 << 20;
/// Bytes that a decoder of gzip or deflate takes: a window of 32 KiB, and tables.
const INFLATE_BYTES: usize = 64 << 10;

/// Base 2 logarithm of the largest window of a zstd body: 8 MiB, as RFC 9659 allows for this
/// content coding.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Base 2 logarithm of the largest window of gzip and deflate, which all encoders use.
const INFLATE_WINDOW_LOG: u8 = 15;
/// The most members of a gzip body. Each member costs a new decoder, however short it is.
const GZIP_MEMBERS_MAX: usize = 4096;

/// A content coding that the gateway decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `gzip`, and `x-gzip`.
    Gzip,
    /// `deflate`, in the zlib format or raw.
    Deflate,
    /// `zstd`.
    Zstd,
}

impl Encoding {
    /// Returns the coding of this name, in upper or lower case.
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

    /// Returns the name of the coding.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
}

/// The reason why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The decoded body is larger than the limit.
    #[error("the decoded body is too large")]
    TooLarge,
    /// The budget for all bodies has too few bytes left for this one.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The body is not valid in its encoding.
    #[error("the body is not valid {}: {problem}", .encoding.name())]
    Corrupt {
        /// The encoding.
        encoding: Encoding,
        /// The fault.
        problem: &'static str,
    },
}

/// A decoder of one body.
pub struct Decoder {
    encoding: Encoding,
    engine: Engine,
    /// The bytes so far are a whole body: it may end here.
    complete: bool,
    /// Members of a gzip body, so far.
    members: usize,
    reservation: Reservation,
    /// The bytes that a decoder of zstd has taken in and given out, and those of its own state: what
    /// it can have written to of its buffers, which it allocates by what the body's header says.
    written: usize,
}

/// The library that decodes, with its state.
enum Engine {
    /// A deflate body whose format is not known before its second byte. Holds its first byte.
    Undecided(Option<u8>),
    Inflate(Decompress),
    Zstd(DCtx<'static>),
}

/// The result of one step of a library.
struct Progress {
    read: usize,
    written: usize,
    /// A member, stream or frame has ended, and its checksum was right.
    ended: bool,
}

impl Decoder {
    /// Creates a decoder whose state counts against `memory`.
    ///
    /// # Errors
    /// [`Exhausted`] if `memory` has too few bytes left for the state.
    pub fn new(encoding: Encoding, memory: &Arc<MemoryBudget>) -> Result<Self, Exhausted> {
        let mut reservation = Reservation::new(memory);
        reservation.grow_to(INFLATE_BYTES)?;
        let engine = match encoding {
            Encoding::Gzip => Engine::Inflate(Decompress::new_gzip(INFLATE_WINDOW_LOG)),
            Encoding::Deflate => Engine::Undecided(None),
            Encoding::Zstd => Engine::Zstd(zstd_context().ok_or(Exhausted::All)?),
        };
        Ok(Self {
            encoding,
            complete: false,
            members: 1,
            reservation,
            written: match engine {
                Engine::Zstd(ref context) => context.sizeof(),
                _ => 0,
            },
            engine,
        })
    }

    /// Decodes one step: takes bytes from the front of `input` and appends at most
    /// [`STEP_BYTES_MAX`] bytes to `output`. Returns whether there may be more to decode before
    /// more input comes.
    ///
    /// # Errors
    /// A fault of the body, an exhausted budget, or an `output` longer than `limit`.
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
                        self.engine = self.deflate_engine([first, *second])?;
                    }
                }
                return Ok(true);
            }
            Engine::Inflate(_) if self.complete => {
                self.next_member()?;
                return Ok(true);
            }
            Engine::Inflate(inflate) => inflate_step(self.encoding, inflate, input, &mut decoded)?,
            Engine::Zstd(context) => {
                let progress = zstd_step(context, input, &mut decoded)?;
                self.written += progress.read + progress.written;
                self.reservation
                    .grow_to(self.written.min(context.sizeof()))?;
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

    /// Ends the body.
    ///
    /// # Errors
    /// [`DecodeError::Corrupt`] if the body is cut off.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.complete {
            Ok(())
        } else {
            Err(corrupt(self.encoding, "it is cut off"))
        }
    }

    /// Returns the engine for a deflate body that begins with these two bytes; it has read the
    /// first one. By RFC 1950 a zlib header names deflate and is a multiple of 31. No encoder
    /// begins a raw deflate stream with such bytes.
    fn deflate_engine(&self, header: [u8; 2]) -> Result<Engine, DecodeError> {
        let is_zlib = header[0] & 0x0f == 8 && u16::from_be_bytes(header).is_multiple_of(31);
        let mut inflate = Decompress::new_with_window_bits(is_zlib, INFLATE_WINDOW_LOG);
        // One byte holds the block's header and no whole symbol, so nothing is written.
        inflate_step(self.encoding, &mut inflate, &header[..1], &mut [0])?;
        Ok(Engine::Inflate(inflate))
    }

    /// Handles bytes behind the end: gzip may have another member, deflate ends there.
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

fn inflate_step(
    encoding: Encoding,
    inflate: &mut Decompress,
    input: &[u8],
    output: &mut [u8],
) -> Result<Progress, DecodeError> {
    let read = inflate.total_in();
    let written = inflate.total_out();
    // The library's own message would depend on the chunks in which the body came.
    let status = inflate
        .decompress(input, output, FlushDecompress::None)
        .map_err(|_| corrupt(encoding, "it is corrupt"))?;
    // Both differences are lengths of parts of slices.
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

fn zstd_step(
    context: &mut DCtx<'_>,
    input: &[u8],
    output: &mut [u8],
) -> Result<Progress, DecodeError> {
    let mut from = InBuffer::around(input);
    let mut to = OutBuffer::around(output);
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
