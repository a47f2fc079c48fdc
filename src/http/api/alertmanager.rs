//! `POST /alertmanager/<customerid>`: a notification of Prometheus' Alertmanager, each alert of it
//! published as an event, all or none.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use iem_sink::{Context, Record};
use smallvec::smallvec;
use uuid::Uuid;

use super::credentials;
use super::deliver_once::deliver_once;
use super::delivery::Delivery;
use super::inbound::Inbound;
use super::ingest::{self, Accepted, rejection, reserve_tape};
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::resources::Resources;
use super::response::Success;
use super::sender::Sender;
use crate::http::transport::Answer;
use crate::idempotency::{Digester, RequestKey};
use crate::identity::{Identity, Principal, authorization};
use crate::memory::{Buffer, MemoryBudget};
use crate::pipeline::Records;
use crate::record::{self, AlertMapping, Alerts, BodyFault, Form, KeyFields, Kind};
use crate::telemetry::Metrics;

/// The largest notification that is read on a serving thread. What its alerts share stands in each of
/// their events, which together are up to 40 times as large.
const READ_IN_PLACE_MAX: usize = 4 << 10;

/// The expected bytes of events that come of each byte of a notification.
const GROWTH: usize = 2;

/// Answers the request as `docs/contract.md#alertmanager` says.
pub(super) async fn alertmanager(
    resources: &Resources,
    customer: &str,
    request: &mut Inbound<'_>,
) -> Result<Answer, Rejection> {
    let principal = credentials::publisher(resources, request).await?;
    authorization::may_call(principal.user())?;
    let asked = request.durability()?;
    let key = request.idempotency_key()?.map(|key| {
        let endpoint = ["alertmanager", customer];
        RequestKey::new(&principal.user().email, &endpoint, key)
    });
    let sender = request.sender(resources, &principal);
    let body = request.collect(resources, Kind::Event, &sender).await?;
    let accepted = accept(resources, customer, principal, &sender, request, body, key);
    let (accepted, permit) = accepted.await?;
    let stage = request.trace.delivery(accepted.records.len());
    let delivery = Delivery {
        resources,
        kind: Kind::Event,
        sender: &sender,
        asked,
        stage: &stage,
    };
    let published = deliver_once(&delivery, accepted, None, permit).await?;
    Ok(Success::Published(published).into_answer())
}

/// Returns the events of a notification. Those of a large one are made in the parse pool, and come
/// with its permit.
async fn accept(
    resources: &Resources,
    customer: &str,
    principal: Principal,
    sender: &Sender,
    request: &Inbound<'_>,
    body: Bytes,
    key: Option<RequestKey>,
) -> Result<(Accepted, Option<ParsePermit>), Rejection> {
    let _stage = request.trace.stage("parse");
    let topic = resources.topic(Kind::Event);
    let ingest = AlertIngest {
        identity: Arc::clone(&resources.identity),
        metrics: Arc::clone(&resources.metrics),
        context: request.context(&resources.source, Kind::Event, &principal),
        key,
        principal,
        mapping: Arc::clone(&resources.alert_mapping),
        key_fields: topic.key_fields.clone(),
        records_max: topic.pipeline.request_records_max(),
        bytes_max: resources.server.max_body,
        memory: Arc::clone(&sender.memory),
        is_large: body.len() > READ_IN_PLACE_MAX,
    };
    if !ingest.is_large {
        return Ok((ingest.accept(&body, customer)?, None));
    }
    let customer = customer.to_owned();
    let accept = move || ingest.accept(&body, &customer);
    let (accepted, permit) = resources.parse_pool.run(sender, accept).await?;
    Ok((accepted?, Some(permit)))
}

/// The ingest of one notification. It never waits for anything, so it may run on any thread.
struct AlertIngest {
    identity: Arc<Identity>,
    metrics: Arc<Metrics>,
    principal: Principal,
    context: Context,
    /// The key that the records' ids follow from, if the client has sent one.
    key: Option<RequestKey>,
    mapping: Arc<AlertMapping>,
    key_fields: KeyFields,
    /// The most alerts.
    records_max: usize,
    /// The most bytes of all events.
    bytes_max: usize,
    memory: Arc<MemoryBudget>,
    /// Tapes are too large to be taken without counting them.
    is_large: bool,
}

impl AlertIngest {
    /// Does checks 6 to 8 of `docs/contract.md#2-checks-of-a-publish-call`: 6 for all alerts, then
    /// 7 and 8 for the customer of the path.
    fn accept(&self, body: &Bytes, customer: &str) -> Result<Accepted, Rejection> {
        let (data, ends) = self.events(body, customer)?;
        let directory = self.identity.directory().load();
        let principal = ingest::current(&directory, &self.principal)?;
        let customer = ingest::customer(&directory, &principal, customer, &self.metrics)?;
        let mut rest = data.clone();
        let mut begin = 0;
        let events = ends.into_iter().map(|end| {
            let event = rest.split_to(end - begin);
            begin = end;
            event
        });
        let events: Vec<Bytes> = events.collect();
        let mut digester = self.key.as_ref().map(Digester::new);
        let ids: Vec<Uuid> = events
            .iter()
            .map(|event| match &mut digester {
                Some(digester) => digester.next_id(event),
                None => record::next_id(self.context.time),
            })
            .collect();
        let context = Arc::new(Context {
            digests: digester.map(|digester| Box::new(digester.finish())),
            ..self.context.clone()
        });
        let mut records = Records::with_capacity(events.len());
        for (event, id) in events.into_iter().zip(ids) {
            records.push(self.record(event, id, &context, &customer.id)?);
        }
        Ok(Accepted {
            customers: smallvec![(Arc::clone(customer), records.len())],
            records,
            held_bytes: data.len(),
        })
    }

    /// Returns the events of all alerts, one after another, and the end of each.
    fn events(&self, body: &Bytes, customer: &str) -> Result<(Bytes, Vec<usize>), Rejection> {
        let alerts = Alerts::read(body, self.records_max).map_err(rejection)?;
        let mut ends = Vec::with_capacity(alerts.count());
        let mut writer = CountedWriter {
            buffer: Buffer::new(&self.memory, Some(GROWTH * body.len())),
            bytes_max: self.bytes_max,
            rejection: None,
        };
        for index in 0..alerts.count() {
            let event = alerts
                .event(index, customer, &self.mapping)
                .map_err(rejection)?;
            if serde_json::to_writer(&mut writer, &event).is_err() {
                return Err(writer.rejection.unwrap_or(Rejection::Internal));
            }
            ends.push(writer.buffer.len());
        }
        Ok((writer.buffer.freeze(), ends))
    }

    fn record(
        &self,
        event: Bytes,
        id: Uuid,
        context: &Arc<Context>,
        customer: &Arc<str>,
    ) -> Result<Record, Rejection> {
        let reservation = if self.is_large {
            reserve_tape(&self.memory, &event, Form::Json)
        } else {
            None
        };
        let parsed = if self.is_large && reservation.is_none() {
            record::parse_by_text(&event, &self.key_fields)
        } else {
            record::parse(&event, &self.key_fields)
        };
        let parsed = parsed.map_err(|malformed| {
            rejection(BodyFault::Malformed {
                record: None,
                malformed,
            })
        })?;
        Ok(Record {
            id,
            context: Arc::clone(context),
            customer: Arc::clone(customer),
            key: parsed.into_key(),
            data: event,
        })
    }
}

/// A writer of at most so many bytes, into memory that is counted.
struct CountedWriter {
    buffer: Buffer,
    bytes_max: usize,
    /// The reason why it takes no more.
    rejection: Option<Rejection>,
}

impl io::Write for CountedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let extended = if self.buffer.len() + bytes.len() > self.bytes_max {
            Err(Rejection::BodyTooLarge {
                limit: self.bytes_max,
            })
        } else {
            self.buffer.extend(bytes).map_err(Rejection::from)
        };
        match extended {
            Ok(()) => Ok(bytes.len()),
            Err(rejection) => {
                self.rejection = Some(rejection);
                Err(io::ErrorKind::OutOfMemory.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_writer_stops_at_its_bound_and_at_that_of_the_memory() {
        let check = |bytes_max, memory, written: usize, is_expected: fn(&Rejection) -> bool| {
            let mut writer = CountedWriter {
                buffer: Buffer::new(&MemoryBudget::new(memory), Some(10)),
                bytes_max,
                rejection: None,
            };
            writer.write_all(&vec![b'x'; written]).expect("it fits");
            assert!(writer.write_all(b"y").is_err());
            assert!(writer.rejection.as_ref().is_some_and(is_expected));
            assert_eq!(writer.buffer.len(), written);
        };
        check(20, 10_000, 20, |rejection| {
            matches!(rejection, Rejection::BodyTooLarge { limit: 20 })
        });
        check(20, 10, 10, |rejection| {
            matches!(rejection, Rejection::Full(_))
        });
    }
}
