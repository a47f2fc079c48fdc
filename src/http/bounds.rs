//! Bounds on a request's head that are told in an answer like any other. Its size and its time are
//! bounded before there is a request.

use hyper::http::request::Parts;

use super::response::Refusal;

/// What hyper takes without being told, and without an allocation at each request.
const HEADERS_IN_PLACE: usize = 100;

/// Bounds on a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Headers.
    pub headers_max: usize,
    /// Bytes of the path and its query.
    pub uri_size: usize,
}

impl HeadLimits {
    pub(super) fn admit(&self, head: &Parts) -> Result<(), Refusal> {
        if head
            .uri
            .path_and_query()
            .is_some_and(|target| target.as_str().len() > self.uri_size)
        {
            return Err(Refusal::UriTooLong {
                limit: self.uri_size,
            });
        }
        if head.headers.len() > self.headers_max {
            return Err(Refusal::TooManyHeaders {
                limit: self.headers_max,
            });
        }
        Ok(())
    }

    /// How many headers hyper is to make room for, if it is to be told.
    pub(super) fn room(&self) -> Option<usize> {
        (self.headers_max > HEADERS_IN_PLACE).then_some(self.headers_max)
    }
}
