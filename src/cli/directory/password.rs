//! Reads a new password from the terminal or from standard input.

use std::io::{self, BufRead};

use zeroize::Zeroizing;

use super::error::CommandError;
use crate::identity::password::{PASSWORD_BYTES_MAX, Password};

/// A wrong file on standard input is not read to its end.
const BYTES_MAX: u64 = PASSWORD_BYTES_MAX as u64;

/// The fewest characters of a password that is set. OWASP's ASVS 5.0 requires 8 and recommends 15.
const CHARACTERS_MIN: usize = 12;

/// Reads a password: twice from the terminal, or one line from standard input.
pub(super) fn ask(stdin: bool) -> Result<Password, CommandError> {
    if stdin {
        read_line(io::stdin().lock())
    } else {
        prompt()
    }
}

fn prompt() -> Result<Password, CommandError> {
    let password = check(type_one("New password: ")?)?;
    if password.reveal() != type_one("The same again: ")?.reveal() {
        return Err(CommandError::Password(
            "the two passwords differ; nothing was changed".to_owned(),
        ));
    }
    Ok(password)
}

fn type_one(prompt: &str) -> Result<Password, CommandError> {
    rpassword::prompt_password(prompt)
        .map(Password::new)
        .map_err(|error| {
            CommandError::Password(format!(
                "cannot ask for a password ({error}); without a terminal use --password-stdin"
            ))
        })
}

/// Reads the first line of `input`, without its end.
pub(super) fn read_line(input: impl BufRead) -> Result<Password, CommandError> {
    let mut line = Zeroizing::new(String::new());
    input
        .take(BYTES_MAX + 1)
        .read_line(&mut line)
        .map_err(|error| {
            CommandError::Password(format!(
                "cannot read a password from standard input: {error}"
            ))
        })?;
    if line.len() as u64 > BYTES_MAX {
        return Err(CommandError::Password(format!(
            "the password is longer than {BYTES_MAX} bytes"
        )));
    }
    let text = line.strip_suffix('\n').unwrap_or(&line);
    check(Password::new(
        text.strip_suffix('\r').unwrap_or(text).to_owned(),
    ))
}

fn check(password: Password) -> Result<Password, CommandError> {
    if password.reveal().chars().count() < CHARACTERS_MIN {
        return Err(CommandError::Password(format!(
            "the password has fewer than {CHARACTERS_MIN} characters; nothing was changed"
        )));
    }
    Ok(password)
}
