//! Sessions that have ended, and refresh tokens that were used: every gateway writes what it knows,
//! and reads what others wrote.

use tokio_postgres::types::Type;

use crate::connection::{ANSWER_MAX, Connection, within};
use crate::error::Error;
use crate::read::each;

/// Sessions that a user began with a password until a time have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedPassword {
    /// The user's email.
    pub email: String,
    /// The version of the password.
    pub password_version: String,
    /// The time, in milliseconds of Unix time.
    pub until_ms: u64,
}

/// One session has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// The session's id.
    pub session: String,
    /// The email of its user.
    pub email: String,
    /// The version of the password that it began with.
    pub password_version: String,
    /// The time, in milliseconds of Unix time.
    pub ended_ms: u64,
}

/// The newest refresh token of a session that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// The session's id.
    pub session: String,
    /// The email of its user.
    pub email: String,
    /// The generation of the token.
    pub generation: u64,
    /// The time of its first use, in milliseconds of Unix time.
    pub first_ms: u64,
}

/// What is new of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// Ended sessions of passwords.
    pub passwords: Vec<EndedPassword>,
    /// Ended sessions.
    pub sessions: Vec<EndedSession>,
    /// Used refresh tokens.
    pub refreshes: Vec<Refresh>,
}

impl SessionChanges {
    /// Returns whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.passwords.is_empty() && self.sessions.is_empty() && self.refreshes.is_empty()
    }
}

impl Connection {
    /// Reads what was written since a revision of the sessions, and the revision until which that
    /// is: of refresh tokens the newest `refreshes_max`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read_sessions(
        &mut self,
        since: i64,
        refreshes_max: usize,
    ) -> Result<(i64, SessionChanges), Error> {
        let mut changes = SessionChanges::default();
        let transaction = self.read_only().await?;
        let newest = "SELECT revision FROM iem_gateway.revisions WHERE name = 'sessions'";
        let newest = transaction.query_typed_one(newest, &[]);
        let newest = within(ANSWER_MAX, async { Ok(newest.await?.try_get(0)?) }).await?;
        // A database that was restored counts again from less.
        let since = if since > newest { 0 } else { since };
        let passwords = "SELECT email, password_version, until_ms FROM iem_gateway.ended_passwords
            WHERE revision > $1";
        each(&transaction, passwords, &[(&since, Type::INT8)], |row| {
            changes.passwords.push(EndedPassword {
                email: row.try_get(0)?,
                password_version: row.try_get(1)?,
                until_ms: unsigned(row.try_get(2)?),
            });
            Ok(())
        })
        .await?;
        let sessions = "SELECT session, email, password_version, ended_ms
            FROM iem_gateway.ended_sessions WHERE revision > $1";
        each(&transaction, sessions, &[(&since, Type::INT8)], |row| {
            changes.sessions.push(EndedSession {
                session: row.try_get(0)?,
                email: row.try_get(1)?,
                password_version: row.try_get(2)?,
                ended_ms: unsigned(row.try_get(3)?),
            });
            Ok(())
        })
        .await?;
        let refreshes = "SELECT session, email, generation, first_ms FROM iem_gateway.refreshes
            WHERE revision > $1 ORDER BY revision DESC LIMIT $2";
        let limit = i64::try_from(refreshes_max).unwrap_or(i64::MAX);
        let parameters = [(&since as _, Type::INT8), (&limit as _, Type::INT8)];
        each(&transaction, refreshes, &parameters, |row| {
            changes.refreshes.push(Refresh {
                session: row.try_get(0)?,
                email: row.try_get(1)?,
                generation: unsigned(row.try_get(2)?),
                first_ms: unsigned(row.try_get(3)?),
            });
            Ok(())
        })
        .await?;
        within(ANSWER_MAX, async { Ok(transaction.commit().await?) }).await?;
        Ok((newest, changes))
    }

    /// Writes what is new of sessions. Of two writers, the later end and the newer refresh hold.
    ///
    /// # Errors
    /// See [`Error`]. If the database does not answer, it may have been written; writing it again
    /// changes nothing.
    pub async fn write_sessions(&mut self, changes: &SessionChanges) -> Result<(), Error> {
        within(ANSWER_MAX, async {
            let transaction = self.client.transaction().await?;
            let next = "UPDATE iem_gateway.revisions SET revision = revision + 1
                WHERE name = 'sessions' RETURNING revision";
            let row = transaction.query_typed_one(next, &[]).await?;
            let revision: i64 = row.try_get(0)?;
            let column = |of: fn(&EndedPassword) -> &str| -> Vec<_> {
                changes.passwords.iter().map(of).collect()
            };
            let untils: Vec<_> = changes
                .passwords
                .iter()
                .map(|ended| signed(ended.until_ms))
                .collect();
            let passwords = "INSERT INTO iem_gateway.ended_passwords AS known
                    (email, password_version, until_ms, revision)
                SELECT email, version, max(until), $4
                    FROM unnest($1, $2, $3) AS new (email, version, until)
                    GROUP BY email, version
                ON CONFLICT (email, password_version) DO UPDATE
                    SET until_ms = excluded.until_ms, revision = excluded.revision
                    WHERE known.until_ms < excluded.until_ms";
            transaction
                .execute_typed(
                    passwords,
                    &[
                        (&column(|ended| &ended.email), Type::TEXT_ARRAY),
                        (&column(|ended| &ended.password_version), Type::TEXT_ARRAY),
                        (&untils, Type::INT8_ARRAY),
                        (&revision, Type::INT8),
                    ],
                )
                .await?;
            let column = |of: fn(&EndedSession) -> &str| -> Vec<_> {
                changes.sessions.iter().map(of).collect()
            };
            let times: Vec<_> = changes
                .sessions
                .iter()
                .map(|ended| signed(ended.ended_ms))
                .collect();
            let sessions = "INSERT INTO iem_gateway.ended_sessions AS known
                    (session, email, password_version, ended_ms, revision)
                SELECT session, min(email), min(version), max(ended), $5
                    FROM unnest($1, $2, $3, $4) AS new (session, email, version, ended)
                    GROUP BY session
                ON CONFLICT (session) DO UPDATE
                    SET ended_ms = excluded.ended_ms, revision = excluded.revision
                    WHERE known.ended_ms < excluded.ended_ms";
            transaction
                .execute_typed(
                    sessions,
                    &[
                        (&column(|ended| &ended.session), Type::TEXT_ARRAY),
                        (&column(|ended| &ended.email), Type::TEXT_ARRAY),
                        (&column(|ended| &ended.password_version), Type::TEXT_ARRAY),
                        (&times, Type::INT8_ARRAY),
                        (&revision, Type::INT8),
                    ],
                )
                .await?;
            let column =
                |of: fn(&Refresh) -> &str| -> Vec<_> { changes.refreshes.iter().map(of).collect() };
            let number = |of: fn(&Refresh) -> u64| -> Vec<_> {
                let refreshes = changes.refreshes.iter();
                refreshes.map(|refresh| signed(of(refresh))).collect()
            };
            let refreshes = "INSERT INTO iem_gateway.refreshes AS known
                    (session, email, generation, first_ms, revision)
                SELECT DISTINCT ON (session) session, email, generation, first, $5
                    FROM unnest($1, $2, $3, $4) AS new (session, email, generation, first)
                    ORDER BY session, generation DESC, first
                ON CONFLICT (session) DO UPDATE
                    SET generation = excluded.generation, first_ms = excluded.first_ms,
                        revision = excluded.revision
                    WHERE known.generation < excluded.generation";
            transaction
                .execute_typed(
                    refreshes,
                    &[
                        (&column(|refresh| &refresh.session), Type::TEXT_ARRAY),
                        (&column(|refresh| &refresh.email), Type::TEXT_ARRAY),
                        (&number(|refresh| refresh.generation), Type::INT8_ARRAY),
                        (&number(|refresh| refresh.first_ms), Type::INT8_ARRAY),
                        (&revision, Type::INT8),
                    ],
                )
                .await?;
            let notify = "SELECT pg_notify('iem_gateway', '')";
            transaction.query_typed(notify, &[]).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Removes what ended, or was used, before a time: no token can belong to it any longer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn prune_sessions(&self, before_ms: u64) -> Result<(), Error> {
        let prune = [
            "DELETE FROM iem_gateway.ended_passwords WHERE until_ms < $1",
            "DELETE FROM iem_gateway.ended_sessions WHERE ended_ms < $1",
            "DELETE FROM iem_gateway.refreshes WHERE first_ms < $1",
        ];
        within(ANSWER_MAX, async {
            for statement in prune {
                let before = signed(before_ms);
                self.client
                    .execute_typed(statement, &[(&before, Type::INT8)])
                    .await?;
            }
            Ok(())
        })
        .await
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
