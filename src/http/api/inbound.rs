//! A request while it is being answered: its head, its body and its client.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::http::request::Parts;
use iem_sink::Context;

use super::audit::Trail;
use super::body::Body;
use super::rejection::Rejection;
use super::request_trace::{RequestTrace, traceparent};
use super::resources::{Resources, Strangers};
use super::response::{DURABILITY, IDEMPOTENCY_KEY};
use super::sender::{LastSender, Sender};
use crate::config::Durability;
use crate::http::transport::Client;
use crate::idempotency::IdempotencyKey;
use crate::identity::{LastToken, Peer, Principal};
use crate::record::{self, Kind};
use crate::telemetry::Limit;

/// The state that the API keeps for one connection, from request to request.
#[derive(Default)]
pub struct Connection {
    pub(super) last_token: LastToken,
    pub(super) last_sender: LastSender,
}

/// A request that is being answered.
pub(super) struct Inbound<'c> {
    pub(super) head: Parts,
    pub(super) body: Body,
    pub(super) client: Client<'c>,
    pub(super) connection: &'c Connection,
    pub(super) received: SystemTime,
    /// The connection ends after the answer.
    pub(super) is_last: Cell<bool>,
    /// The notes for the audit log.
    pub(super) trail: Trail,
    /// The time at which its head had come.
    pub(super) began: Instant,
    pub(super) trace: RequestTrace,
}

impl Inbound<'_> {
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Returns the sender of the request, which is this user's.
    pub(super) fn sender(&self, resources: &Resources, principal: &Principal) -> Arc<Sender> {
        self.connection.last_sender.get(
            &resources.ledger,
            &resources.memory,
            principal,
            self.client.address,
        )
    }

    /// Returns the whole body, decoded.
    ///
    /// A full topic rejects the request before a byte of the body is read. While the topic stalls,
    /// its bodies would be rejected anyway, and must not fill the memory.
    pub(super) async fn collect(
        &mut self,
        resources: &Resources,
        kind: Kind,
        sender: &Sender,
    ) -> Result<Bytes, Rejection> {
        self.collect_for_any(resources, &[kind], sender).await
    }

    /// Does the same for a body whose records may be of any of these kinds: it is rejected unread
    /// only if all of their topics are full.
    pub(super) async fn collect_for_any(
        &mut self,
        resources: &Resources,
        kinds: &[Kind],
        sender: &Sender,
    ) -> Result<Bytes, Rejection> {
        let server = &*resources.server;
        let encoding = self.body.admit(&self.head.headers, server.max_body)?;
        let is_full = |kind: &Kind| resources.topic(*kind).pipeline.is_full();
        if let [first, ..] = kinds
            && kinds.iter().all(is_full)
        {
            resources.metrics.topic(*first).full(1);
            return Err(Rejection::Full(Limit::Queue));
        }
        let _stage = self.trace.stage("read body");
        let data = self.body.collect(encoding, server, sender).await?;
        Ok(record::without_bom(data))
    }

    /// Begins the trace of the request, whose credentials are known, if its client samples it.
    pub(super) fn begin_trace(&self, resources: &Resources) {
        if let Some(tracer) = &resources.tracer {
            self.trace
                .begin(tracer, &self.head, self.began, self.received);
        }
    }

    /// Returns the body of a request without credentials. Nobody answers for what it holds, so it is
    /// small and plain, and all such bodies share a budget of their own.
    pub(super) async fn collect_without_credentials(
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
        // Nobody has shown credentials that a bound of their own could go by.
        let peer = Peer::from(self.client.address).widest().address();
        let Strangers { memory, peers } = &resources.strangers;
        let memory = memory.held_by([peers.peer(peer)]);
        let data = self.body.collect_plain(limit, &resources.server, &memory);
        let data = self.client.without_credentials(data).await;
        let data = data.ok_or(Rejection::TooManyRequests)??;
        Ok(record::without_bom(data))
    }

    /// Returns what the client wants to hold at least when it is answered.
    pub(super) fn durability(&self) -> Result<Option<Durability>, Rejection> {
        let mut values = self.headers().get_all(DURABILITY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let durability = Durability::from_name(value.as_bytes());
        match (durability, values.next()) {
            (Some(durability), None) => Ok(Some(durability)),
            _ => Err(Rejection::UnknownDurability),
        }
    }

    /// Returns the key by which the client's repeats are known.
    pub(super) fn idempotency_key(&self) -> Result<Option<IdempotencyKey<'_>>, Rejection> {
        let mut values = self.headers().get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        match (IdempotencyKey::parse(value.as_bytes()), values.next()) {
            (Some(key), None) => Ok(Some(key)),
            _ => Err(Rejection::WrongIdempotencyKey),
        }
    }

    /// Returns the context of the request's records.
    pub(super) fn context(&self, source: &Arc<str>, kind: Kind, principal: &Principal) -> Context {
        Context {
            source: Arc::clone(source),
            kind: kind.event_type().into(),
            time: self.received,
            user: Arc::clone(&principal.user().email),
            integration: None,
            actionable_state: None,
            traceparent: traceparent(self.headers()).map(Into::into),
            rejection: None,
            digests: None,
        }
    }
}
