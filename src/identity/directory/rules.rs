//! The rules for entries of the directory, whatever they are read from.
//!
//! An entry that could never work breaks one: an association with a customer that is not there, an
//! email that HTTP Basic cannot carry. Each fault is a text that names its entry.

use std::sync::Arc;

use super::user::User;
use crate::identity::password::PasswordHash;

/// The states of an integration that lists none: `ServiceNow`'s *Resolved* and *Closed*.
const DEFAULT_STATES: [(i64, &str); 2] = [(6, "resolved"), (7, "closed")];

/// The longest email (RFC 5321, section 4.5.3.1.3: a path of 256 with its brackets). Keeps tokens
/// short.
pub const EMAIL_BYTES_MAX: usize = 254;

/// Checks the id of a customer or of an integration.
pub(super) fn check_id(what: &str, id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err(format!("{what} is empty"));
    }
    if id.trim() != id || id.contains(char::is_control) {
        return Err(format!(
            "{what} {id:?} has control characters, or space at its start or end"
        ));
    }
    Ok(())
}

/// Checks the email of a user.
pub(super) fn check_email(email: &str) -> Result<(), String> {
    check_id("email", email)?;
    if email.len() > EMAIL_BYTES_MAX {
        return Err(format!("email is longer than {EMAIL_BYTES_MAX} bytes"));
    }
    if email.contains(':') {
        // RFC 7617, section 2: the first colon ends the user-id.
        return Err(format!(
            "email {email:?} has a colon, which HTTP Basic cannot carry"
        ));
    }
    Ok(())
}

/// Reads the hash of a user's password. The fault never shows what stands in its place.
pub(super) fn password(email: &str, hash: &str) -> Result<PasswordHash, String> {
    PasswordHash::parse(hash).map_err(|error| format!("password of user {email:?}: {error}"))
}

/// Refuses a user whose password somebody who has the directory could guess too fast.
pub(super) fn check_strength(user: &User) -> Result<(), String> {
    let Some(cost) = user.password().map(PasswordHash::cost) else {
        return Ok(());
    };
    if cost.is_strong() {
        return Ok(());
    }
    Err(format!(
        "password of user {:?}: its hash can be guessed against too fast ({cost}; OWASP's minimum \
         is m=19456,t=2,p=1, or m=47104 with t=1, m=12288 with t=3, m=9216 with t=4, m=7168 with \
         t=5); set it anew with `user passwd`",
        user.email
    ))
}

/// Returns the states of an integration, sorted; those of one that lists none if `states` is `None`.
pub(super) fn states(
    states: Option<impl IntoIterator<Item = (String, String)>>,
) -> Result<Vec<(i64, String)>, String> {
    let Some(states) = states else {
        return Ok(DEFAULT_STATES
            .map(|(number, name)| (number, name.to_owned()))
            .into());
    };
    let mut numbers = Vec::new();
    for (text, name) in states {
        // `06` and `+6` would be second names of `6`.
        let number = text
            .parse()
            .ok()
            .filter(|number: &i64| number.to_string() == text);
        let number = number.ok_or_else(|| format!("state {text:?} is not an integer"))?;
        if name.is_empty() {
            return Err(format!("state {text} maps to an empty name"));
        }
        numbers.push((number, name));
    }
    numbers.sort_unstable_by_key(|(number, _)| *number);
    Ok(numbers)
}

/// Returns a user's associations, sorted, each once, from the customers that were found by id.
pub(super) fn associations(mut customers: Vec<Arc<str>>) -> Box<[Arc<str>]> {
    customers.sort_unstable();
    customers.dedup();
    customers.into()
}

/// The fault of an association with a customer that is not there.
pub(super) fn no_customer(email: &str, id: &str) -> String {
    format!("user {email:?} is associated with a customer {id:?} that is not there")
}
