//! The directory of a first start: one customer, one integration and one API user, to try the
//! gateway with.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::edit::{EditError, Editor, Missing, NewUser, Refusal, edit};
use crate::identity::password::{Cost, Password, PasswordHash};

/// The entries that the first start created. The password is nowhere else in the clear: show it
/// once.
#[derive(Debug)]
pub struct FirstUser {
    /// The user's email.
    pub email: &'static str,
    /// The user's password: letters and digits alone.
    pub password: Password,
    /// The customer that the user is associated with.
    pub customer: &'static str,
    /// That customer's integration.
    pub integration: &'static str,
}

const EMAIL: &str = "nifi@example.com";
const CUSTOMER: &str = "acme";
const INTEGRATION: &str = "servicenow";

/// Creates the first directory, unless there is a file already. Blocks, for a password hash too.
pub fn create_first(path: &Path) -> Result<Option<FirstUser>, EditError> {
    if exists(path)? {
        return Ok(None);
    }
    let password = random_password();
    let hash = PasswordHash::new(&password, Cost::default())
        .map_err(|error| Refusal(error.to_string()))?;
    let made = edit(path, Missing::Create, |document| {
        // Another gateway may have been first while this one waited for the lock.
        if exists(path).unwrap_or(true) {
            return Ok(false);
        }
        document.add_customer(CUSTOMER, "Acme")?;
        document.add_user(NewUser {
            email: EMAIL.to_owned(),
            name: "NiFi".to_owned(),
            password: Some(hash),
            superadmin: false,
            organization: false,
            customers: vec![CUSTOMER.to_owned()],
        })?;
        document.add_integration(CUSTOMER, INTEGRATION, &[])?;
        Ok(true)
    })?;
    let first = FirstUser {
        email: EMAIL,
        password,
        customer: CUSTOMER,
        integration: INTEGRATION,
    };
    Ok(made.then_some(first))
}

fn exists(path: &Path) -> Result<bool, EditError> {
    path.try_exists().map_err(|error: io::Error| EditError::Io {
        path: path.to_owned(),
        error,
    })
}

/// 26 characters of 32: 130 bits. None needs quoting in a shell, none is easily read as another.
fn random_password() -> Password {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random = Zeroizing::new(rand::random::<[u8; 26]>());
    Password::new(
        random
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::directory::Directory;

    #[test]
    fn the_first_start_creates_a_user_who_may_publish_and_the_second_creates_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("iem-data/directory.toml");
        let first = create_first(&path).unwrap().unwrap();
        let directory = Directory::read(&path).unwrap();
        let user = directory.user(first.email).unwrap();
        assert!(
            user.password().unwrap().verify(&first.password) && user.enabled && !user.organization
        );
        assert!(
            user.names_customer(first.customer)
                && directory.customer(first.customer).unwrap().active
        );
        assert!(
            directory
                .integration(first.customer, first.integration)
                .is_some()
        );
        let password = first.password.reveal();
        assert!(password.len() == 26 && password.bytes().all(|byte| byte.is_ascii_alphanumeric()));

        assert!(create_first(&path).unwrap().is_none());
        assert_eq!(
            Directory::read(&path)
                .unwrap()
                .user(first.email)
                .unwrap()
                .password_version,
            user.password_version
        );
    }

    #[test]
    fn passwords_are_not_guessable_from_each_other() {
        assert_ne!(random_password().reveal(), random_password().reveal());
    }
}
