#![allow(clippy::unwrap_used)]

mod external;
mod no_password;
mod session_life;

use std::fs;
use std::num::NonZeroU32;
use std::task::{Context, Waker};
use std::time::{Duration, UNIX_EPOCH};

use super::directory::edit::{Document, EditError, Editor, Missing, NewUser, edit};
use super::hashing::Hashing;
use super::password::{Password, PasswordHash};
use super::token::SigningKey;
use super::*;

struct Gateway {
    folder: tempfile::TempDir,
    identity: Identity,
    /// The last token of the one connection that tests use.
    last: LastToken,
}

fn gateway_with(config: &Config) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    fs::write(&path, &*example::TEXT).unwrap();
    let directory = Arc::new(LiveDirectory::open(&path).unwrap());
    let key = SigningKey::open(&folder.path().join("token.key")).unwrap();
    let tokens = Tokens::new(&key, &config.tokens);
    Gateway {
        folder,
        identity: Identity::new(directory, tokens, config),
        last: LastToken::default(),
    }
}

fn gateway() -> Gateway {
    gateway_with(&Config::default())
}

impl Gateway {
    async fn login(
        &self,
        email: &str,
        password: &Password,
        peer: &str,
    ) -> Result<String, LoginError> {
        let basic = Basic {
            user: email.to_owned(),
            password: password.clone(),
        };
        let principal = self.identity.login(&basic, peer.parse().unwrap()).await?;
        Ok(principal.user().email.to_string())
    }

    async fn right(&self, email: &str, peer: &str) -> Result<String, LoginError> {
        self.login(email, &example::password(email), peer).await
    }

    async fn wrong(&self, email: &str, peer: &str) -> Result<String, LoginError> {
        self.login(email, &Password::new("guess".to_owned()), peer)
            .await
    }

    fn issue(&self, email: &str) -> TokenPair {
        let user = Arc::clone(self.identity.directory().load().user(email).unwrap());
        let principal = Principal::new(user);
        let session = self.identity.begin(&principal, None, at(1000));
        self.identity.issue(&principal, &session, at(1000)).unwrap()
    }

    fn access(&self, token: &str, now_s: u64) -> Result<String, TokenError> {
        self.identity
            .principal(token.as_bytes(), None, &self.last, at(now_s))
            .map(|principal| principal.user().email.to_string())
    }

    fn change(&self, change: impl FnOnce(&mut Document) -> Result<(), EditError>) {
        let directory = self.identity.directory();
        edit(directory.path(), Missing::Refuse, change).unwrap();
        directory.reload().unwrap();
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

const NIFI: &str = "nifi@example.com";
const PEER: &str = "192.0.2.1";

#[test]
fn a_token_is_verified_once_and_expires_all_the_same() {
    let gateway = gateway();
    let token = gateway.issue(NIFI).access;
    for now_s in [1000, 2000, 4599] {
        assert_eq!(gateway.access(&token, now_s), Ok(NIFI.to_owned()));
    }
    assert_eq!(gateway.access(&token, 4600), Err(TokenError::Expired));
    let counts = gateway.identity.counts();
    assert_eq!((counts.token_hits, counts.token_misses), (3, 1));
}

#[test]
fn each_connection_may_send_any_token() {
    let gateway = gateway();
    let nifi = gateway.issue(NIFI).access;
    let root = gateway.issue("root@example.com").access;
    let connections = [LastToken::default(), LastToken::default()];
    for (token, email) in [
        (&nifi, NIFI),
        (&root, "root@example.com"),
        (&root, "root@example.com"),
        (&nifi, NIFI),
    ] {
        for last in &connections {
            let principal = gateway
                .identity
                .principal(token.as_bytes(), None, last, at(1000))
                .unwrap();
            assert_eq!(&*principal.user().email, email);
            let altered = [token.as_bytes(), b"x"].concat();
            assert_eq!(
                gateway
                    .identity
                    .principal(&altered, None, last, at(1000))
                    .unwrap_err(),
                TokenError::Invalid
            );
        }
    }
    assert_eq!(gateway.identity.counts().token_misses, 2 + 8);
}

#[test]
fn an_invalid_token_is_never_remembered() {
    let gateway = gateway();
    let pair = gateway.issue(NIFI);
    let other = self::gateway();
    for _ in 0..2 {
        assert_eq!(
            gateway.access(&pair.refresh, 1000),
            Err(TokenError::Invalid)
        );
        assert_eq!(gateway.access("", 1000), Err(TokenError::Invalid));
        assert_eq!(
            gateway
                .identity
                .principal(&[0xff, 0], None, &gateway.last, at(1000))
                .unwrap_err(),
            TokenError::Invalid
        );
        assert_eq!(
            other.access(&pair.access, 1000),
            Err(TokenError::Invalid),
            "another key"
        );
    }
    assert_eq!(gateway.identity.counts().token_hits, 0);
}

#[test]
fn a_revocation_applies_at_once_to_tokens_already_issued() {
    let check = |change: &dyn Fn(&mut Document) -> Result<(), EditError>,
                 expected: Result<(), TokenError>| {
        let gateway = gateway();
        let TokenPair {
            access, refresh, ..
        } = gateway.issue(NIFI);
        assert!(gateway.access(&access, 1000).is_ok());
        gateway.change(change);
        assert_eq!(gateway.access(&access, 1000).map(|_| ()), expected);
        assert_eq!(
            gateway
                .identity
                .refresh(&refresh, None, at(1000))
                .map(|_| ()),
            expected
        );
    };
    let another = PasswordHash::new(&example::password(NIFI), example::CHEAP).unwrap();
    check(
        &|document| document.set_user_enabled(NIFI, false),
        Err(TokenError::Invalid),
    );
    check(
        &|document| document.remove_user(NIFI),
        Err(TokenError::Invalid),
    );
    check(
        &|document| document.set_password(NIFI, &another),
        Err(TokenError::Invalid),
    );
    check(
        &|document| document.set_user_enabled("root@example.com", false),
        Ok(()),
    );
}

#[test]
fn an_expired_token_of_a_user_who_is_gone_is_invalid() {
    let gateway = gateway();
    let token = gateway.issue(NIFI).access;
    assert_eq!(
        gateway.access(&token, 4600),
        Err(TokenError::Expired),
        "never seen before"
    );
    gateway.change(|document| document.set_user_enabled(NIFI, false));
    assert_eq!(gateway.access(&token, 4600), Err(TokenError::Invalid));
}

#[test]
fn a_revoked_association_shows_in_the_next_principal() {
    let gateway = gateway();
    let token = gateway.issue(NIFI).access;
    let may = || {
        let principal = gateway
            .identity
            .principal(token.as_bytes(), None, &gateway.last, at(1000))
            .unwrap();
        authorization::customer(
            &gateway.identity.directory().load(),
            principal.user(),
            "acme",
        )
        .map(|_| ())
    };
    assert_eq!(may(), Ok(()));
    gateway.change(|document| document.revoke(NIFI, "acme").map(|_| ()));
    assert_eq!(may(), Err(authorization::Denied::NotAssociated));
    gateway.change(|document| document.set_customer_active("acme", false));
    assert_eq!(may(), Err(authorization::Denied::InactiveCustomer));
}

#[tokio::test]
async fn only_right_credentials_of_enabled_users_log_in() {
    let gateway = gateway();
    for email in [NIFI, "root@example.com", "console@example.com"] {
        assert_eq!(gateway.right(email, PEER).await, Ok(email.to_owned()));
        assert_eq!(gateway.wrong(email, PEER).await, Err(LoginError::Invalid));
    }
    assert_eq!(
        gateway.right("gone@example.com", PEER).await,
        Err(LoginError::Invalid)
    );
    assert_eq!(
        gateway.right("nobody@example.com", PEER).await,
        Err(LoginError::Invalid)
    );
    assert_eq!(
        gateway
            .login(NIFI, &example::password("root@example.com"), PEER)
            .await,
        Err(LoginError::Invalid)
    );
    assert_eq!(gateway.identity.counts().failed_logins, 6);
}

#[tokio::test]
async fn remembered_credentials_are_checked_in_the_directory() {
    let gateway = gateway();
    assert!(gateway.right(NIFI, PEER).await.is_ok());
    assert!(gateway.right(NIFI, PEER).await.is_ok());
    gateway.change(|document| document.set_user_enabled(NIFI, false));
    assert_eq!(gateway.right(NIFI, PEER).await, Err(LoginError::Invalid));
    gateway.change(|document| document.set_user_enabled(NIFI, true));
    assert!(gateway.right(NIFI, PEER).await.is_ok());
    let another = PasswordHash::new(&Password::new("another".to_owned()), example::CHEAP).unwrap();
    gateway.change(|document| document.set_password(NIFI, &another));
    assert_eq!(gateway.right(NIFI, PEER).await, Err(LoginError::Invalid));
    assert!(
        gateway
            .login(NIFI, &Password::new("another".to_owned()), PEER)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn after_ten_failures_right_credentials_wait_too() {
    let gateway = gateway();
    assert!(
        gateway.right(NIFI, PEER).await.is_ok(),
        "remembered from here on"
    );
    for _ in 0..10 {
        assert_eq!(gateway.wrong(NIFI, PEER).await, Err(LoginError::Invalid));
    }
    for attempt in [
        gateway.wrong(NIFI, PEER).await,
        gateway.right(NIFI, PEER).await,
    ] {
        let Err(LoginError::TooMany { retry_after }) = attempt else {
            panic!("{attempt:?}")
        };
        assert!(
            retry_after > Duration::ZERO && retry_after <= Duration::from_secs(6),
            "{retry_after:?}"
        );
    }
    assert!(
        gateway.right(NIFI, "192.0.2.2").await.is_ok(),
        "the user elsewhere"
    );
    assert!(
        gateway.right("root@example.com", PEER).await.is_ok(),
        "another user there"
    );
    assert_eq!(gateway.identity.counts().failed_logins, 10);
}

#[tokio::test]
async fn a_peer_s_failures_count_over_all_users() {
    let mut config = Config::default();
    config.login.failures_per_peer = NonZeroU32::new(3).unwrap();
    let gateway = gateway_with(&config);
    for user in ["a", "b", "c"] {
        assert_eq!(gateway.wrong(user, PEER).await, Err(LoginError::Invalid));
    }
    assert!(matches!(
        gateway.right(NIFI, PEER).await,
        Err(LoginError::TooMany { .. })
    ));
    assert!(gateway.right(NIFI, "192.0.2.2").await.is_ok());
}

#[tokio::test]
async fn parallel_guesses_do_not_exceed_the_limit() {
    let mut gateway = gateway();
    Arc::get_mut(&mut gateway.identity.logins).unwrap().hashing = Hashing::new(4, 64);
    let guesses = (0..50).map(|_| gateway.wrong(NIFI, PEER));
    let outcomes = futures_util::future::join_all(guesses).await;
    let invalid = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(LoginError::Invalid))
        .count();
    let bounded = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(LoginError::TooMany { .. })))
        .count();
    assert_eq!((invalid, bounded), (10, 40));
}

#[tokio::test]
async fn parallel_right_logins_cost_one_hash() {
    let mut gateway = gateway();
    Arc::get_mut(&mut gateway.identity.logins).unwrap().hashing = Hashing::new(1, 0);
    let logins = (0..20).map(|_| gateway.right(NIFI, PEER));
    // No login may wait for a hash, so a second hash would be rejected: the gateway is busy.
    for login in futures_util::future::join_all(logins).await {
        assert_eq!(login, Ok(NIFI.to_owned()));
    }
}

#[tokio::test]
async fn a_client_that_disconnects_early_is_counted_as_well() {
    let gateway = gateway();
    for _ in 0..5 {
        let mut login = Box::pin(gateway.wrong(NIFI, PEER));
        let _ = login.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(login);
        // The next attempt of the same pair waits for the one that was left behind.
        assert_eq!(gateway.wrong(NIFI, PEER).await, Err(LoginError::Invalid));
    }
    assert_eq!(gateway.identity.counts().failed_logins, 10);
    assert!(matches!(
        gateway.right(NIFI, PEER).await,
        Err(LoginError::TooMany { .. })
    ));
}
