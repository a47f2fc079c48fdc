//! Tokens of an external issuer.

use super::*;
use crate::identity::oidc::example::{self as idp, ISSUED_S, SigningKey};

const NOW_S: u64 = ISSUED_S + 1;

fn trusting_gateway() -> (Gateway, SigningKey, Arc<Issuer>) {
    let key = SigningKey::new("one", 1);
    let issuer = Issuer::with_keys(&idp::config(), &idp::document(&[&key]));
    let mut gateway = gateway();
    gateway.identity = gateway.identity.trusting(Some(Arc::clone(&issuer)));
    (gateway, key, issuer)
}

#[test]
fn an_external_token_is_verified_once_and_expires_with_a_leeway() {
    let (gateway, key, _) = trusting_gateway();
    let token = key.token(NIFI);
    for now_s in [NOW_S, ISSUED_S + 300, ISSUED_S + 329] {
        assert_eq!(gateway.access(&token, now_s), Ok(NIFI.to_owned()));
    }
    let late = gateway.access(&token, ISSUED_S + 330);
    assert_eq!(late, Err(TokenError::Expired));
    let counts = gateway.identity.counts();
    assert_eq!((counts.token_hits, counts.token_misses), (3, 1));
    assert_eq!(
        gateway.access(&key.token("nobody@example.com"), NOW_S),
        Err(TokenError::Invalid)
    );
}

#[test]
fn own_tokens_hold_beside_external_ones() {
    let (gateway, key, _) = trusting_gateway();
    let own = gateway.issue(NIFI);
    assert_eq!(gateway.access(&own.access, 1000), Ok(NIFI.to_owned()));
    assert_eq!(gateway.access(&own.refresh, 1000), Err(TokenError::Invalid));
    let token = key.token(NIFI);
    assert_eq!(gateway.access(&token, NOW_S), Ok(NIFI.to_owned()));
    let refreshed = gateway.identity.refresh(&token, None, at(NOW_S));
    assert_eq!(refreshed.err(), Some(TokenError::Invalid));
}

#[test]
fn a_very_long_token_is_remembered_by_the_cache() {
    let (gateway, key, _) = trusting_gateway();
    let mut claims = idp::claims(NIFI);
    claims["groups"] = "g".repeat(6000).into();
    let token = key.sign(&key.header(), &claims);
    for _ in 0..3 {
        assert_eq!(gateway.access(&token, NOW_S), Ok(NIFI.to_owned()));
    }
    assert!(gateway.last.verified(token.as_bytes()).is_none());
    let counts = gateway.identity.counts();
    assert_eq!((counts.token_hits, counts.token_misses), (2, 1));
}

#[test]
fn the_directory_is_asked_each_time() {
    let (gateway, key, _) = trusting_gateway();
    let token = key.token(NIFI);
    assert_eq!(gateway.access(&token, NOW_S), Ok(NIFI.to_owned()));
    gateway.change(|document| document.remove_user(NIFI));
    assert_eq!(gateway.access(&token, NOW_S), Err(TokenError::Invalid));
    let (gateway, key, _) = trusting_gateway();
    let gone = key.token("gone@example.com");
    assert_eq!(gateway.access(&gone, NOW_S), Err(TokenError::Invalid));
}

#[test]
fn a_token_ends_when_its_key_is_removed() {
    let (gateway, key, issuer) = trusting_gateway();
    let token = key.token(NIFI);
    assert_eq!(gateway.access(&token, NOW_S), Ok(NIFI.to_owned()));
    let another = SigningKey::new("one", 2);
    issuer.replace_keys(&idp::document(&[&another]));
    assert_eq!(gateway.access(&token, NOW_S), Err(TokenError::Invalid));
    assert_eq!(
        gateway.access(&another.token(NIFI), NOW_S),
        Ok(NIFI.to_owned())
    );
}

/// The ends are kept by the version of the password, of which an external token knows nothing.
#[test]
fn a_log_out_ends_the_tokens_of_before_whatever_the_password() {
    let (gateway, key, _) = trusting_gateway();
    let token = key.token(NIFI);
    let later = |token_s: u64| {
        let mut claims = idp::claims(NIFI);
        claims["iat"] = token_s.into();
        key.sign(&key.header(), &claims)
    };
    assert_eq!(gateway.access(&token, NOW_S), Ok(NIFI.to_owned()));
    let user = Arc::clone(gateway.identity.directory().load().user(NIFI).unwrap());
    let ended = [(Arc::clone(&user.email), user.password_version)];
    gateway
        .identity
        .directory()
        .ended()
        .end_all(&ended, at(NOW_S));
    assert_eq!(gateway.access(&token, NOW_S), Err(TokenError::Invalid));
    // The issuer's clock may be ahead.
    for issued_s in [NOW_S, NOW_S + 30] {
        let token = later(issued_s);
        for now_s in [NOW_S, NOW_S + 60] {
            let answer = gateway.access(&token, now_s);
            assert_eq!(answer, Err(TokenError::Invalid), "{issued_s} {now_s}");
        }
    }
    let token = later(NOW_S + 31);
    assert_eq!(gateway.access(&token, NOW_S + 31), Ok(NIFI.to_owned()));

    let password = PasswordHash::new(&example::password("new"), example::CHEAP).unwrap();
    gateway.change(|document| document.set_password(NIFI, &password));
    assert_eq!(gateway.access(&token, NOW_S), Err(TokenError::Invalid));
}

#[test]
fn a_disabled_user_is_out_for_good() {
    let (gateway, key, _) = trusting_gateway();
    let token = key.token(NIFI);
    assert_eq!(gateway.access(&token, NOW_S), Ok(NIFI.to_owned()));
    gateway.change(|document| document.set_user_enabled(NIFI, false));
    assert_eq!(gateway.access(&token, NOW_S), Err(TokenError::Invalid));
    gateway.change(|document| document.set_user_enabled(NIFI, true));
    assert_eq!(gateway.access(&token, NOW_S), Err(TokenError::Invalid));
}

#[test]
fn a_superadmin_is_named_only_where_that_is_wanted() {
    for superadmins in [false, true] {
        let key = SigningKey::new("one", 1);
        let mut config = idp::config();
        config.oidc.superadmins = superadmins;
        let issuer = Issuer::with_keys(&config, &idp::document(&[&key]));
        let mut gateway = gateway();
        gateway.identity = gateway.identity.trusting(Some(issuer));
        let found = gateway.access(&key.token("root@example.com"), NOW_S);
        assert_eq!(found.is_ok(), superadmins);
    }
}

#[test]
fn the_first_request_with_a_token_is_the_log_in() {
    let (gateway, key, _) = trusting_gateway();
    let token = key.token(NIFI);
    let has_logged_in = |last: &LastToken| {
        let principal = gateway
            .identity
            .principal(token.as_bytes(), None, last, at(NOW_S));
        principal.unwrap().has_logged_in()
    };
    let first = LastToken::default();
    assert!(has_logged_in(&first));
    assert!(!has_logged_in(&first));
    assert!(!has_logged_in(&LastToken::default()), "another connection");
    let own = gateway.issue(NIFI);
    let own = gateway
        .identity
        .principal(own.access.as_bytes(), None, &first, at(1000));
    assert!(
        !own.unwrap().has_logged_in(),
        "its log-in was the token call"
    );
}

#[test]
fn nothing_external_is_accepted_without_an_issuer() {
    let gateway = gateway();
    let token = SigningKey::new("one", 1).token(NIFI);
    assert_eq!(gateway.access(&token, NOW_S), Err(TokenError::Invalid));
}
