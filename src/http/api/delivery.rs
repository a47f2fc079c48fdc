//! Hands accepted records to their topic and waits for the outcome of each. Counts each customer's
//! accepted and refused records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use iem_sink::{Outcome, Record};

use super::charge::Charge;
use super::ingest::{Accepted, Runs, ranges};
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::resources::Resources;
use super::sender::Sender;
use crate::config::Durability;
use crate::record::Kind;
use crate::shares::{Claims, Ledger};
use crate::telemetry::Metrics;

/// Charges records to their customers' quotas and delivers them. Gives back the charge for what is
/// to be sent again, and for all if the topic does not take the request. A record that the sink
/// will never take stays charged, because the sink has had the work.
pub(super) async fn deliver_within_quotas(
    resources: &Resources,
    kind: Kind,
    accepted: Accepted,
    sender: &Sender,
    asked: Option<Durability>,
    permit: Option<ParsePermit>,
) -> Result<Durability, Rejection> {
    let charge = Charge::take(resources, &accepted).inspect_err(|_| {
        resources.metrics.over_quota(accepted.records.len());
        count_customers(&resources.metrics, &accepted.customers, |_| false);
    })?;
    deliver(resources, kind, accepted, &charge, sender, asked, permit).await
}

/// Submits records to their topic and waits for their outcomes. Returns what holds of them, at least
/// what was asked. Drops the parse pool's `permit`
/// once the topic has the records, because from then on the topic's budget counts their memory.
pub(super) async fn deliver(
    resources: &Resources,
    kind: Kind,
    Accepted {
        records,
        held_bytes,
        customers,
    }: Accepted,
    charge: &Charge,
    sender: &Sender,
    asked: Option<Durability>,
    permit: Option<ParsePermit>,
) -> Result<Durability, Rejection> {
    let count = records.len();
    let pipeline = &resources.topic(kind).pipeline;
    let claims = claims(
        &resources.ledger,
        kind,
        &records,
        held_bytes,
        &customers,
        sender,
    );
    let receipt = pipeline.submit(records, held_bytes, claims, asked, Instant::now());
    drop(permit);
    let (durability, outcomes) = match receipt {
        Ok(receipt) => (receipt.durability(), receipt.outcomes().await),
        Err(refused) => {
            charge.give_back(&resources.quotas, &customers, |_| true);
            resources.metrics.topic(kind).full(count);
            count_customers(&resources.metrics, &customers, |_| false);
            return Err(refused.into());
        }
    };
    charge.give_back(&resources.quotas, &customers, |index| {
        is_unconfirmed(&outcomes[index])
    });
    count_customers(&resources.metrics, &customers, |index| {
        outcomes[index] == Outcome::Delivered
    });
    verdict(&outcomes).map(|()| durability)
}

/// Returns the claims of a request on its topic's queue: each customer has its records, the user and
/// the peer have all of them and what else they pin.
fn claims(
    ledger: &Ledger,
    kind: Kind,
    records: &[Record],
    held_bytes: usize,
    customers: &Runs,
    sender: &Sender,
) -> Claims {
    let mut claims = Claims::new(kind as usize);
    for account in sender.accounts() {
        claims.add(Arc::clone(account), records.len(), held_bytes);
    }
    if let [(customer, _)] = &customers[..] {
        claims.add(ledger.customer(&customer.id), records.len(), held_bytes);
        return claims;
    }
    let mut held = BTreeMap::<&Arc<str>, (usize, usize)>::new();
    for (customer, range) in ranges(customers) {
        let (count, bytes) = held.entry(&customer.id).or_default();
        *count += range.len();
        *bytes += records[range]
            .iter()
            .map(|record| record.data.len())
            .sum::<usize>();
    }
    for (customer, (count, bytes)) in held {
        claims.add(ledger.customer(customer), count, bytes);
    }
    claims
}

/// Counts each customer's records, by whether the record of an index has been accepted.
fn count_customers(metrics: &Metrics, customers: &Runs, accepted: impl Fn(usize) -> bool) {
    for (customer, range) in ranges(customers) {
        let count = range.len();
        let accepted = range.filter(|index| accepted(*index)).count();
        metrics
            .customers()
            .add(&customer.id, accepted, count - accepted);
    }
}

/// Returns whether the client is told to send the record again.
fn is_unconfirmed(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Delivered | Outcome::Rejected(_))
}

/// Returns what the client is told of its records' outcomes.
fn verdict(outcomes: &[Outcome]) -> Result<(), Rejection> {
    let mut failed = indexes(outcomes, is_unconfirmed);
    let rejected = indexes(outcomes, |outcome| matches!(outcome, Outcome::Rejected(_)));
    if failed.is_empty() {
        let reason = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Rejected(reason) => Some(*reason),
            _ => None,
        });
        return reason.map_or(Ok(()), |reason| {
            Err(Rejection::NeverTaken { rejected, reason })
        });
    }
    if failed.len() == outcomes.len() {
        failed.clear();
    }
    Err(Rejection::Unconfirmed { failed, rejected })
}

fn indexes(outcomes: &[Outcome], wanted: fn(&Outcome) -> bool) -> Vec<usize> {
    outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| wanted(outcome))
        .map(|(index, _)| index)
        .collect()
}
