//! A request's body, decoded, bounded in bytes and in time, and what to do with a body that nobody
//! wants.

mod pace;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, EXPECT};

use self::pace::Pace;
use super::response::Refusal;
use crate::encoding::{DecodeError, Decoder, Encoding};
use crate::memory::{Buffer, MemoryBudget};
use crate::telemetry::Limit;

/// A rest of a refused body up to this many bytes is read and dropped, so that the connection stays
/// usable.
const SMALL_REST: usize = 64 * 1024;
/// Other connections of the thread have their turn after so many steps of decoding.
const DECODING_STEPS: usize = 4;
/// How long such a rest is waited for.
const SMALL_REST_TIME: Duration = Duration::from_millis(500);

/// Bounds on one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// The most bytes, as sent and decoded.
    pub(super) size: usize,
    /// The time within which all of it must be there.
    pub(super) time: Duration,
    /// The bytes a second that it must come at, on average; 0: any.
    pub(super) rate: usize,
}

/// A body, and how far it has been read.
pub(super) struct Body {
    incoming: Incoming,
    /// The client waits for `100 Continue` before it sends the body. hyper sends that with the
    /// first read.
    awaited: bool,
    ended: bool,
    /// It broke off, or its framing did: where the next request begins, nobody can say.
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

    /// Refuses, before a byte of it is read, a body that is declared too large or in an encoding
    /// that is not served. Returns the encoding.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        limits: BodyLimits,
    ) -> Result<Option<Encoding>, Refusal> {
        if self.incoming.size_hint().lower() > limits.size as u64 {
            return Err(Refusal::BodyTooLarge { limit: limits.size });
        }
        encoding(headers)
    }

    /// Reads all of it, decoded, into memory that is counted.
    pub(super) async fn collect(
        &mut self,
        encoding: Option<Encoding>,
        limits: BodyLimits,
        memory: &Arc<MemoryBudget>,
    ) -> Result<Bytes, Refusal> {
        let pace = Pace::new(limits);
        let collect = async {
            match encoding {
                None => self.collect_plain(limits.size, memory, &pace).await,
                Some(encoding) => {
                    self.collect_decoded(encoding, limits.size, memory, &pace)
                        .await
                }
            }
        };
        pace.keep(collect).await.map_err(Refusal::BodyLate)?
    }

    async fn collect_plain(
        &mut self,
        limit: usize,
        memory: &Arc<MemoryBudget>,
        pace: &Pace,
    ) -> Result<Bytes, Refusal> {
        let expected = self
            .incoming
            .size_hint()
            .exact()
            .and_then(|length| usize::try_from(length).ok());
        let mut buffer = Buffer::new(memory, expected);
        while let Some(chunk) = self.next().await {
            let chunk = chunk.map_err(|_| Refusal::BodyBroken)?;
            if buffer.len() + chunk.len() > limit {
                return Err(Refusal::BodyTooLarge { limit });
            }
            buffer
                .extend(&chunk)
                .map_err(|_| Refusal::Full(Limit::Memory))?;
            pace.came(chunk.len());
        }
        Ok(buffer.freeze())
    }

    async fn collect_decoded(
        &mut self,
        encoding: Encoding,
        limit: usize,
        memory: &Arc<MemoryBudget>,
        pace: &Pace,
    ) -> Result<Bytes, Refusal> {
        let mut decoder =
            Decoder::new(encoding, memory).map_err(|_| Refusal::Full(Limit::Memory))?;
        let mut buffer = Buffer::new(memory, Some(limit));
        let length = self.incoming.size_hint().exact();
        let (mut received, mut steps) = (0, 0_usize);
        while let Some(chunk) = self.next().await {
            let chunk = chunk.map_err(|_| Refusal::BodyBroken)?;
            received += chunk.len();
            pace.came(chunk.len());
            if received > limit {
                return Err(Refusal::BodyTooLarge { limit });
            }
            let mut rest = &chunk[..];
            while decoder
                .step(&mut rest, &mut buffer, limit)
                .map_err(|error| refused(error, limit))?
            {
                steps += 1;
                if let Some(length) = length {
                    buffer.expect(foreseen(buffer.len(), received - rest.len(), length).min(limit));
                }
                if steps.is_multiple_of(DECODING_STEPS) {
                    tokio::task::yield_now().await;
                }
            }
        }
        decoder.finish().map_err(|error| refused(error, limit))?;
        Ok(buffer.freeze())
    }

    /// Reads and drops the rest after a refusal, if it is small. Says whether the connection can go
    /// on.
    pub(super) async fn discard_small(&mut self) -> bool {
        if self.ended || self.broken {
            return self.ended;
        }
        // Asking a client that waits for the body that nobody wants would be in vain.
        if self.awaited || self.incoming.size_hint().lower() > SMALL_REST as u64 {
            return false;
        }
        let discard = async {
            let mut rest = 0;
            while let Some(chunk) = self.next().await {
                rest += chunk.ok()?.len();
                if rest > SMALL_REST {
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

    /// The next bytes; none at the end. Trailers carry nothing that the gateway reads.
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

/// The one encoding that the headers name.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Refusal> {
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
            .ok_or(Refusal::EncodingNotServed),
        (Some(_), Some(_)) => Err(Refusal::EncodingNotServed),
    }
}

/// How long a body will be of which so much has been decoded from so much of its whole length: an
/// eighth longer than if all of it is like that, and longer than it is already by a quarter.
fn foreseen(decoded: usize, read: usize, length: u64) -> usize {
    let whole = (decoded as u128 * u128::from(length) / read.max(1) as u128).saturating_mul(9) / 8;
    usize::try_from(whole)
        .unwrap_or(usize::MAX)
        .max(decoded.saturating_add(decoded / 4))
}

fn refused(error: DecodeError, limit: usize) -> Refusal {
    match error {
        DecodeError::TooLarge => Refusal::BodyTooLarge { limit },
        DecodeError::Exhausted(_) => Refusal::Full(Limit::Memory),
        corrupt @ DecodeError::Corrupt { .. } => Refusal::Undecodable(corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_body_is_foreseen_by_what_came_of_it() {
        for (decoded, read, length, foreseen_length) in [
            (0, 0, 0, 0),
            (16_384, 1_000, 10_000, 184_320),
            (16_384, 10_000, 10_000, 20_480),
            (100, 0, u64::MAX, usize::MAX),
        ] {
            assert_eq!(
                foreseen(decoded, read, length),
                foreseen_length,
                "{decoded} of {read} of {length}"
            );
        }
    }
}
