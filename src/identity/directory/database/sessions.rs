//! Ended sessions as the rows of the database, and back.

use iem_postgres::{EndedPassword, EndedSession, Refresh, SessionChanges, SessionRow};

use crate::identity::directory::password_version::PasswordVersion;
use crate::identity::sessions::{Ended, SessionId, UsedHere};

/// Ended sessions and used refresh tokens that were read.
#[derive(Debug, Default)]
pub(super) struct ReadSessions {
    pub(super) ended: Ended,
    pub(super) refreshes: Vec<Refresh>,
}

impl ReadSessions {
    /// Adds a row. One that is no session is left out.
    pub(super) fn add(&mut self, row: SessionRow) {
        match row {
            SessionRow::Password(row) => {
                if let Ok(password) = PasswordVersion::try_from(row.password_version) {
                    let email = row.email.into();
                    self.ended.end_until(&email, password, row.until_ms);
                }
            }
            SessionRow::Session(row) => {
                let password = PasswordVersion::try_from(row.password_version);
                let session = SessionId::try_from(row.session);
                if let (Ok(password), Ok(session)) = (password, session) {
                    let email = row.email.into();
                    self.ended.end_one(&email, password, session, row.ended_ms);
                }
            }
            SessionRow::Refresh(row) => self.refreshes.push(row),
        }
    }
}

/// Returns the rows of ended sessions.
pub(super) fn rows(ended: &Ended) -> SessionChanges {
    let passwords = ended
        .passwords()
        .map(|(email, password, until_ms)| EndedPassword {
            email: email.to_string(),
            password_version: password.into(),
            until_ms,
        });
    let single = ended
        .single()
        .map(|(email, password, session, ended_ms)| EndedSession {
            session: session.into(),
            email: email.to_string(),
            password_version: password.into(),
            ended_ms,
        });
    SessionChanges {
        passwords: passwords.collect(),
        sessions: single.collect(),
        refreshes: Vec::new(),
    }
}

/// Returns the rows of used refresh tokens.
pub(super) fn refreshes(uses: &[UsedHere]) -> Vec<Refresh> {
    let rows = uses.iter().map(|used| Refresh {
        session: used.session.into(),
        email: used.email.to_string(),
        generation: used.generation,
        first_ms: used.first_ms,
    });
    rows.collect()
}
