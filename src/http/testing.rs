//! Access for fuzz targets and benches: a connection over a stream of any kind, served by the code
//! that serves sockets, and stages that are otherwise private. Only built with the feature
//! `testing`.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};

use super::api::{self, Service};
pub use super::api::{Route, form, query_value};
use super::transport::{Draining, Shared, Thread};
use crate::encoding::Encoding;

/// A gateway's front for connections that come over no socket. Each front drains by itself.
pub struct Front(Thread<Service>);

impl Front {
    pub(crate) fn new(service: &Arc<Service>) -> Self {
        let api::Resources {
            server, metrics, ..
        } = &service.resources;
        Self(Thread {
            shared: Arc::new(Shared::new(server, None, service, metrics)),
            draining: Draining::default(),
        })
    }

    fn resources(&self) -> &api::Resources {
        &self.0.shared.application.resources
    }

    /// Serves one connection to its end, in plain HTTP of either version.
    ///
    /// # Errors
    /// As a connection over a socket fails: broken off, late, no HTTP, one too many.
    pub async fn serve<S>(&self, stream: S, peer: IpAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.0.serve_one(stream, peer).await
    }

    /// Lets no more request begin; those under way are finished.
    pub fn drain(&self) {
        self.0.draining.begin();
    }

    /// Returns the bytes of bodies and waiting records that are counted now.
    pub fn memory_used(&self) -> usize {
        self.resources().memory.used()
    }

    /// Returns the records, and the bytes of records, that are accepted and not settled.
    pub fn waiting(&self) -> (usize, usize) {
        let topics = self.resources().topics.iter();
        let vitals = topics.map(|topic| topic.pipeline.vitals());
        vitals.fold((0, 0), |(records, bytes), vitals| {
            (records + vitals.records(), bytes + vitals.bytes())
        })
    }

    /// Returns the number of requests over HTTP/2 that may be answered now, and of threads of the
    /// parse pool that have nothing to do.
    pub fn permits(&self) -> (usize, usize) {
        (
            self.0.shared.http2_requests.available(),
            self.resources().parse_pool.idle(),
        )
    }
}

/// Returns the access token of a request with these headers.
pub fn access_token(headers: &HeaderMap) -> Option<&[u8]> {
    api::access_token(headers)
}

/// Returns the encoding of a body with these headers, `Some(None)` for a plain one; `None` if it is
/// not served.
pub fn encoding(headers: &HeaderMap) -> Option<Option<Encoding>> {
    api::encoding(headers).ok()
}
