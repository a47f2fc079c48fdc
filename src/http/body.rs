//! A request's body, bounded in bytes and in time, and what to do with a body that nobody wants.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, EXPECT};

use super::response::Refusal;
use crate::memory::{Buffer, Memory};

/// A rest of a refused body up to this many bytes is read and dropped, so that the connection stays usable.
const SMALL_REST: usize = 64 * 1024;
/// How long such a rest is waited for.
const SMALL_REST_TIME: Duration = Duration::from_millis(500);

/// Bounds on one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// The most bytes.
    pub(super) size: usize,
    /// The time within which all of it must be there.
    pub(super) time: Duration,
}

/// A body, and how far it has been read.
pub(super) struct Body {
    incoming: Incoming,
    /// The client waits for `100 Continue` before it sends the body. hyper sends that with the first read.
    awaited: bool,
    ended: bool,
}

impl Body {
    pub(super) fn new(incoming: Incoming, headers: &HeaderMap) -> Self {
        let ended = incoming.is_end_stream();
        Self { incoming, awaited: headers.contains_key(EXPECT), ended }
    }

    /// Refuses, before a byte of it is read, a body that is declared too large or in an encoding that is not served.
    pub(super) fn admit(&self, headers: &HeaderMap, limits: BodyLimits) -> Result<(), Refusal> {
        if self.incoming.size_hint().lower() > limits.size as u64 {
            return Err(Refusal::BodyTooLarge { limit: limits.size });
        }
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Refusal::EncodingNotServed);
        }
        Ok(())
    }

    /// Reads all of it into memory that is counted.
    pub(super) async fn collect(
        &mut self,
        limits: BodyLimits,
        memory: &Arc<Memory>,
    ) -> Result<Bytes, Refusal> {
        match tokio::time::timeout(limits.time, self.collect_untimed(limits.size, memory)).await {
            Ok(result) => result,
            Err(_) => Err(Refusal::BodyLate),
        }
    }

    async fn collect_untimed(&mut self, limit: usize, memory: &Arc<Memory>) -> Result<Bytes, Refusal> {
        let expected = self.incoming.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let mut buffer = Buffer::new(memory, expected);
        while let Some(chunk) = self.next().await {
            let chunk = chunk.map_err(|_| Refusal::BodyBroken)?;
            if buffer.len() + chunk.len() > limit {
                return Err(Refusal::BodyTooLarge { limit });
            }
            buffer.extend(&chunk).map_err(|_| Refusal::Full)?;
        }
        Ok(buffer.freeze())
    }

    /// Reads and drops the rest after a refusal, if it is small. Says whether the connection can go on.
    pub(super) async fn discard_small(&mut self) -> bool {
        if self.ended {
            return true;
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
        matches!(tokio::time::timeout(SMALL_REST_TIME, discard).await, Ok(Some(())))
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
                Some(Err(error)) => return Some(Err(error)),
            }
        }
    }
}
