//! A request's body, bounded in bytes and in time, and what to do with a body that nobody wants.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
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

/// Refuses, before a byte of it is read, a body that is declared too large or in an encoding that is not served.
pub(super) fn admit(body: &Incoming, headers: &HeaderMap, limits: BodyLimits) -> Result<(), Refusal> {
    if body.size_hint().lower() > limits.size as u64 {
        return Err(Refusal::BodyTooLarge { limit: limits.size });
    }
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::EncodingNotServed);
    }
    Ok(())
}

/// Reads the whole body into memory that is counted.
pub(super) async fn collect(
    body: &mut Incoming,
    limits: BodyLimits,
    memory: &Arc<Memory>,
) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(limits.time, collect_untimed(body, limits.size, memory)).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::BodyLate),
    }
}

async fn collect_untimed(body: &mut Incoming, limit: usize, memory: &Arc<Memory>) -> Result<Bytes, Refusal> {
    let expected = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let mut buffer = Buffer::new(memory, expected);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        // Trailers carry nothing that the gateway reads.
        let Ok(chunk) = frame.into_data() else { continue };
        if buffer.len() + chunk.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        buffer.extend(&chunk).map_err(|_| Refusal::Full)?;
    }
    Ok(buffer.freeze())
}

/// Reads and drops the rest of a body after a refusal, if it is small. Says whether the connection can go on.
///
/// A client that waits for `100 Continue` has not sent the body yet, and asking for it now would be in vain.
pub(super) async fn discard_small(body: &mut Incoming, headers: &HeaderMap) -> bool {
    if body.is_end_stream() {
        return true;
    }
    if body.size_hint().lower() > SMALL_REST as u64 || headers.contains_key(EXPECT) {
        return false;
    }
    let discard = async {
        let mut rest = 0;
        while let Some(frame) = body.frame().await {
            rest += frame.ok()?.into_data().map_or(0, |chunk| chunk.len());
            if rest > SMALL_REST {
                return None;
            }
        }
        Some(())
    };
    matches!(tokio::time::timeout(SMALL_REST_TIME, discard).await, Ok(Some(())))
}
