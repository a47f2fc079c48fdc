//! The limits that gateways share: each tells the others the demand of customers with a quota, and the
//! log-ins that failed.

use tokio_postgres::types::Type;

use crate::connection::{ANSWER_MAX, Connection, within};
use crate::error::Error;

/// The demand of a customer at a gateway: what it was lately asked to take, a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// The customer's id.
    pub customer: String,
    /// Records a second.
    pub records: f64,
    /// Bytes of records a second.
    pub bytes: f64,
}

/// Log-ins that failed at a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLogins {
    /// 24 bits of a digest of the name.
    pub name: i32,
    /// The address of the peer.
    pub peer: String,
    /// Their number.
    pub failures: i32,
}

impl Connection {
    /// Tells what a gateway was asked to take, and returns what the others together were of the same
    /// customers in the last 5 s.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn exchange_demand(
        &self,
        gateway: &str,
        mine: &[Demand],
    ) -> Result<Vec<Demand>, Error> {
        let customers: Vec<_> = mine.iter().map(|demand| &*demand.customer).collect();
        let records: Vec<_> = mine.iter().map(|demand| demand.records).collect();
        let bytes: Vec<_> = mine.iter().map(|demand| demand.bytes).collect();
        let exchange = "WITH mine AS (
                SELECT * FROM unnest($2, $3, $4) AS mine (customer, records, bytes)
            ), gone AS (
                DELETE FROM iem_gateway.demand
                WHERE gateway = $1
                    AND NOT EXISTS (SELECT FROM mine WHERE mine.customer = demand.customer)
                    OR noted < now() - interval '1 min'
            ), told AS (
                INSERT INTO iem_gateway.demand (gateway, customer, records, bytes, noted)
                SELECT $1, customer, records, bytes, now() FROM mine
                ON CONFLICT (gateway, customer) DO UPDATE
                    SET records = excluded.records, bytes = excluded.bytes, noted = excluded.noted
            )
            SELECT customer, sum(records), sum(bytes) FROM iem_gateway.demand
            WHERE gateway <> $1 AND customer = ANY ($2) AND noted > now() - interval '5 s'
            GROUP BY customer";
        within(ANSWER_MAX, async {
            let rows = self
                .client
                .query_typed(
                    exchange,
                    &[
                        (&gateway, Type::TEXT),
                        (&customers, Type::TEXT_ARRAY),
                        (&records, Type::FLOAT8_ARRAY),
                        (&bytes, Type::FLOAT8_ARRAY),
                    ],
                )
                .await?;
            let others = rows.iter().map(|row| {
                Ok(Demand {
                    customer: row.try_get(0)?,
                    records: row.try_get(1)?,
                    bytes: row.try_get(2)?,
                })
            });
            others.collect()
        })
        .await
    }

    /// Tells which log-ins failed at a gateway.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn write_failures(
        &self,
        gateway: &str,
        failures: &[FailedLogins],
    ) -> Result<(), Error> {
        let names: Vec<_> = failures.iter().map(|failed| failed.name).collect();
        let peers: Vec<_> = failures.iter().map(|failed| &*failed.peer).collect();
        let counts: Vec<_> = failures.iter().map(|failed| failed.failures).collect();
        let write = "WITH next AS (
                UPDATE iem_gateway.revisions SET revision = revision + 1
                WHERE name = 'failures' RETURNING revision
            ), old AS (
                DELETE FROM iem_gateway.failed_logins WHERE noted < now() - interval '5 min'
            )
            INSERT INTO iem_gateway.failed_logins
                (revision, gateway, name, peer, failures, noted)
            SELECT next.revision, $1, failed.name, peer, failures, now()
                FROM next, unnest($2, $3, $4) AS failed (name, peer, failures)";
        within(ANSWER_MAX, async {
            self.client
                .execute_typed(
                    write,
                    &[
                        (&gateway, Type::TEXT),
                        (&names, Type::INT4_ARRAY),
                        (&peers, Type::TEXT_ARRAY),
                        (&counts, Type::INT4_ARRAY),
                    ],
                )
                .await?;
            Ok(())
        })
        .await
    }

    /// Returns the log-ins that failed at other gateways after a revision and in the last minute, and
    /// the revision until which they are told.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read_failures(
        &self,
        gateway: &str,
        since: i64,
    ) -> Result<(i64, Vec<FailedLogins>), Error> {
        let read = "SELECT revision, name, peer, failures FROM iem_gateway.failed_logins
            WHERE revision > $2 AND gateway <> $1 AND noted > now() - interval '1 min'";
        within(ANSWER_MAX, async {
            let rows = self
                .client
                .query_typed(read, &[(&gateway, Type::TEXT), (&since, Type::INT8)])
                .await?;
            let mut newest = since;
            let mut failures = Vec::with_capacity(rows.len());
            for row in rows {
                newest = newest.max(row.try_get(0)?);
                failures.push(FailedLogins {
                    name: row.try_get(1)?,
                    peer: row.try_get(2)?,
                    failures: row.try_get(3)?,
                });
            }
            Ok((newest, failures))
        })
        .await
    }
}
