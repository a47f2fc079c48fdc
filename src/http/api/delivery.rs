//! Hands accepted records to their topic and waits for the outcome of each. Counts each customer's
//! accepted and refused records.

use std::time::Instant;

use iem_sink::Outcome;
use tokio::sync::OwnedSemaphorePermit;

use super::ingest::{Accepted, Runs};
use super::rejection::Rejection;
use super::resources::Resources;
use crate::pipeline::SubmitError;
use crate::record::Kind;
use crate::telemetry::{Limit, Metrics};

/// Charges the records to their customers' quotas.
pub(super) fn charge(
    resources: &Resources,
    Accepted { records, customers }: &Accepted,
) -> Result<(), Rejection> {
    let mut rest = &records[..];
    for (customer, count) in customers {
        let (run, behind) = rest.split_at(*count);
        rest = behind;
        let bytes = run.iter().map(|record| record.data.len()).sum();
        if let Err(over) = resources.quotas.take(customer, *count, bytes) {
            resources.metrics.over_quota(records.len());
            count_customers(&resources.metrics, customers, |_| false);
            return Err(over.into());
        }
    }
    Ok(())
}

/// Submits records to their topic and waits for their outcomes. Drops the parse pool's `permit`
/// once the topic has the records, because from then on the topic's budget counts their memory.
pub(super) async fn deliver(
    resources: &Resources,
    kind: Kind,
    Accepted { records, customers }: Accepted,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<(), Rejection> {
    let count = records.len();
    let pipeline = &resources.topic(kind).pipeline;
    let receipt = pipeline.submit(records, Instant::now());
    drop(permit);
    let outcomes = match receipt {
        Ok(receipt) => receipt.outcomes().await,
        Err(refused) => {
            resources.metrics.topic(kind).full(count);
            count_customers(&resources.metrics, &customers, |_| false);
            return Err(match refused {
                SubmitError::Full => Rejection::Full(Limit::Queue),
                SubmitError::TooLarge => Rejection::TooMuch,
            });
        }
    };
    count_customers(&resources.metrics, &customers, |index| {
        outcomes[index] == Outcome::Delivered
    });
    verdict(&outcomes)
}

/// Counts each customer's records, by whether the record of an index has been accepted.
fn count_customers(metrics: &Metrics, customers: &Runs, accepted: impl Fn(usize) -> bool) {
    let mut begin = 0;
    for (customer, count) in customers {
        let accepted = (begin..begin + count)
            .filter(|index| accepted(*index))
            .count();
        metrics
            .customers()
            .add(&customer.id, accepted, count - accepted);
        begin += count;
    }
}

/// Returns what the client is told of its records' outcomes.
fn verdict(outcomes: &[Outcome]) -> Result<(), Rejection> {
    if outcomes
        .iter()
        .all(|outcome| *outcome == Outcome::Delivered)
    {
        return Ok(());
    }
    let mut failed = indexes(outcomes, |outcome| *outcome == Outcome::Retryable);
    let rejected = indexes(outcomes, |outcome| matches!(outcome, Outcome::Rejected(_)));
    if failed.is_empty() {
        return Err(Rejection::NeverTaken { rejected });
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
