//! The delivery of a request that may be a repeat: what an earlier one with its key has delivered is
//! not delivered again.

use std::time::Instant;

use super::charge::Charge;
use super::delivery::{Delivery, verdict};
use super::ingest::Accepted;
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::resources::Resources;
use crate::config::Durability;
use crate::idempotency::{Claim, Known};

/// Records that are delivered or journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) durability: Durability,
    /// An earlier request has delivered them.
    pub(super) is_replayed: bool,
}

/// Delivers the records of a request, if no earlier one with its key has. A repeat that comes while
/// the first is under way holds neither its body nor a charge while it waits.
pub(super) async fn deliver_once(
    delivery: &Delivery<'_>,
    accepted: Accepted,
    charge: Option<Charge>,
    permit: Option<ParsePermit>,
) -> Result<Published, Rejection> {
    let Resources { window, .. } = delivery.resources;
    let now = Instant::now();
    let context = accepted.records.first().map(|record| &record.context);
    let claim = context.and_then(|context| {
        let digests = context.digests.as_ref()?;
        Some(window.claim(&context.user, digests, delivery.asked, now))
    });
    let held = match claim {
        None | Some(Claim::NoPlace) => None,
        Some(Claim::Held(held)) => Some(held),
        Some(Claim::Known(known)) => {
            if let Some(charge) = charge {
                charge.give_back(&delivery.resources.quotas, &accepted.customers, |_| true);
            }
            drop((accepted, permit));
            let topic = delivery.resources.topic(delivery.kind);
            let durability = known_outcome(known, now + topic.pipeline.deadline()).await?;
            if delivery.asked.is_some_and(|asked| asked > durability) {
                return Err(Rejection::IdempotencyKeyReused);
            }
            return Ok(Published {
                durability,
                is_replayed: true,
            });
        }
    };
    Ok(Published {
        durability: delivery.deliver(accepted, charge, permit, held).await?,
        is_replayed: false,
    })
}

/// Returns what holds of the records of an earlier request, once it has its outcome. If that has not
/// come by the deadline, or the request was refused before a sink could have its records, the repeat
/// is told to come again.
async fn known_outcome(known: Known, deadline: Instant) -> Result<Durability, Rejection> {
    match known {
        Known::UnderWay(other) => {
            let settled = other
                .outcomes(deadline)
                .await
                .ok_or(Rejection::Unconfirmed {
                    failed: Vec::new(),
                    rejected: Vec::new(),
                })?;
            verdict(&settled)
        }
        Known::Settled(settled) => verdict(&settled),
        Known::Delivered(durability) => Ok(durability),
        Known::Reused => Err(Rejection::IdempotencyKeyReused),
    }
}
