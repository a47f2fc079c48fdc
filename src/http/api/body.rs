//! A request's body: collected and decoded within bounds of bytes and time, or discarded after a
//! rejection. It never holds bytes that the memory budget does not count.

mod pace;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, EXPECT};

use self::pace::Pace;
use super::rejection::Rejection;
use crate::config;
use crate::encoding::{DecodeError, Decoder, Encoding};
use crate::memory::{Buffer, MemoryBudget};
use crate::telemetry::Limit;

/// The most bytes left of a rejected body that are read and dropped, so that the connection stays
/// usable.
const SMALL_REST: usize = 64 * 1024;
/// The longest wait for these bytes.
const SMALL_REST_TIME: Duration = Duration::from_millis(500);
/// The steps of decoding after which the thread serves its other connections.
const DECODING_STEPS: usize = 4;

/// A body, and how far it has been read.
pub(super) struct Body {
    incoming: Incoming,
    /// The client waits for `100 Continue` before it sends the body. hyper sends that at the first
    /// read.
    awaited: bool,
    ended: bool,
    /// The body broke off, or its framing did: the beginning of the next request is unknown.
    broken: bool,
}

impl Body {
    pub(super) fn new(incoming: Incoming, headers: &HeaderMap) -> Self {
        let ended = incoming.is_end_stream();
        Self {
            incoming,
            awaited: headers.contains_key(EXPECT),
            ended,
            broken: false,
        }
    }

    /// Rejects, before a byte of it is read, a body that is declared too large or in an encoding
    /// that is not served. Returns the encoding.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        limit: usize,
    ) -> Result<Option<Encoding>, Rejection> {
        if self.incoming.size_hint().lower() > limit as u64 {
            return Err(Rejection::BodyTooLarge { limit });
        }
        encoding(headers)
    }

    /// Reads the whole body, decoded, into memory that is counted.
    pub(super) async fn collect(
        &mut self,
        encoding: Option<Encoding>,
        limit: usize,
        server: &config::Server,
        memory: &Arc<MemoryBudget>,
    ) -> Result<Bytes, Rejection> {
        let pace = Pace::new(server.body_timeout, server.body_rate);
        let collect = async {
            match encoding {
                None => self.collect_plain(limit, memory, &pace).await,
                Some(encoding) => self.collect_decoded(encoding, limit, memory, &pace).await,
            }
        };
        pace.bound(collect).await.map_err(Rejection::BodyLate)?
    }

    async fn collect_plain(
        &mut self,
        limit: usize,
        memory: &Arc<MemoryBudget>,
        pace: &Pace,
    ) -> Result<Bytes, Rejection> {
        let expected = self
            .incoming
            .size_hint()
            .exact()
            .and_then(|length| usize::try_from(length).ok());
        let mut buffer = Buffer::new(memory, expected);
        while let Some(chunk) = self.next().await {
            let chunk = chunk.map_err(|_| Rejection::BodyBroken)?;
            if buffer.len() + chunk.len() > limit {
                return Err(Rejection::BodyTooLarge { limit });
            }
            buffer
                .extend(&chunk)
                .map_err(|_| Rejection::Full(Limit::Memory))?;
            pace.add(chunk.len());
        }
        Ok(buffer.freeze())
    }

    async fn collect_decoded(
        &mut self,
        encoding: Encoding,
        limit: usize,
        memory: &Arc<MemoryBudget>,
        pace: &Pace,
    ) -> Result<Bytes, Rejection> {
        let mut decoder =
            Decoder::new(encoding, memory).map_err(|_| Rejection::Full(Limit::Memory))?;
        let mut buffer = Buffer::new(memory, Some(limit));
        let length = self.incoming.size_hint().exact();
        let mut received = 0;
        let mut steps = 0_usize;
        while let Some(chunk) = self.next().await {
            let chunk = chunk.map_err(|_| Rejection::BodyBroken)?;
            received += chunk.len();
            pace.add(chunk.len());
            if received > limit {
                return Err(Rejection::BodyTooLarge { limit });
            }
            let mut rest = &chunk[..];
            while decoder
                .step(&mut rest, &mut buffer, limit)
                .map_err(|error| rejection(error, limit))?
            {
                steps += 1;
                if let Some(length) = length {
                    buffer.expect(
                        decoded_length(buffer.len(), received - rest.len(), length).min(limit),
                    );
                }
                if steps.is_multiple_of(DECODING_STEPS) {
                    tokio::task::yield_now().await;
                }
            }
        }
        decoder.finish().map_err(|error| rejection(error, limit))?;
        Ok(buffer.freeze())
    }

    /// Reads and drops the rest of the body, if it is small. Returns whether the connection can go
    /// on.
    pub(super) async fn discard_small(&mut self) -> bool {
        if self.ended || self.broken {
            return self.ended;
        }
        // A client that waits to be asked for the body is not asked for one that is dropped.
        if self.awaited || self.incoming.size_hint().lower() > SMALL_REST as u64 {
            return false;
        }
        let discard = async {
            let mut length = 0;
            while let Some(chunk) = self.next().await {
                length += chunk.ok()?.len();
                if length > SMALL_REST {
                    return None;
                }
            }
            Some(())
        };
        matches!(
            tokio::time::timeout(SMALL_REST_TIME, discard).await,
            Ok(Some(()))
        )
    }

    /// Returns the next bytes, or `None` at the end. Trailers are skipped.
    async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        self.awaited = false;
        loop {
            match self.incoming.frame().await {
                None => {
                    self.ended = true;
                    return None;
                }
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Some(Ok(chunk));
                    }
                }
                Some(Err(error)) => {
                    self.broken = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Returns the encoding of a body with these headers, `None` for a plain one.
///
/// # Errors
/// [`Rejection::EncodingNotServed`] for another encoding, or for several.
pub fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Rejection> {
    let names = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let mut names = names
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty());
    match (names.next(), names.next()) {
        (None, _) => Ok(None),
        (Some(name), None) if name.eq_ignore_ascii_case(b"identity") => Ok(None),
        (Some(name), None) => Encoding::named(name)
            .map(Some)
            .ok_or(Rejection::EncodingNotServed),
        (Some(_), Some(_)) => Err(Rejection::EncodingNotServed),
    }
}

/// Estimates the length of a body of which `decoded` bytes came from `read` of its `length` bytes.
/// The estimate is an eighth above the proportional one, and at least a quarter above `decoded`.
fn decoded_length(decoded: usize, read: usize, length: u64) -> usize {
    let whole = (decoded as u128 * u128::from(length) / read.max(1) as u128).saturating_mul(9) / 8;
    usize::try_from(whole)
        .unwrap_or(usize::MAX)
        .max(decoded.saturating_add(decoded / 4))
}

fn rejection(error: DecodeError, limit: usize) -> Rejection {
    match error {
        DecodeError::TooLarge => Rejection::BodyTooLarge { limit },
        DecodeError::Exhausted(_) => Rejection::Full(Limit::Memory),
        corrupt @ DecodeError::Corrupt { .. } => Rejection::Undecodable(corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_decoded_body_is_estimated_from_its_beginning() {
        for (decoded, read, length, expected) in [
            (0, 0, 0, 0),
            (16_384, 1_000, 10_000, 184_320),
            (16_384, 10_000, 10_000, 20_480),
            (100, 0, u64::MAX, usize::MAX),
        ] {
            assert_eq!(
                decoded_length(decoded, read, length),
                expected,
                "{decoded} of {read} of {length}"
            );
        }
    }
}
