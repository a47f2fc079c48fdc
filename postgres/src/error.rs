//! The errors of the database, and whether they may pass.

use std::time::Duration;

/// The reason why the database did not do what was asked. Shows no password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not answer in time: it hangs, or the way to it does.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It cannot be reached, or the connection was lost.
    #[error("cannot be reached: {0}")]
    Away(String),
    /// It refuses the user or the password, or what was asked.
    #[error("{0}")]
    Refused(String),
    /// It has no directory, or one of another version of the gateway.
    #[error("{0}")]
    Schema(String),
}

impl Error {
    /// Returns whether another attempt may succeed without anybody changing anything.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Away(_))
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return Self::Away(causes(&error));
        };
        let text = format!("{} (SQLSTATE {})", refusal.message(), refusal.code().code());
        // Class 57: the server is shutting down or starting, or has ended a statement that took too
        // long; 53 and 58: it has no connection, memory or disk left; 08: PgBouncer has lost it; 25:
        // it is a standby, or has ended an idle transaction. 40 and 55P03 end a transaction for
        // another's sake.
        let code = refusal.code().code();
        if ["57", "53", "58", "08", "25", "40", "55P03"]
            .iter()
            .any(|class| code.starts_with(class))
        {
            Self::Away(text)
        } else {
            Self::Refused(text)
        }
    }
}

/// Returns an error and its causes in one line.
fn causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
