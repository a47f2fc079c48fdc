//! Limits that gateways share: a customer's quota, and log-ins that failed.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use iem_postgres::{Connection, Demand, Error, FailedLogins};
use parking_lot::Mutex;

use crate::identity::directory::failed_logins;
use crate::identity::quota::{QuotaShares, Quotas, Rates};

/// Limits that gateways share.
#[derive(Default)]
pub(in crate::identity::directory) struct SharedLimits {
    logins: OnceLock<Arc<dyn failed_logins::FailedLogins>>,
    quotas: OnceLock<Mutex<KeptShares>>,
}

/// This gateway's parts of quotas, and when it was last looked what customers ask for: also while the
/// database is away, in which they ask.
struct KeptShares {
    shares: QuotaShares,
    asked_at: Instant,
}

impl std::fmt::Debug for SharedLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedLimits")
    }
}

impl SharedLimits {
    pub(in crate::identity::directory) fn share_logins(
        &self,
        logins: Arc<dyn failed_logins::FailedLogins>,
    ) {
        let _ = self.logins.set(logins);
    }

    pub(in crate::identity::directory) fn share_quotas(&self, quotas: &Arc<Quotas>) {
        let _ = self.quotas.set(Mutex::new(KeptShares {
            shares: QuotaShares::new(Arc::clone(quotas)),
            asked_at: Instant::now(),
        }));
    }

    /// Sets the key of the names whose log-ins fail, the same on all gateways.
    pub(super) fn set_login_key(&self, key: &str) {
        if let Some(logins) = self.logins.get() {
            logins.set_key(*blake3::hash(key.as_bytes()).as_bytes());
        }
    }

    pub(super) fn set_gateways(&self, gateways: usize) {
        if let Some(quotas) = self.quotas.get() {
            quotas.lock().shares.set_gateways(gateways);
        }
    }

    /// Counts log-ins that failed at other gateways.
    pub(super) fn count_failures(&self, rows: &[FailedLogins]) {
        let Some(logins) = self.logins.get() else {
            return;
        };
        for row in rows {
            if let Ok(peer) = row.peer.parse() {
                let failures = u32::try_from(row.failures).unwrap_or_default();
                let name = u32::try_from(row.name).unwrap_or_default();
                logins.count_elsewhere(name, peer, failures);
            }
        }
    }

    /// Tells the others of log-ins that failed here.
    pub(super) async fn tell_failures(
        &self,
        connection: &Connection,
        gateway: &str,
    ) -> Result<(), Error> {
        let Some(logins) = self.logins.get() else {
            return Ok(());
        };
        let failures = logins.take_untold();
        if failures.is_empty() {
            return Ok(());
        }
        let written = connection.write_failures(gateway, &rows(&failures)).await;
        if written.is_err() {
            logins.put_back(failures);
        }
        written
    }

    /// Tells the others what is asked of customers with a quota, and takes the part that follows from
    /// what they are asked.
    pub(super) async fn exchange_demand(
        &self,
        connection: &Connection,
        gateway: &str,
    ) -> Result<(), Error> {
        let Some(quotas) = self.quotas.get() else {
            return Ok(());
        };
        let asked = {
            let mut kept = quotas.lock();
            let elapsed = kept.asked_at.elapsed();
            kept.asked_at = Instant::now();
            kept.shares.asked(elapsed)
        };
        let mine: Vec<_> = asked
            .into_iter()
            .map(|(id, rates)| Demand {
                customer: id.to_string(),
                records: rates.records,
                bytes: rates.bytes,
            })
            .collect();
        let others = if mine.is_empty() {
            Vec::new()
        } else {
            connection.exchange_demand(gateway, &mine).await?
        };
        let others: HashMap<_, _> = others
            .into_iter()
            .map(|demand| {
                let rates = Rates {
                    records: demand.records,
                    bytes: demand.bytes,
                };
                (demand.customer, rates)
            })
            .collect();
        quotas.lock().shares.set_others(&others);
        Ok(())
    }
}

fn rows(failures: &failed_logins::Failures) -> Vec<FailedLogins> {
    let rows = failures
        .iter()
        .map(|((name, peer), failures)| FailedLogins {
            name: i32::try_from(*name).unwrap_or_default(),
            peer: peer.to_string(),
            failures: i32::try_from(*failures).unwrap_or(i32::MAX),
        });
    rows.collect()
}
