//! Sessions that have ended, and refresh tokens that were used: every gateway writes what it knows,
//! and reads what others wrote.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::connection::{ANSWER_MAX, Connection, Parameter, within};
use crate::error::Error;
use crate::read::{Revision, each, is_known};

/// Rows of each kind that one statement writes.
const ROWS_AT_ONCE: usize = 2_000;
/// The longest wait for what is removed.
const PRUNE_MAX: Duration = Duration::from_secs(30);

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

/// New ends of sessions, and new uses of refresh tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// Ended sessions of passwords.
    pub passwords: Vec<EndedPassword>,
    /// Ended sessions.
    pub sessions: Vec<EndedSession>,
    /// Used refresh tokens.
    pub refreshes: Vec<Refresh>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRow {
    /// An ended session of passwords.
    Password(EndedPassword),
    /// An ended session.
    Session(EndedSession),
    /// A used refresh token.
    Refresh(Refresh),
}

impl SessionChanges {
    /// Returns whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.passwords.is_empty() && self.sessions.is_empty() && self.refreshes.is_empty()
    }

    /// Takes some of them out.
    fn part(&mut self) -> Self {
        fn some<T>(all: &mut Vec<T>) -> Vec<T> {
            let rest = all.len().saturating_sub(ROWS_AT_ONCE);
            all.split_off(rest)
        }
        Self {
            passwords: some(&mut self.passwords),
            sessions: some(&mut self.sessions),
            refreshes: some(&mut self.refreshes),
        }
    }
}

impl Connection {
    /// Reads what was written since a revision of the sessions, calls `take` with each, and returns the
    /// revision until which that is, and whether the database has come from the one before. If it has
    /// not, everything is read. Of refresh tokens there are the newest `refreshes_max`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read_sessions(
        &mut self,
        since: &Revision,
        refreshes_max: usize,
        mut take: impl FnMut(SessionRow),
    ) -> Result<(Revision, bool), Error> {
        let transaction = self.read_only().await?;
        let newest = "SELECT revision, mark::text FROM iem_gateway.revisions
            WHERE name = 'sessions'";
        let newest = within(ANSWER_MAX, async {
            let row = transaction.query_typed_one(newest, &[]).await?;
            Ok(Revision {
                number: row.try_get(0)?,
                mark: row.try_get(1)?,
            })
        })
        .await?;
        let is_known = is_known(&transaction, "sessions", since).await?;
        let since = if is_known { since.number } else { -1 };
        let passwords = "SELECT email, password_version, until_ms FROM iem_gateway.ended_passwords
            WHERE revision > $1";
        each(&transaction, passwords, &[(&since, Type::INT8)], |row| {
            take(SessionRow::Password(EndedPassword {
                email: row.try_get(0)?,
                password_version: row.try_get(1)?,
                until_ms: unsigned(row.try_get(2)?),
            }));
            Ok(())
        })
        .await?;
        let sessions = "SELECT session, email, password_version, ended_ms
            FROM iem_gateway.ended_sessions WHERE revision > $1";
        each(&transaction, sessions, &[(&since, Type::INT8)], |row| {
            take(SessionRow::Session(EndedSession {
                session: row.try_get(0)?,
                email: row.try_get(1)?,
                password_version: row.try_get(2)?,
                ended_ms: unsigned(row.try_get(3)?),
            }));
            Ok(())
        })
        .await?;
        let refreshes = "SELECT session, email, generation, first_ms FROM iem_gateway.refreshes
            WHERE revision > $1 ORDER BY revision DESC LIMIT $2";
        let limit = i64::try_from(refreshes_max).unwrap_or(i64::MAX);
        let parameters: [Parameter<'_>; 2] = [(&since, Type::INT8), (&limit, Type::INT8)];
        each(&transaction, refreshes, &parameters, |row| {
            take(SessionRow::Refresh(Refresh {
                session: row.try_get(0)?,
                email: row.try_get(1)?,
                generation: unsigned(row.try_get(2)?),
                first_ms: unsigned(row.try_get(3)?),
            }));
            Ok(())
        })
        .await?;
        within(ANSWER_MAX, async { Ok(transaction.commit().await?) }).await?;
        Ok((newest, is_known))
    }

    /// Returns the time until which all sessions of a user with a password have ended, in milliseconds
    /// of Unix time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ended_until(
        &self,
        email: &str,
        password_version: &str,
    ) -> Result<Option<u64>, Error> {
        let find = "SELECT until_ms FROM iem_gateway.ended_passwords
            WHERE email = $1 AND password_version = $2";
        let parameters: [Parameter<'_>; 2] =
            [(&email, Type::TEXT), (&password_version, Type::TEXT)];
        within(ANSWER_MAX, async {
            let row = self.client.query_typed_opt(find, &parameters).await?;
            let until = row.map(|row| row.try_get::<_, i64>(0)).transpose()?;
            Ok(until.map(unsigned))
        })
        .await
    }

    /// Writes what is new of sessions, some after some: what could not be written is left. Of two
    /// writers, the later end and the newer refresh hold.
    ///
    /// # Errors
    /// See [`Error`]. If the database does not answer, some more may have been written; writing it
    /// again changes nothing.
    pub async fn write_sessions(&self, changes: &mut SessionChanges) -> Result<(), Error> {
        while !changes.is_empty() {
            let part = changes.part();
            let written = within(ANSWER_MAX, self.write_part(&part)).await;
            if written.is_err() {
                changes.passwords.extend(part.passwords);
                changes.sessions.extend(part.sessions);
                changes.refreshes.extend(part.refreshes);
                return written;
            }
        }
        Ok(())
    }

    /// Writes in one statement: nobody waits for a writer that is gone. Each part needs the revision,
    /// and so its lock, before it has one of a row.
    async fn write_part(&self, part: &SessionChanges) -> Result<(), Error> {
        let write = "WITH next AS (
                UPDATE iem_gateway.revisions SET revision = revision + 1
                WHERE name = 'sessions' RETURNING revision
            ), passwords AS (
                INSERT INTO iem_gateway.ended_passwords AS known
                    (email, password_version, until_ms, revision)
                SELECT email, version, max(until), (SELECT revision FROM next)
                    FROM unnest($1, $2, $3) AS new (email, version, until)
                    GROUP BY email, version
                ON CONFLICT (email, password_version) DO UPDATE
                    SET until_ms = excluded.until_ms, revision = excluded.revision
                    WHERE known.until_ms < excluded.until_ms
            ), sessions AS (
                INSERT INTO iem_gateway.ended_sessions AS known
                    (session, email, password_version, ended_ms, revision)
                SELECT session, min(email), min(version), max(ended), (SELECT revision FROM next)
                    FROM unnest($4, $5, $6, $7) AS new (session, email, version, ended)
                    GROUP BY session
                ON CONFLICT (session) DO UPDATE
                    SET ended_ms = excluded.ended_ms, revision = excluded.revision
                    WHERE known.ended_ms < excluded.ended_ms
            ), refreshes AS (
                INSERT INTO iem_gateway.refreshes AS known
                    (session, email, generation, first_ms, revision)
                SELECT DISTINCT ON (session)
                        session, email, generation, first, (SELECT revision FROM next)
                    FROM unnest($8, $9, $10, $11) AS new (session, email, generation, first)
                    ORDER BY session, generation DESC, first
                ON CONFLICT (session) DO UPDATE
                    SET generation = excluded.generation, first_ms = excluded.first_ms,
                        revision = excluded.revision
                    WHERE known.generation < excluded.generation
            )
            SELECT pg_notify('iem_gateway', '') FROM next";
        let of_passwords =
            |of: fn(&EndedPassword) -> &str| -> Vec<_> { part.passwords.iter().map(of).collect() };
        let of_sessions =
            |of: fn(&EndedSession) -> &str| -> Vec<_> { part.sessions.iter().map(of).collect() };
        let of_refreshes =
            |of: fn(&Refresh) -> &str| -> Vec<_> { part.refreshes.iter().map(of).collect() };
        let numbers = |of: fn(&Refresh) -> u64| -> Vec<_> {
            let refreshes = part.refreshes.iter();
            refreshes.map(|refresh| signed(of(refresh))).collect()
        };
        let untils: Vec<_> = part
            .passwords
            .iter()
            .map(|row| signed(row.until_ms))
            .collect();
        let times: Vec<_> = part
            .sessions
            .iter()
            .map(|row| signed(row.ended_ms))
            .collect();
        let parameters: [Parameter<'_>; 11] = [
            (&of_passwords(|row| &row.email), Type::TEXT_ARRAY),
            (&of_passwords(|row| &row.password_version), Type::TEXT_ARRAY),
            (&untils, Type::INT8_ARRAY),
            (&of_sessions(|row| &row.session), Type::TEXT_ARRAY),
            (&of_sessions(|row| &row.email), Type::TEXT_ARRAY),
            (&of_sessions(|row| &row.password_version), Type::TEXT_ARRAY),
            (&times, Type::INT8_ARRAY),
            (&of_refreshes(|row| &row.session), Type::TEXT_ARRAY),
            (&of_refreshes(|row| &row.email), Type::TEXT_ARRAY),
            (&numbers(|row| row.generation), Type::INT8_ARRAY),
            (&numbers(|row| row.first_ms), Type::INT8_ARRAY),
        ];
        self.client.query_typed(write, &parameters).await?;
        Ok(())
    }

    /// Removes what no token can belong to any longer, by the database's clock: ends after `kept`, and
    /// used refresh tokens after `refreshes_kept`; and ends of one session where all of that password
    /// have ended since.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn prune(&self, kept: Duration, refreshes_kept: Duration) -> Result<(), Error> {
        const AGE_MS: &str = "(extract(epoch FROM now()) * 1000)::bigint - $1";
        let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2);
        let (kept, refreshes_kept) = (milliseconds(kept), milliseconds(refreshes_kept));
        let prune = [
            (
                "DELETE FROM iem_gateway.ended_passwords WHERE until_ms <",
                kept,
            ),
            (
                "DELETE FROM iem_gateway.ended_sessions WHERE ended_ms <",
                kept,
            ),
            (
                "DELETE FROM iem_gateway.refreshes WHERE first_ms <",
                refreshes_kept,
            ),
        ];
        within(PRUNE_MAX, async {
            for (statement, kept) in prune {
                let statement = format!("{statement} {AGE_MS}");
                self.client
                    .execute_typed(&statement, &[(&kept, Type::INT8)])
                    .await?;
            }
            let ended = "DELETE FROM iem_gateway.ended_sessions AS one
                USING iem_gateway.ended_passwords AS all_of
                WHERE all_of.email = one.email AND all_of.until_ms >= one.ended_ms
                    AND all_of.password_version = one.password_version";
            self.client.execute_typed(ended, &[]).await?;
            let old =
                "DELETE FROM iem_gateway.failed_logins WHERE noted < now() - interval '5 min'";
            self.client.execute_typed(old, &[]).await?;
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
