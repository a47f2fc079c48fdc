//! Users without a password.

use super::*;

const IDP: &str = "idp@example.com";

/// A gateway with one user more, who has no password.
fn gateway_with_user() -> Gateway {
    let gateway = gateway();
    gateway.change(|document| {
        document.add_user(NewUser {
            email: IDP.to_owned(),
            name: "Idp".to_owned(),
            password: None,
            superadmin: false,
            organization: false,
            customers: vec!["acme".to_owned()],
        })
    });
    gateway
}

#[tokio::test]
async fn no_password_is_right_and_each_guess_counts() {
    let gateway = gateway_with_user();
    for guess in ["", "guess", "secret of idp@example.com"] {
        let password = Password::new(guess.to_owned());
        let login = gateway.login(IDP, &password, PEER).await;
        assert_eq!(login, Err(LoginError::Invalid));
    }
    assert_eq!(gateway.identity.counts().failed_logins, 3);
    let password = PasswordHash::new(&example::password(IDP), example::CHEAP).unwrap();
    gateway.change(|document| document.set_password(IDP, &password));
    assert_eq!(gateway.right(IDP, PEER).await, Ok(IDP.to_owned()));
}

#[tokio::test]
async fn a_guess_costs_a_hash_as_for_others() {
    let mut gateway = gateway_with_user();
    Arc::get_mut(&mut gateway.identity.logins).unwrap().hashing = Hashing::new(1, 0);
    let logins = [IDP, "unknown@example.com", IDP].map(|user| gateway.wrong(user, PEER));
    let outcomes = futures_util::future::join_all(logins).await;
    // One takes the only thread, and another user's guess finds it taken.
    assert!(
        outcomes.contains(&Err(LoginError::Busy(Busy))),
        "{outcomes:?}"
    );
    assert!(outcomes.contains(&Err(LoginError::Invalid)), "{outcomes:?}");
}

#[test]
fn tokens_end_when_the_user_gets_a_password() {
    let gateway = gateway_with_user();
    let token = gateway.issue(IDP).access;
    assert_eq!(gateway.access(&token, 1000), Ok(IDP.to_owned()));
    let password = PasswordHash::new(&example::password(IDP), example::CHEAP).unwrap();
    gateway.change(|document| document.set_password(IDP, &password));
    assert_eq!(gateway.access(&token, 1000), Err(TokenError::Invalid));
}
