//! A request while it is being answered: its head, its body and its client.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::http::request::Parts;
use iem_sink::Context;

use super::body::Body;
use super::rejection::Rejection;
use super::resources::Resources;
use crate::http::transport::Client;
use crate::identity::{LastToken, Principal};
use crate::record::{self, Kind};
use crate::telemetry::Limit;

/// A request that is being answered.
pub(super) struct Inbound<'c> {
    pub(super) head: Parts,
    pub(super) body: Body,
    pub(super) client: Client<'c>,
    /// The last access token of the connection.
    pub(super) last_token: &'c LastToken,
    pub(super) received: SystemTime,
}

impl Inbound<'_> {
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Returns the whole body, decoded.
    ///
    /// A full topic rejects the request before a byte of the body is read. While the topic stalls,
    /// its bodies would be rejected anyway, and must not fill the memory.
    pub(super) async fn collect(
        &mut self,
        resources: &Resources,
        topic: Option<Kind>,
    ) -> Result<Bytes, Rejection> {
        let server = &*resources.server;
        let encoding = self.body.admit(&self.head.headers, server.max_body)?;
        if let Some(kind) = topic
            && resources.topic(kind).pipeline.is_full()
        {
            resources.metrics.topic(kind).full(1);
            return Err(Rejection::Full(Limit::Queue));
        }
        let data = self
            .body
            .collect(encoding, server.max_body, server, &resources.memory)
            .await?;
        Ok(record::without_bom(data))
    }

    /// Returns the whole body, which may have no encoding and this many bytes at most.
    pub(super) async fn collect_small(
        &mut self,
        resources: &Resources,
        limit: usize,
    ) -> Result<Bytes, Rejection> {
        let limit = limit.min(resources.server.max_body);
        match self.body.admit(&self.head.headers, limit) {
            Ok(None) => {}
            Ok(Some(_)) | Err(Rejection::EncodingNotServed) => return Err(Rejection::Encoded),
            Err(rejection) => return Err(rejection),
        }
        let data = self
            .body
            .collect(None, limit, &resources.server, &resources.memory)
            .await?;
        Ok(record::without_bom(data))
    }

    /// Returns the context of the request's records.
    pub(super) fn context(&self, source: &Arc<str>, kind: Kind, principal: &Principal) -> Context {
        let traceparent = self.headers().get("traceparent");
        Context {
            source: Arc::clone(source),
            kind: kind.event_type(),
            time: self.received,
            user: Arc::clone(&principal.user().email),
            integration: None,
            actionable_state: None,
            traceparent: traceparent
                .and_then(|value| record::traceparent(value.as_bytes()))
                .map(Into::into),
        }
    }
}
