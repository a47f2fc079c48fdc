//! The schema, in numbered steps: each is applied once, in order, by one command at a time.

use tokio_postgres::types::Type;

use crate::connection::{ANSWER_MAX, Connection, within};
use crate::error::Error;
use crate::settings::Settings;

/// The version of the schema that this gateway knows: that of the newest step.
pub const SCHEMA_VERSION: i32 = 1;

/// One step. A step that is published never changes.
struct Step {
    version: i32,
    sql: &'static str,
    /// The oldest version whose gateways still work with the schema after this step, so that a fleet
    /// can be updated one gateway after another.
    oldest: i32,
}

const STEPS: [Step; 1] = [Step {
    version: 1,
    sql: include_str!("../migrations/0001_directory.sql"),
    oldest: 1,
}];

/// The key of the lock that a migration holds: any number that nobody else uses.
const LOCK: i64 = 0x6965_6d5f_6469_7265;

const TABLES: &str = "
    CREATE SCHEMA IF NOT EXISTS iem_gateway;
    CREATE TABLE IF NOT EXISTS iem_gateway.schema_versions (
        version integer PRIMARY KEY,
        oldest integer NOT NULL,
        applied timestamptz NOT NULL DEFAULT now()
    )";

/// Brings the schema to [`SCHEMA_VERSION`], and returns the steps that were missing. All or nothing.
///
/// # Errors
/// The database is away or refuses, or has a schema of a newer gateway.
pub async fn migrate(connection: &mut Connection) -> Result<Vec<i32>, Error> {
    let transaction = connection.client.transaction().await?;
    transaction
        .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)])
        .await?;
    transaction.batch_execute(TABLES).await?;
    let newest = "SELECT coalesce(max(version), 0) FROM iem_gateway.schema_versions";
    let version: i32 = transaction.query_typed_one(newest, &[]).await?.try_get(0)?;
    if version > SCHEMA_VERSION {
        return Err(newer(version));
    }
    let mut applied = Vec::new();
    for step in STEPS.iter().filter(|step| step.version > version) {
        transaction.batch_execute(step.sql).await?;
        let note = "INSERT INTO iem_gateway.schema_versions (version, oldest) VALUES ($1, $2)";
        transaction
            .execute_typed(
                note,
                &[(&step.version, Type::INT4), (&step.oldest, Type::INT4)],
            )
            .await?;
        applied.push(step.version);
    }
    transaction.commit().await?;
    Ok(applied)
}

impl Connection {
    /// Connects to a database whose schema this gateway works with.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        let connection = Self::open_any(settings).await?;
        connection.check().await?;
        Ok(connection)
    }

    /// Checks that the schema is one that this gateway works with.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn check(&self) -> Result<(), Error> {
        within(ANSWER_MAX, check(self)).await
    }
}

/// Checks that the schema is one that this gateway works with.
async fn check(connection: &Connection) -> Result<(), Error> {
    let newest = "SELECT version, oldest FROM iem_gateway.schema_versions ORDER BY version DESC \
                  LIMIT 1";
    let found = match connection.client.query_typed_opt(newest, &[]).await {
        Ok(found) => found,
        // Undefined table or schema.
        Err(error)
            if error
                .code()
                .is_some_and(|code| ["42P01", "3F000"].contains(&code.code())) =>
        {
            None
        }
        Err(error) => return Err(error.into()),
    };
    let Some(row) = found else {
        return Err(Error::Schema(
            "has no directory: `iem-gateway directory migrate` makes it".to_owned(),
        ));
    };
    let (version, oldest): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    if version < SCHEMA_VERSION {
        return Err(Error::Schema(format!(
            "has schema version {version}, and this gateway needs {SCHEMA_VERSION}: \
             `iem-gateway directory migrate` brings it there"
        )));
    }
    if oldest > SCHEMA_VERSION {
        return Err(newer(version));
    }
    Ok(())
}

fn newer(version: i32) -> Error {
    Error::Schema(format!(
        "has schema version {version} of a newer gateway; this one knows versions up to \
         {SCHEMA_VERSION}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_from_one_on() {
        let numbers: Vec<_> = STEPS.iter().map(|step| step.version).collect();
        assert_eq!(numbers, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
        assert!(STEPS.iter().all(|step| step.oldest <= step.version));
    }
}
