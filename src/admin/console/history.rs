//! The moments of the last minute, and the first screen that follows from them. It has no clock of
//! its own.

mod topic;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use super::figures::{real, unix_second};
use super::moment::Moment;
use super::overview::{
    CertificatePart, Clients, CustomerPart, Customers, DirectoryPart, Fill, KeyPart, Ledger,
    LimitPart, Overview, Recent,
};
use super::verdict::verdict;
use crate::pipeline::Balance;
use crate::telemetry::{CertificateSnapshot, EndpointCounts};

/// The moments that are kept: a minute of them.
const MOMENTS_MAX: usize = 61;
/// The moments that a rate spans.
const RATE_MOMENTS: usize = 5;
/// The customers that are shown.
const CUSTOMERS_MAX: usize = 10;

/// The moments of the last minute, a second apart.
#[derive(Default)]
pub(super) struct History(VecDeque<Moment>);

impl History {
    /// Adds a moment. The customers of those that no rate needs any more are let go of.
    pub(super) fn push(&mut self, moment: Moment) {
        if self.0.len() >= MOMENTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(moment);
        if let Some(old) = self.0.len().checked_sub(RATE_MOMENTS + 2) {
            self.0[old].customers = Vec::new();
        }
    }

    /// Forgets all moments.
    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }

    /// Returns the latest moment.
    pub(super) fn latest(&self) -> Option<&Moment> {
        self.0.back()
    }

    /// Returns the first screen. `quota` tells the records a second that a customer may send.
    pub(super) fn overview(
        &self,
        started: SystemTime,
        quota: impl Fn(&str) -> Option<u32>,
    ) -> Overview {
        let (Some(oldest), Some(now)) = (self.0.front(), self.0.back()) else {
            return Overview::default();
        };
        let before = &self.0[self.0.len().saturating_sub(RATE_MOMENTS + 1)];
        let span = Span {
            oldest,
            before,
            now,
        };
        let up = now.clock.duration_since(started).unwrap_or_default();
        let mut overview = Overview {
            name: now.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            up_s: up.as_secs(),
            ledger: span.ledger(),
            topics: self.topics(&span),
            customers: span.customers(quota),
            clients: span.clients(),
            memory: Fill {
                used: now.snapshot.memory as u64,
                limit: now.snapshot.memory_limit as u64,
            },
            limits: span.limits(),
            certificates: span.certificates(),
            keys: keys(now),
            directory: DirectoryPart {
                users: now.snapshot.directory_users as u64,
                customers: now.snapshot.directory_customers as u64,
                stale_s: now.snapshot.directory_stale.as_secs(),
            },
            ..Overview::default()
        };
        overview.verdict = verdict(&overview, now);
        overview
    }
}

/// The moments that figures are made of.
struct Span<'h> {
    /// The first of the last minute.
    oldest: &'h Moment,
    /// The one that rates begin at.
    before: &'h Moment,
    now: &'h Moment,
}

impl Span<'_> {
    /// Returns a rate between `before` and `now`; `None` if these are one moment.
    fn rate(&self, before: u64, now: u64) -> Option<f64> {
        let time = self.now.at.duration_since(self.before.at);
        (time > Duration::ZERO).then(|| real(now.saturating_sub(before)) / time.as_secs_f64())
    }

    fn recent(&self, total: impl Fn(&Moment) -> u64) -> Recent {
        let now = total(self.now);
        Recent {
            lately: now.saturating_sub(total(self.oldest)),
            total: now,
        }
    }

    fn ledger(&self) -> Ledger {
        let sum = |moment: &Moment, of: fn(&Balance) -> u64| {
            let topics = moment.snapshot.topics.iter();
            topics.map(|topic| of(&topic.balance)).sum::<u64>()
        };
        let now = |of| sum(self.now, of);
        let rate = |of| self.rate(sum(self.before, of), now(of));
        let topics = self.now.snapshot.topics.iter();
        Ledger {
            accepted: now(|balance| balance.accepted),
            accepted_rate: rate(|balance| balance.accepted),
            delivered: now(|balance| balance.delivered),
            delivered_rate: rate(|balance| balance.delivered),
            backlog: now(|balance| balance.backlog),
            in_flight: now(|balance| balance.in_flight),
            refused: now(|balance| balance.rejected),
            undelivered: now(|balance| balance.undelivered),
            dead_lettered: topics.clone().map(|topic| topic.dead_lettered).sum(),
            damaged: now(|balance| balance.damaged),
            unaccounted: topics.map(|topic| topic.balance.unaccounted()).sum(),
        }
    }

    fn customers(&self, quota: impl Fn(&str) -> Option<u32>) -> Customers {
        let before: HashMap<_, _> = self
            .before
            .customers
            .iter()
            .map(|totals| (&totals.customer, totals.accepted))
            .collect();
        let mut parts = Vec::with_capacity(self.now.customers.len());
        for totals in &self.now.customers {
            if totals.accepted == 0 && totals.refused == 0 {
                continue;
            }
            let before = before.get(&totals.customer).copied().unwrap_or_default();
            parts.push((totals, self.rate(before, totals.accepted)));
        }
        let seen = parts.len();
        parts.sort_by(|(left, left_rate), (right, right_rate)| {
            let by_rate = right_rate
                .unwrap_or(0.0)
                .total_cmp(&left_rate.unwrap_or(0.0));
            by_rate
                .then(right.accepted.cmp(&left.accepted))
                .then(right.refused.cmp(&left.refused))
                .then_with(|| left.customer.cmp(&right.customer))
        });
        parts.truncate(CUSTOMERS_MAX);
        let part =
            |(totals, rate): (&crate::telemetry::CustomerTotals, Option<f64>)| CustomerPart {
                customer: totals.customer.as_deref().map(str::to_owned),
                accepted: totals.accepted,
                refused: totals.refused,
                rate,
                quota: totals.customer.as_deref().and_then(&quota),
            };
        Customers {
            seen,
            top: parts.into_iter().map(part).collect(),
        }
    }

    fn clients(&self) -> Clients {
        let sum = |moment: &Moment, of: fn(&EndpointCounts) -> u64| {
            moment.counts.endpoints.iter().map(of).sum::<u64>()
        };
        let counts = &self.now.counts;
        let before = &self.before.counts;
        let answered: fn(&EndpointCounts) -> u64 = |endpoint| endpoint.answered;
        Clients {
            connections: Fill {
                used: counts.connections,
                limit: self.now.snapshot.connections_limit as u64,
            },
            http2: counts.http2_connections,
            accepted_rate: self.rate(before.connections_total, counts.connections_total),
            failed: self.recent(|moment| moment.counts.connections_failed),
            handshakes_failed: self.recent(|moment| moment.counts.handshakes_failed),
            log_ins_refused: self.recent(|moment| moment.snapshot.failed_logins),
            request_rate: self.rate(sum(self.before, answered), sum(self.now, answered)),
            refused: self.recent(|moment| sum(moment, |endpoint| endpoint.refused)),
            unavailable: self.recent(|moment| sum(moment, |endpoint| endpoint.unavailable)),
            errors: self.recent(|moment| sum(moment, |endpoint| endpoint.failed)),
        }
    }

    fn limits(&self) -> Vec<LimitPart> {
        let limits = self.now.counts.limits.iter().enumerate();
        let mut reached: Vec<_> = limits
            .map(|(index, (limit, _))| LimitPart {
                limit: (*limit).to_owned(),
                reached: self.recent(|moment| moment.counts.limits[index].1),
            })
            .filter(|part| part.reached.total > 0)
            .collect();
        reached.sort_by_key(|part| std::cmp::Reverse((part.reached.lately, part.reached.total)));
        reached
    }

    fn certificates(&self) -> Vec<CertificatePart> {
        let now = self.now.clock;
        let part =
            |name: &str, certificate: &CertificateSnapshot, end: SystemTime| CertificatePart {
                name: name.to_owned(),
                is_loaded: certificate.ok,
                ends: unix_second(end),
                left_s: left(end, now),
            };
        let mut parts = Vec::new();
        if let Some(certificate) = &self.now.snapshot.certificate {
            parts.push(part("TLS certificate", certificate, certificate.end));
            if let Some(end) = certificate.revocations_end {
                parts.push(part("List of revoked certificates", certificate, end));
            }
        }
        if let Some(certificate) = &self.now.snapshot.admin_certificate {
            let name = "Certificate of the admin listener";
            parts.push(part(name, certificate, certificate.end));
        }
        parts
    }
}

fn keys(now: &Moment) -> Vec<KeyPart> {
    let keys = now.keys.iter().map(|key| KeyPart {
        id: key.id.clone(),
        created: unix_second(key.created),
        signs: key.signs,
    });
    keys.collect()
}

/// Returns the seconds from `now` until `end`; below zero once it is over.
fn left(end: SystemTime, now: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => seconds(left),
        Err(over) => -seconds(over.duration()),
    }
}

#[cfg(test)]
mod tests;
