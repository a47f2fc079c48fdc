//! Hands accepted records to their topic and waits for the outcome of each. Counts each customer's
//! accepted and refused records.

use std::sync::Arc;
use std::time::Instant;

use iem_sink::{Outcome, Record};

use super::charge::Charge;
use super::ingest::{Accepted, Runs, ranges, totals};
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::request_trace::Stage;
use super::resources::Resources;
use super::sender::Sender;
use crate::config::Durability;
use crate::idempotency::{Answer, Held, HeldEach, Settled};
use crate::identity::quota::Quotas;
use crate::pipeline::{Demand, Receipt};
use crate::record::Kind;
use crate::shares::Claims;
use crate::telemetry::Metrics;

/// The delivery of a request's records to their topic.
pub(super) struct Delivery<'a> {
    pub(super) resources: &'a Resources,
    pub(super) kind: Kind,
    pub(super) sender: &'a Sender,
    /// The durability that the client asks for.
    pub(super) asked: Option<Durability>,
    /// The stage of the request whose spans are below it.
    pub(super) stage: &'a Stage,
}

impl Delivery<'_> {
    /// Charges records to their customers' quotas, unless they are charged already, submits them to
    /// their topic and waits for their outcomes. If the request has `held` its key, what an attempt
    /// before this one has settled is left out, and its outcomes count as well. Returns what holds of
    /// all records.
    ///
    /// Drops the parse pool's `permit` once the topic has the records, because from then on the
    /// topic's budget counts their memory.
    pub(super) async fn deliver(
        &self,
        mut accepted: Accepted,
        charge: Option<Charge>,
        permit: Option<ParsePermit>,
        held: Option<Held>,
    ) -> Result<Durability, Rejection> {
        if let Some(open) = held.as_ref().and_then(Held::open) {
            accepted.keep(&open);
        }
        let charge = match charge {
            Some(charge) => charge,
            None => self.charge(&accepted)?,
        };
        let submitted = self.submit(accepted, &charge, held.is_some());
        drop(permit);
        let submitted = submitted?;
        match held {
            None => verdict(&submitted.settled(self.resources, &charge).await),
            Some(held) => {
                let settled = submitted.held(self.resources, charge, held).await;
                verdict(&settled)
            }
        }
    }

    /// Submits records to their topic. Gives back their charge if the topic does not take them. The
    /// last outcomes of records with keys are wanted as well.
    pub(super) fn submit(
        &self,
        accepted: Accepted,
        charge: &Charge,
        wants_late: bool,
    ) -> Result<Submitted, Rejection> {
        let Accepted {
            records,
            held_bytes,
            customers,
            ..
        } = accepted;
        let count = records.len();
        let claims = self.claims(&records, held_bytes, &customers);
        let pipeline = &self.resources.topic(self.kind).pipeline;
        let demand = Demand {
            durability: self.asked,
            wants_late,
            trace: self.stage.trace(),
        };
        match pipeline.submit(records, held_bytes, claims, demand, Instant::now()) {
            Ok(receipt) => Ok(Submitted {
                receipt,
                customers,
                count,
            }),
            Err(refused) => {
                let Resources {
                    quotas, metrics, ..
                } = self.resources;
                charge.give_back(quotas, &customers, |_| true);
                metrics.topic(self.kind).full(count);
                count_customers(metrics, &customers, |_| false);
                Err(refused.into())
            }
        }
    }

    fn charge(&self, accepted: &Accepted) -> Result<Charge, Rejection> {
        Charge::take(self.resources, accepted).inspect_err(|_| {
            let metrics = &self.resources.metrics;
            metrics.over_quota(accepted.records.len());
            count_customers(metrics, &accepted.customers, |_| false);
        })
    }

    /// Returns the claims of a request on its topic's queue: each customer has its records, the user
    /// and the peer have all of them and what else they pin.
    fn claims(&self, records: &[Record], held_bytes: usize, customers: &Runs) -> Claims {
        let ledger = &self.resources.ledger;
        let mut claims = Claims::new(self.kind as usize);
        for account in self.sender.accounts() {
            claims.add(Arc::clone(account), records.len(), held_bytes);
        }
        if let [(customer, _)] = &customers[..] {
            claims.add(ledger.customer(&customer.id), records.len(), held_bytes);
            return claims;
        }
        for total in totals([(records, customers)]) {
            let account = ledger.customer(&total.customer.id);
            claims.add(account, total.records, total.bytes);
        }
        claims
    }
}

/// Records that their topic has taken.
pub(super) struct Submitted {
    receipt: Receipt,
    customers: Runs,
    count: usize,
}

impl Submitted {
    /// Returns what holds of the records that are delivered.
    pub(super) fn durability(&self) -> Durability {
        self.receipt.durability()
    }

    /// Waits for the outcomes, and accounts for them.
    pub(super) async fn settled(self, resources: &Resources, charge: &Charge) -> Settled {
        let Self {
            receipt, customers, ..
        } = self;
        let settled = settled(receipt).await;
        let Resources {
            quotas, metrics, ..
        } = resources;
        account(quotas, metrics, charge, &customers, &settled.outcomes);
        settled
    }

    /// Does the same for a request that has held its key, also if its client goes away. Returns the
    /// outcomes of all of its records.
    async fn held(self, resources: &Resources, charge: Charge, held: Held) -> Arc<Settled> {
        let count = self.count;
        held.settle(count, self.answer(resources, charge)).await
    }

    /// Does the same for records of which some have held keys of their own. Returns their outcomes.
    pub(super) async fn held_each(
        self,
        resources: &Resources,
        charge: Charge,
        held: HeldEach,
    ) -> Settled {
        held.settle(self.answer(resources, charge)).await
    }

    /// Waits for the outcomes that are known in time, and accounts for them. What is delivered later
    /// is not charged.
    fn answer(
        self,
        resources: &Resources,
        charge: Charge,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let Self {
            receipt, customers, ..
        } = self;
        let quotas = Arc::clone(&resources.quotas);
        let metrics = Arc::clone(&resources.metrics);
        async move {
            let durability = receipt.durability();
            let answer = receipt.answer().await;
            account(&quotas, &metrics, &charge, &customers, &answer.outcomes);
            Answer {
                settled: Settled {
                    outcomes: answer.outcomes,
                    durability,
                },
                late: answer.late.map(|late| Box::pin(late.outcomes()) as _),
            }
        }
    }
}

async fn settled(receipt: Receipt) -> Settled {
    Settled {
        durability: receipt.durability(),
        outcomes: receipt.outcomes().await,
    }
}

/// Gives back the charge for what is to be sent again, and counts the records of each customer. A
/// record that the sink will never take stays charged, because the sink has had the work.
fn account(
    quotas: &Quotas,
    metrics: &Metrics,
    charge: &Charge,
    customers: &Runs,
    outcomes: &[Outcome],
) {
    charge.give_back(quotas, customers, |index| is_unconfirmed(&outcomes[index]));
    count_customers(metrics, customers, |index| {
        outcomes[index] == Outcome::Delivered
    });
}

/// Counts each customer's records, by whether the record of an index has been accepted.
pub(super) fn count_customers(
    metrics: &Metrics,
    customers: &Runs,
    accepted: impl Fn(usize) -> bool,
) {
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

/// Returns what holds of a request's records, or why not all are delivered.
pub(super) fn verdict(settled: &Settled) -> Result<Durability, Rejection> {
    let outcomes = &settled.outcomes;
    let mut failed = indexes(outcomes, is_unconfirmed);
    let rejected = indexes(outcomes, |outcome| matches!(outcome, Outcome::Rejected(_)));
    if failed.is_empty() {
        let reason = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Rejected(reason) => Some(*reason),
            _ => None,
        });
        return reason.map_or(Ok(settled.durability), |reason| {
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
