//! Turns events into the records that may be published, all or none: reads and authorises their
//! data, and gives them ids. It never waits for anything, so it may run on any thread.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iem_sink::{Context, Digests, Record};
use uuid::Uuid;

use crate::http::api::event_claims::{Events, Part};
use crate::http::api::ingest::{
    Accepted, Runs, copy_all, copy_from_sparse, current, customer, of_record, rejection,
    reserve_tape,
};
use crate::http::api::rejection::Rejection;
use crate::idempotency::{Digester, RequestKey};
use crate::identity::directory::{Customer, Directory};
use crate::identity::{Identity, Principal};
use crate::memory::{Buffer, MemoryBudget};
use crate::pipeline::Records;
use crate::record::{
    self, ATTRIBUTE_COUNT, BodyFault, CloudEvent, CloudEvents, EventData, EventFault, EventForm,
    EventRecord, Form, KeyFields, Kind, Malformed,
};
use crate::telemetry::Metrics;

/// The most events of a request that are known again by the window. The events of a larger request
/// have ids that follow from theirs, and no more: a repeat that waits for events under way holds no
/// budget for what it notes of each.
const EVENTS_KNOWN_MAX: usize = 512;
/// The bytes of encoded data that are decoded at a time: whole groups of four.
const ENCODED_CHUNK: usize = 4096;

/// The place of the events of a request.
pub(super) enum Source {
    /// The attributes of one event stand in the headers, and the body is its data.
    Headers([Option<String>; ATTRIBUTE_COUNT]),
    /// The body holds events.
    Body(EventForm),
}

/// The ingest of one body.
pub(super) struct EventIngest {
    pub(super) identity: Arc<Identity>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) principal: Principal,
    /// The context of the records, of any kind.
    pub(super) context: Context,
    /// By [`Kind`].
    pub(super) topics: [EventTopic; Kind::COUNT],
    pub(super) memory: Arc<MemoryBudget>,
    /// Tapes are too large to be taken without counting them.
    pub(super) is_large: bool,
}

/// A topic as events meet it.
pub(super) struct EventTopic {
    /// The fields of the ordering key.
    pub(super) key_fields: KeyFields,
    /// The most records of one request.
    pub(super) records_max: usize,
    /// A journal keeps the records, and with them the keys of their events.
    pub(super) is_journaled: bool,
}

/// An event whose record has been read.
struct ReadEvent<'b> {
    event: CloudEvent<'b>,
    record: EventRecord,
    data: Bytes,
}

impl EventIngest {
    /// Does checks 6 to 8 of `docs/contract.md#2-checks-of-a-publish-call`: 6 for all events, then
    /// 7 and 8, and the integration of a ticket, for each in turn.
    pub(super) fn accept(self, body: &Bytes, source: Source) -> Result<Events, Rejection> {
        let CloudEvents {
            events,
            fault,
            indexed,
        } = self.events(body, source).map_err(rejection)?;
        let mut read = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let event = self.read(body, event);
            read.push(event.map_err(|rejection| at(index, indexed, rejection))?);
        }
        if let Some(fault) = fault {
            return Err(rejection(fault));
        }
        let mut parts = self.authorise(read, indexed)?;
        let is_alone = parts.len() == 1;
        for Part { accepted, .. } in &mut parts {
            accepted.held_bytes = hold(body, &mut accepted.records, is_alone, &self.memory)?;
        }
        Ok(Events { parts, indexed })
    }

    fn events<'b>(&self, body: &'b Bytes, source: Source) -> Result<CloudEvents<'b>, BodyFault> {
        match source {
            Source::Body(form) => {
                let max = self.topics.iter().map(|topic| topic.records_max).max();
                record::cloud_events(body, form, max.unwrap_or_default())
            }
            Source::Headers(values) => {
                let event = CloudEvent::from_headers(values, body).map_err(|malformed| {
                    BodyFault::Malformed {
                        record: None,
                        malformed,
                    }
                })?;
                Ok(CloudEvents {
                    events: vec![event],
                    fault: None,
                    indexed: false,
                })
            }
        }
    }

    fn read<'b>(&self, body: &Bytes, event: CloudEvent<'b>) -> Result<ReadEvent<'b>, Rejection> {
        let data = match &event.data {
            EventData::Body(_) => body.clone(),
            EventData::Json(data) => body.slice_ref(data),
            EventData::Base64(text) => decode(text, &self.memory)?,
        };
        let EventTopic { key_fields, .. } = &self.topics[event.kind as usize];
        let reservation = if self.is_large {
            reserve_tape(&self.memory, &data, Form::Json)
        } else {
            None
        };
        let by_text = self.is_large && reservation.is_none();
        let record = event
            .read(&data, key_fields, by_text)
            .map_err(Rejection::Malformed)?;
        Ok(ReadEvent {
            event,
            record,
            data,
        })
    }

    /// Does checks 7 and 8 for each event in turn, and sorts the records by their kinds.
    fn authorise(&self, read: Vec<ReadEvent<'_>>, indexed: bool) -> Result<Vec<Part>, Rejection> {
        let directory = self.identity.directory().load();
        let principal = current(&directory, &self.principal)?;
        let mut parts: Vec<Part> = Vec::new();
        let are_known = read.len() <= EVENTS_KNOWN_MAX;
        for (
            index,
            ReadEvent {
                event,
                record,
                data,
            },
        ) in read.into_iter().enumerate()
        {
            let id = event.customer(&record);
            let customer = customer(&directory, &principal, id, &self.metrics)
                .map_err(|rejection| at(index, indexed, rejection))?;
            let position = parts.iter().position(|part| part.kind == event.kind);
            let position = position.unwrap_or_else(|| {
                parts.push(empty(event.kind));
                parts.len() - 1
            });
            let part = &mut parts[position];
            let topic = &self.topics[event.kind as usize];
            if part.indexes.len() == topic.records_max {
                return Err(Rejection::TooMuch);
            }
            let last = part.accepted.records.last().map(|record| &record.context);
            let context = self
                .context(&directory, customer, &event, &record, last)
                .map_err(|rejection| at(index, indexed, rejection))?;
            let (id, digests) = self.identify(&event, &customer.id, &context, &data);
            let context = if are_known && topic.is_journaled {
                restorable(&context, &digests)
            } else {
                context
            };
            match part.accepted.customers.last_mut() {
                Some((last, count)) if last.id == customer.id => *count += 1,
                _ => part.accepted.customers.push((Arc::clone(customer), 1)),
            }
            part.indexes.push(index);
            if are_known {
                part.digests.push(digests);
            }
            part.accepted.records.push(Record {
                id,
                context,
                customer: Arc::clone(&customer.id),
                key: match record {
                    EventRecord::Record(parsed) => parsed.into_key(),
                    EventRecord::Ticket(update) => {
                        record::ordering_key(&customer.id, update.key_value.as_deref())
                    }
                },
                data,
            });
        }
        Ok(parts)
    }

    /// Returns the id of an event's record, and the digests by which a repeat is known. The id is the
    /// one that another gateway gave it, or else one that follows from the event's source and id, so
    /// that a repeat has the same.
    fn identify(
        &self,
        event: &CloudEvent<'_>,
        customer: &str,
        context: &Context,
        data: &[u8],
    ) -> (Uuid, Digests) {
        let integration = context.integration.as_deref().unwrap_or_default();
        let parts = [
            event.kind.event_type(),
            customer,
            integration,
            &event.source,
            &event.id,
        ];
        let key = RequestKey::of_event(&self.principal.user().email, parts);
        let mut digester = Digester::new(&key);
        let derived = digester.next_id(data);
        let id = record::id_of_gateway(&event.id).unwrap_or(derived);
        (id, digester.finish())
    }

    /// Returns the context of an event's record: that of the `last` one of its kind, if it is the
    /// same.
    fn context(
        &self,
        directory: &Directory,
        customer: &Customer,
        event: &CloudEvent<'_>,
        record: &EventRecord,
        last: Option<&Arc<Context>>,
    ) -> Result<Arc<Context>, Rejection> {
        let traceparent = event.traceparent();
        let traceparent = traceparent.or(self.context.traceparent.as_deref());
        let (integration, state) = match record {
            EventRecord::Record(_) => (None, None),
            EventRecord::Ticket(update) => {
                let id = event.integration().unwrap_or_default();
                let integration = directory
                    .integration(&customer.id, id)
                    .ok_or(Rejection::UnknownIntegration)?;
                (Some(&*integration.id), integration.state(update.state))
            }
        };
        if let Some(last) = last
            && last.traceparent.as_deref() == traceparent
            && last.integration.as_deref() == integration
            && last.actionable_state.as_deref() == state
        {
            return Ok(Arc::clone(last));
        }
        Ok(Arc::new(Context {
            kind: event.kind.event_type().into(),
            integration: integration.map(Into::into),
            actionable_state: state.map(Into::into),
            traceparent: traceparent.map(Into::into),
            ..self.context.clone()
        }))
    }
}

/// Returns a context of one record alone, by which a gateway that starts knows the event again.
fn restorable(context: &Context, digests: &Digests) -> Arc<Context> {
    Arc::new(Context {
        digests: Some(Box::new(*digests)),
        ..context.clone()
    })
}

/// Returns the rejection of the event at `index`, which names it if the body may hold several.
fn at(index: usize, indexed: bool, rejection: Rejection) -> Rejection {
    match rejection {
        // The gateway's trouble, not the event's.
        Rejection::Full(_) => rejection,
        _ if indexed => of_record(index, rejection),
        _ => rejection,
    }
}

fn empty(kind: Kind) -> Part {
    Part {
        kind,
        accepted: Accepted {
            records: Records::new(),
            held_bytes: 0,
            customers: Runs::new(),
        },
        indexes: Vec::new(),
        digests: Vec::new(),
    }
}

/// Returns the bytes that the records of one kind pin. Records of one kind alone stay slices of the
/// body if most of it is records; the records of several kinds are copied, so that none of their
/// topics holds the others' records.
fn hold(
    body: &Bytes,
    records: &mut [Record],
    is_alone: bool,
    memory: &Arc<MemoryBudget>,
) -> Result<usize, Rejection> {
    let range = body.as_ptr_range();
    let is_slice = |record: &Record| range.contains(&record.data.as_ptr());
    let length = if is_alone && records.iter().all(is_slice) {
        copy_from_sparse(body, records, memory)
    } else if records.iter().any(is_slice) {
        copy_all(records, memory)
    } else {
        Ok(records.iter().map(|record| record.data.len()).sum())
    };
    Ok(length?)
}

/// Returns encoded data decoded, in memory that is counted.
fn decode(text: &str, memory: &Arc<MemoryBudget>) -> Result<Bytes, Rejection> {
    let text = text.as_bytes();
    let fault = || Rejection::Malformed(Malformed::Event(EventFault::Base64));
    // Padding ends the data, so it can only be in the last chunk's last group.
    if memchr::memchr(b'=', text).is_some_and(|at| at + 2 < text.len()) {
        return Err(fault());
    }
    let mut buffer = Buffer::new(memory, None);
    buffer.allocate(text.len() / 4 * 3)?;
    let mut decoded = [0; ENCODED_CHUNK / 4 * 3];
    for chunk in text.chunks(ENCODED_CHUNK) {
        let length = STANDARD
            .decode_slice(chunk, &mut decoded)
            .map_err(|_| fault())?;
        buffer.extend(&decoded[..length])?;
    }
    Ok(buffer.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let memory = MemoryBudget::new(100_000);
        decode(text, &memory).ok().map(|data| data.to_vec())
    }

    #[test]
    fn encoded_data_is_decoded_in_chunks() {
        for length in [0, 1, 2, 3, 3070, 3071, 3072, 3073, 9000, 9216] {
            let data: Vec<u8> = (0..=250).cycle().take(length).collect();
            assert_eq!(decoded(&STANDARD.encode(&data)), Some(data), "{length}");
        }
    }

    #[test]
    fn text_that_is_not_base64_is_refused() {
        let padded_within = format!("{}AA=={}", "A".repeat(ENCODED_CHUNK - 4), "A".repeat(8));
        for text in [
            "A",
            "AA",
            "A===",
            "AA==AAAA",
            "A A=",
            "e30",
            "e3-_",
            &padded_within,
        ] {
            assert_eq!(decoded(text), None, "{}", text.len());
        }
    }

    #[test]
    fn decoded_data_counts_and_may_not_fit() {
        let memory = MemoryBudget::new(100);
        let text = STANDARD.encode([b'x'; 60]);
        let data = decode(&text, &memory).expect("it fits");
        assert_eq!((data.len(), memory.used()), (60, 60));
        assert!(matches!(decode(&text, &memory), Err(Rejection::Full(_))));
        drop(data);
        assert_eq!(memory.used(), 0);
    }
}
