//! Ended sessions as the rows of the database, and back.

use iem_postgres::{EndedPassword, EndedSession, Refresh, SessionChanges};

use crate::identity::directory::password_version::PasswordVersion;
use crate::identity::sessions::{Ended, SessionId, UsedHere};

/// Returns the ended sessions of `rows`. A row that is none is left out.
pub(super) fn ended(rows: &SessionChanges) -> Ended {
    let mut ended = Ended::default();
    for row in &rows.passwords {
        if let Ok(password) = PasswordVersion::try_from(row.password_version.clone()) {
            ended.end_until(&row.email.as_str().into(), password, row.until_ms);
        }
    }
    for row in &rows.sessions {
        let password = PasswordVersion::try_from(row.password_version.clone());
        let session = SessionId::try_from(row.session.clone());
        if let (Ok(password), Ok(session)) = (password, session) {
            let email = row.email.as_str().into();
            ended.end_one(&email, password, session, row.ended_ms);
        }
    }
    ended
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
