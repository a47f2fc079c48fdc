//! Hands the accepted records of one request to the topics of their kinds, and joins the outcomes.
//! All quotas are taken before the first topic has a record.

use futures_util::future::join_all;
use iem_sink::Outcome;
use smallvec::smallvec;

use super::charge::{Charge, over_quota};
use super::deliver_once::Published;
use super::delivery::{Delivery, count_customers, verdict};
use super::event_claims::{self, Events, OwnPart};
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::request_trace::RequestTrace;
use super::resources::Resources;
use super::sender::Sender;
use crate::config::Durability;
use crate::idempotency::Settled;
use crate::pipeline::Outcomes;

/// Charges the events of a request to their customers' quotas, all or none, and delivers each to its
/// topic, but for those that other requests deliver. A topic that does not take its part leaves these
/// records unconfirmed; if none takes any, the request is rejected as by the first. Returns the least
/// that holds of all records.
pub(super) async fn deliver_within_quotas(
    resources: &Resources,
    events: Events,
    sender: &Sender,
    asked: Option<Durability>,
    permit: Option<ParsePermit>,
    trace: &RequestTrace,
) -> Result<Published, Rejection> {
    let count = events.parts.iter().map(|part| part.indexes.len()).sum();
    let stage = trace.delivery(count);
    let (own, others) = event_claims::claim(resources, events, asked)?;
    let is_replayed = own.is_empty();
    let charges = take_charges(resources, &own)?;
    let mut outcomes: Outcomes = smallvec![Outcome::default(); count];
    let mut durability = Durability::Delivered;
    let mut refused = None;
    let mut waiting = Vec::with_capacity(own.len());
    for (part, charge) in own.into_iter().zip(charges) {
        let OwnPart {
            kind,
            accepted,
            indexes,
            held,
        } = part;
        let delivery = Delivery {
            resources,
            kind,
            sender,
            asked,
            stage: &stage,
        };
        match delivery.submit(accepted, &charge, !held.is_empty()) {
            Ok(submitted) => {
                durability = durability.min(submitted.durability());
                waiting.push(async move {
                    let settled = submitted.held_each(resources, charge, held).await;
                    (indexes, settled.outcomes)
                });
            }
            Err(rejection) => {
                refused.get_or_insert(rejection);
            }
        }
    }
    drop(permit);
    if waiting.is_empty()
        && let Some(rejection) = refused
    {
        return Err(rejection);
    }
    for (indexes, part) in join_all(waiting).await {
        for (index, outcome) in indexes.into_iter().zip(part) {
            outcomes[index] = outcome;
        }
    }
    if let Some(others) = others.join(&mut outcomes, asked).await {
        durability = durability.min(others);
    }
    let settled = Settled {
        outcomes,
        durability,
    };
    Ok(Published {
        durability: verdict(&settled)?,
        is_replayed,
    })
}

/// Charges all parts or none.
fn take_charges(resources: &Resources, parts: &[OwnPart]) -> Result<Vec<Charge>, Rejection> {
    let mut charges: Vec<Charge> = Vec::with_capacity(parts.len());
    for part in parts {
        match Charge::take(resources, &part.accepted) {
            Ok(charge) => charges.push(charge),
            Err(rejection) => {
                for (part, charge) in parts.iter().zip(&charges) {
                    charge.give_back(&resources.quotas, &part.accepted.customers, |_| true);
                }
                for part in parts {
                    resources.metrics.over_quota(part.indexes.len());
                    count_customers(&resources.metrics, &part.accepted.customers, |_| false);
                }
                let accepted = parts.iter().map(|part| &part.accepted);
                return Err(over_quota(&resources.quotas, rejection, accepted));
            }
        }
    }
    Ok(charges)
}
