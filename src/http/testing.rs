//! What the fuzz targets reach: a connection over a stream of any kind, served by the code that
//! serves sockets, and stages that are otherwise private. Only built with the feature `testing`.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};

use super::draining::Draining;
pub use super::intake::form;
pub use super::route::{Route, query_value};
use super::server::{ServerSettings, Shared, Thread};
use super::service::{self, Service};
use crate::encoding::Encoding;

/// A gateway's front for connections that come over no socket; each drains by itself.
pub struct Front(Thread);

impl Front {
    pub(crate) fn new(service: &Arc<Service>, settings: &ServerSettings) -> Self {
        let shared = Arc::new(Shared::new(settings, None, service, &service.metrics));
        Self(Thread {
            shared,
            draining: Draining::default(),
        })
    }

    /// Serves one connection to its end, in plain HTTP of either version.
    ///
    /// # Errors
    /// As a connection over a socket fails: broken off, late, no HTTP.
    pub async fn serve<S>(&self, stream: S, peer: IpAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.0.serve_plain(stream, peer, false).await
    }

    /// From now on no request is begun, and those under way are finished.
    pub fn drain(&self) {
        self.0.draining.begin();
    }

    /// Bytes of bodies and waiting records that are counted now.
    pub fn memory_used(&self) -> usize {
        self.0.shared.service.memory.used()
    }

    /// Records, and bytes of records, that are accepted and not settled.
    pub fn waiting(&self) -> (usize, usize) {
        let vitals = self
            .0
            .shared
            .service
            .topics
            .iter()
            .map(|topic| topic.pipeline.vitals());
        vitals.fold((0, 0), |(records, bytes), vitals| {
            (records + vitals.records(), bytes + vitals.bytes())
        })
    }

    /// Requests over HTTP/2 that may be answered now, and threads for large bodies that have
    /// nothing to do.
    pub fn permits(&self) -> (usize, usize) {
        (
            self.0.shared.requests.available_permits(),
            self.0.shared.service.readers.idle(),
        )
    }
}

/// The access token of a request with these headers.
pub fn access_token(headers: &HeaderMap) -> Option<&[u8]> {
    service::access_token(headers)
}

/// The encoding of a body with these headers, none for a plain one; `None` where it is not served.
pub fn encoding(headers: &HeaderMap) -> Option<Option<Encoding>> {
    super::body::encoding(headers).ok()
}
