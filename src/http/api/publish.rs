//! `POST /publish/…`: records of one kind, all published or none.

use std::sync::Arc;

use bytes::Bytes;

use super::credentials;
use super::deliver_once::deliver_once;
use super::delivery::Delivery;
use super::inbound::Inbound;
use super::ingest::{self, Accepted, Ingest};
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::resources::{Resources, Topic};
use super::response::Success;
use super::sender::Sender;
use crate::config::PARSE_IN_PLACE_MAX;
use crate::http::transport::Answer;
use crate::idempotency::RequestKey;
use crate::identity::{Principal, authorization};
use crate::record::Kind;

/// Answers the request as `docs/contract.md#2-checks-of-a-publish-call` says.
pub(super) async fn publish(
    resources: &Resources,
    kind: Kind,
    request: &mut Inbound<'_>,
) -> Result<Answer, Rejection> {
    let principal = credentials::publisher(resources, request).await?;
    authorization::may_call(principal.user())?;
    let asked = request.durability()?;
    let user = &principal.user().email;
    let key = request.idempotency_key()?;
    let key = key.map(|key| RequestKey::new(user, &[kind.event_type()], key));
    let sender = request.sender(resources, &principal);
    let body = request.collect(resources, kind, &sender).await?;
    let accepted = accept(
        resources,
        kind,
        principal,
        &sender,
        request,
        body,
        key.as_ref(),
    );
    let (accepted, permit) = accepted.await?;
    let stage = request.trace.delivery(accepted.records.len());
    let delivery = Delivery {
        resources,
        kind,
        sender: &sender,
        asked,
        stage: &stage,
    };
    let published = deliver_once(&delivery, accepted, None, permit).await?;
    Ok(Success::Published(published).into_answer())
}

/// Returns the records of a body. A large body is parsed in the parse pool, where it holds up no
/// connection; its records come with the pool's permit.
async fn accept(
    resources: &Resources,
    kind: Kind,
    principal: Principal,
    sender: &Sender,
    request: &Inbound<'_>,
    body: Bytes,
    key: Option<&RequestKey>,
) -> Result<(Accepted, Option<ParsePermit>), Rejection> {
    let _stage = request.trace.stage("parse");
    let Topic {
        pipeline,
        key_fields,
    } = resources.topic(kind);
    let context = request.context(&resources.source, kind, &principal);
    let form = ingest::form(request.headers());
    let records_max = pipeline.request_records_max();
    if body.len() <= PARSE_IN_PLACE_MAX {
        let ingest = Ingest {
            identity: &resources.identity,
            metrics: &resources.metrics,
            principal: &principal,
            key_fields,
            form,
            records_max,
            memory: &sender.memory,
            key,
        };
        return Ok((ingest.accept(&body, context)?, None));
    }
    let identity = Arc::clone(&resources.identity);
    let metrics = Arc::clone(&resources.metrics);
    let memory = Arc::clone(&sender.memory);
    let key_fields = key_fields.clone();
    let key = key.cloned();
    let accept = move || {
        let ingest = Ingest {
            identity: &identity,
            metrics: &metrics,
            principal: &principal,
            key_fields: &key_fields,
            form,
            records_max,
            memory: &memory,
            key: key.as_ref(),
        };
        ingest.accept_large(&body, context)
    };
    let (accepted, permit) = resources.parse_pool.run(sender, accept).await?;
    Ok((accepted?, Some(permit)))
}
