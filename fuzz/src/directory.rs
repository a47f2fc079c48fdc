//! Any text as a directory file, and behind a line of `%%` changes to it, one a line. Checked:
//! nothing panics; an error names a line that is there, in one line, and shows no password; a
//! change does what a plain model of it does and nothing else, and comments stay; what cannot be
//! made is refused, never what is there.

mod model;

use std::path::Path;
use std::sync::LazyLock;

use iem_gateway::identity::directory::edit::{EditError, edit_text};
use iem_gateway::identity::directory::{Directory, DirectoryError};
use iem_gateway::identity::password::PasswordHash;
use toml::{Table, Value};

use crate::expansion::split;
use crate::gateway::hash;
use model::{Change, Model};

const CHANGES_MAX: usize = 16;
/// A password that stands nowhere else in an input must not be shown.
const SECRET: &str = "hunter2";

static HASH: LazyLock<PasswordHash> = LazyLock::new(|| hash("password"));

/// Checks one input.
pub fn check(input: &[u8]) {
    let parts = split(input, 2);
    let Ok(text) = str::from_utf8(parts[0]) else {
        return;
    };
    let text = text.replace("{{hash}}", HASH.as_str());
    let path = Path::new("directory.toml");
    let directory = match Directory::parse(&text, path) {
        Ok(directory) => directory,
        Err(error) => return check_error(&error, &text),
    };
    look_up(&directory);
    let changes = parts.get(1).map(|changes| str::from_utf8(changes));
    if let Some(Ok(changes)) = changes {
        check_changes(changes, text, path, &directory);
    }
}

/// Checks that an error is one line, names a line that is there, and shows no password.
fn check_error(error: &DirectoryError, text: &str) {
    let message = &error.message;
    assert!(!message.is_empty() && !message.contains('\n'), "{error:?}");
    let lines = 1..=1 + text.matches('\n').count();
    assert!(error.line.is_none_or(|line| lines.contains(&line)));
    assert!(!hides(text) || !message.contains(SECRET), "{error:?}");
}

/// Makes the changes, one a line, and compares each result with the model's.
fn check_changes(changes: &str, mut text: String, path: &Path, directory: &Directory) {
    let mut model = Model::of(directory);
    for change in changes.lines().filter_map(Change::parse).take(CHANGES_MAX) {
        let changed = edit_text(&text, path, |document| change.make(document, &HASH));
        let expected = model.with(&change, &HASH);
        match changed {
            Ok(((), after, _)) => {
                let found = Model::of(&Directory::parse(&after, path).expect("it was looked at"));
                assert_eq!(
                    Some(&found),
                    expected.as_ref(),
                    "{change:?}\n{text}\n--- to\n{after}"
                );
                assert!(
                    change.removes() || comments_stay(&text, &after),
                    "{text}\n--- to\n{after}"
                );
                (text, model) = (after, found);
            }
            Err(EditError::Refused(refusal)) => {
                assert!(
                    expected.is_none() || change.may_be_refused(),
                    "{change:?}: {refusal}\n{text}"
                );
            }
            Err(error) => panic!("it was read before: {error}"),
        }
    }
}

/// Whether the only secret is a user's password.
fn hides(text: &str) -> bool {
    let Ok(table) = text.parse::<Table>() else {
        return false;
    };
    let users = table
        .get("user")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut passwords = users.filter_map(|user| user.get("password")?.as_str());
    text.matches(SECRET).count() == 1 && passwords.any(|password| password.contains(SECRET))
}

/// Everything is found by its own name.
fn look_up(directory: &Directory) {
    for customer in directory.customers() {
        assert_eq!(
            directory.customer(&customer.id).map(|found| &found.id),
            Some(&customer.id)
        );
        for integration in customer.integrations() {
            assert!(
                directory
                    .integration(&customer.id, &integration.id)
                    .is_some()
            );
            for (number, name) in &integration.states {
                assert_eq!(integration.state(*number), Some(&**name));
            }
        }
    }
    for user in directory.users() {
        assert_eq!(
            directory.user(&user.email).map(|found| &found.email),
            Some(&user.email)
        );
        assert!(
            user.customers()
                .iter()
                .all(|id| user.names_customer(id) && directory.customer(id).is_some())
        );
        assert!(
            !user.email.contains(':')
                && user
                    .password()
                    .is_none_or(|hash| !format!("{user:?}").contains(hash.as_str()))
        );
    }
}

fn comments_stay(before: &str, after: &str) -> bool {
    let comments = |text: &str| {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut kept = comments(after);
    comments(before).into_iter().all(|comment| {
        let at = kept.iter().position(|other| *other == comment);
        at.map(|at| kept.swap_remove(at)).is_some()
    })
}
