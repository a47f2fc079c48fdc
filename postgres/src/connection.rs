//! A connection to the database, and the gateways that have one.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, NoTls, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Error;
use crate::settings::Settings;

/// The longest wait for the answer to a small statement.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(4);

/// The seconds for which a gateway counts as here after it was seen.
const HERE_S: f64 = 15.0;

/// The days after which a gateway that was not seen is forgotten.
const FORGOTTEN_DAYS: i32 = 7;

/// The numbers of customers and of users.
pub(crate) const SIZES: &str = "SELECT (SELECT count(*) FROM iem_gateway.customers),
    (SELECT count(*) FROM iem_gateway.users)";

/// A parameter of a statement, with its type.
pub(crate) type Parameter<'p> = (&'p (dyn ToSql + Sync), Type);

/// A connection to the database. It is closed when this is dropped.
#[derive(Debug)]
pub struct Connection {
    pub(crate) client: Client,
    notified: Arc<Notify>,
    driver: JoinHandle<()>,
}

/// A gateway that uses the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRow {
    /// Its name, host and port.
    pub id: String,
    /// The seconds since it was last here.
    pub seen_s: i64,
    /// The revision of the directory that it had then.
    pub revision: i64,
    /// Its version.
    pub version: String,
}

impl Connection {
    /// Connects to a database, whatever is in it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open_any(settings: &Settings) -> Result<Self, Error> {
        let connect = async {
            match &settings.tls {
                Some(tls) => Self::connect(settings, MakeRustlsConnect::new(tls.clone())).await,
                None => Self::connect(settings, NoTls).await,
            }
        };
        within(settings.connect_max(), connect).await
    }

    async fn connect<T>(settings: &Settings, tls: T) -> Result<Self, Error>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let (client, mut connection) = settings.config.connect(tls).await?;
        let notified = Arc::new(Notify::new());
        let notify = Arc::clone(&notified);
        let driver = tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => notify.notify_one(),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                }
            }
            // Whoever waits for a change has to find out that there will be none.
            notify.notify_one();
        });
        Ok(Self {
            client,
            notified,
            driver,
        })
    }

    /// Has [`notified`](Self::notified) return after each change from now on. Behind a PgBouncer in
    /// transaction mode it never does.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn listen(&self) -> Result<(), Error> {
        within(ANSWER_MAX, async {
            Ok(self.client.batch_execute("LISTEN iem_gateway").await?)
        })
        .await
    }

    /// Waits until something has changed, or the connection is lost.
    pub async fn notified(&self) {
        self.notified.notified().await;
    }

    /// Notes that a gateway is here, and the revision of the directory that it has. Returns the number
    /// of gateways that were here lately, this one among them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn note_gateway(
        &self,
        id: &str,
        revision: i64,
        version: &str,
    ) -> Result<usize, Error> {
        let note = "WITH forgotten AS (
                DELETE FROM iem_gateway.gateways
                WHERE seen < now() - make_interval(days => $4) AND id <> $1
            )
            INSERT INTO iem_gateway.gateways (id, seen, revision, version)
            VALUES ($1, now(), $2, $3)
            ON CONFLICT (id) DO UPDATE
                SET seen = now(), revision = excluded.revision, version = excluded.version
            RETURNING (
                SELECT count(*) FROM iem_gateway.gateways
                WHERE seen > now() - make_interval(secs => $5) AND id <> $1
            )";
        within(ANSWER_MAX, async {
            let row = self
                .client
                .query_typed_one(
                    note,
                    &[
                        (&id, Type::TEXT),
                        (&revision, Type::INT8),
                        (&version, Type::TEXT),
                        (&FORGOTTEN_DAYS, Type::INT4),
                        (&HERE_S, Type::FLOAT8),
                    ],
                )
                .await?;
            Ok(count(&row, 0)? + 1)
        })
        .await
    }

    /// Notes that a gateway has ended.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn forget_gateway(&self, id: &str) -> Result<(), Error> {
        let forget = "DELETE FROM iem_gateway.gateways WHERE id = $1";
        within(ANSWER_MAX, async {
            self.client
                .execute_typed(forget, &[(&id, Type::TEXT)])
                .await?;
            Ok(())
        })
        .await
    }

    /// Returns the gateways, by id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn gateways(&self) -> Result<Vec<GatewayRow>, Error> {
        let all = "SELECT id, extract(epoch FROM now() - seen)::bigint, revision, version
            FROM iem_gateway.gateways ORDER BY id";
        within(ANSWER_MAX, async {
            let rows = self.client.query_typed(all, &[]).await?;
            let gateways = rows.iter().map(|row| {
                Ok(GatewayRow {
                    id: row.try_get(0)?,
                    seen_s: row.try_get(1)?,
                    revision: row.try_get(2)?,
                    version: row.try_get(3)?,
                })
            });
            gateways.collect()
        })
        .await
    }

    /// Has the database give up what it was asked and has not answered: it would go on, and hold its
    /// locks, although nobody waits any longer. A second at most.
    pub async fn cancel(&self, settings: &Settings) {
        let token = self.client.cancel_token();
        let cancel = async {
            match &settings.tls {
                Some(tls) => {
                    token
                        .cancel_query(MakeRustlsConnect::new(tls.clone()))
                        .await
                }
                None => token.cancel_query(NoTls).await,
            }
        };
        let _ = timeout(Duration::from_secs(1), cancel).await;
    }

    /// Returns the database's time, in milliseconds of Unix time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn now_ms(&self) -> Result<u64, Error> {
        let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        within(ANSWER_MAX, async {
            let row = self.client.query_typed_one(now, &[]).await?;
            Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default())
        })
        .await
    }

    /// Returns the numbers of customers and of users.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn sizes(&self) -> Result<(usize, usize), Error> {
        within(ANSWER_MAX, async {
            let row = self.client.query_typed_one(SIZES, &[]).await?;
            Ok((count(&row, 0)?, count(&row, 1)?))
        })
        .await
    }

    /// Returns the key of the digests of names whose log-ins failed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn login_key(&self) -> Result<String, Error> {
        let read = "SELECT value FROM iem_gateway.secrets WHERE name = 'logins'";
        within(ANSWER_MAX, async {
            Ok(self.client.query_typed_one(read, &[]).await?.try_get(0)?)
        })
        .await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Returns a number of rows.
pub(crate) fn count(row: &Row, column: usize) -> Result<usize, Error> {
    let count: i64 = row.try_get(column)?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Waits for an answer for so long at most.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, answer)
        .await
        .unwrap_or(Err(Error::Silent(limit)))
}
