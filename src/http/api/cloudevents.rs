//! `POST /cloudevents`: events of `CloudEvents` 1.0, one or many, whose data are records of any
//! kind, all published or none.

mod binary;
mod ingest;

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;

use super::credentials;
use super::distribution;
use super::event_claims::Events;
use super::inbound::Inbound;
use super::ingest::{is_ndjson, media_type};
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::resources::Resources;
use super::response::Success;
use super::sender::Sender;
use crate::config::PARSE_IN_PLACE_MAX;
use crate::http::transport::Answer;
use crate::identity::{Principal, authorization};
use crate::record::{EventForm, Kind};
use ingest::{EventIngest, EventTopic, Source};

/// The prefix of the media types of all event formats.
const EVENT_FORMATS: &[u8] = b"application/cloudevents";

/// Answers the request as `docs/contract.md#cloudevents` says.
pub(super) async fn cloudevents(
    resources: &Resources,
    request: &mut Inbound<'_>,
) -> Result<Answer, Rejection> {
    let principal = credentials::publisher(resources, request).await?;
    authorization::may_call(principal.user())?;
    let asked = request.durability()?;
    // It is checked, and has no other meaning here: each event has a key of its own.
    request.idempotency_key()?;
    let form = form(request.headers())?;
    let sender = request.sender(resources, &principal);
    let kind = match form {
        None => binary::kind(request.headers()),
        Some(_) => None,
    };
    let kinds = kind.as_ref().map_or(&Kind::ALL[..], std::slice::from_ref);
    let body = request.collect_for_any(resources, kinds, &sender).await?;
    let (events, permit) = accept(resources, form, principal, &sender, request, body).await?;
    let trace = &request.trace;
    let published =
        distribution::deliver_within_quotas(resources, events, &sender, asked, permit, trace)
            .await?;
    Ok(Success::Published(published).into_answer())
}

/// Returns the form of a body with these headers; `None` for binary mode, whose body is the data.
fn form(headers: &HeaderMap) -> Result<Option<EventForm>, Rejection> {
    let Some(media_type) = media_type(headers) else {
        return Ok(None);
    };
    if is_ndjson(media_type) {
        return Ok(Some(EventForm::Lines));
    }
    let is_event_format = media_type
        .get(..EVENT_FORMATS.len())
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(EVENT_FORMATS));
    if !is_event_format {
        return Ok(None);
    }
    match &*media_type[EVENT_FORMATS.len()..].to_ascii_lowercase() {
        b"+json" => Ok(Some(EventForm::Structured)),
        b"-batch+json" => Ok(Some(EventForm::Batch)),
        _ => Err(Rejection::FormatNotServed),
    }
}

/// Returns the events of a request. A large body is parsed in the parse pool,
/// where it holds up no connection; its records come with the pool's permit.
async fn accept(
    resources: &Resources,
    form: Option<EventForm>,
    principal: Principal,
    sender: &Sender,
    request: &Inbound<'_>,
    body: Bytes,
) -> Result<(Events, Option<ParsePermit>), Rejection> {
    let _stage = request.trace.stage("parse");
    let source = match form {
        None => Source::Headers(binary::attributes(request.headers())?),
        Some(form) => Source::Body(form),
    };
    let is_large = body.len() > PARSE_IN_PLACE_MAX;
    let ingest = EventIngest {
        identity: Arc::clone(&resources.identity),
        metrics: Arc::clone(&resources.metrics),
        // The kind is set for each event.
        context: request.context(&resources.source, Kind::Event, &principal),
        principal,
        topics: Kind::ALL.map(|kind| {
            let topic = resources.topic(kind);
            EventTopic {
                key_fields: topic.key_fields.clone(),
                records_max: topic.pipeline.request_records_max(),
                is_journaled: topic.pipeline.is_journaled(),
            }
        }),
        memory: Arc::clone(&sender.memory),
        is_large,
    };
    if !is_large {
        return Ok((ingest.accept(&body, source)?, None));
    }
    let accept = move || ingest.accept(&body, source);
    let (events, permit) = resources.parse_pool.run(sender, accept).await?;
    Ok((events?, Some(permit)))
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_TYPE, HeaderValue};

    use super::*;

    #[test]
    fn the_content_type_tells_the_mode() {
        let check = |content_type: Option<&'static str>, expected: Option<Option<EventForm>>| {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            assert_eq!(form(&headers).ok(), expected, "{content_type:?}");
        };
        check(None, Some(None));
        check(Some("application/json"), Some(None));
        check(Some("text/plain"), Some(None));
        for content_type in [
            "application/cloudevents+json",
            "Application/CloudEvents+JSON ; charset=utf-8",
        ] {
            check(Some(content_type), Some(Some(EventForm::Structured)));
        }
        check(
            Some("application/cloudevents-batch+json"),
            Some(Some(EventForm::Batch)),
        );
        check(Some("application/x-ndjson"), Some(Some(EventForm::Lines)));
        check(Some("application/cloudevents+avro"), None);
        check(Some("application/cloudevents"), None);
    }
}
