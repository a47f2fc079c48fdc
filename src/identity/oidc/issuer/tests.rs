#![allow(clippy::unwrap_used)]

use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use ring::hmac;
use serde_json::json;

use super::*;
use crate::identity::oidc::example::{ISSUED_S, SigningKey, claims, config, document, part};
use crate::identity::oidc::key_name::{HEADER_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::identity::oidc::key_set::KID_BYTES_MAX;

const EMAIL: &str = "nifi@example.com";

fn key() -> SigningKey {
    SigningKey::new("one", 1)
}

fn issuer() -> Arc<Issuer> {
    Issuer::with_keys(&config(), &document(&[&key()]))
}

fn verify(token: impl AsRef<[u8]>) -> Result<Claims, TokenError> {
    verify_by(&issuer(), token)
}

fn verify_by(issuer: &Issuer, token: impl AsRef<[u8]>) -> Result<Claims, TokenError> {
    let now = UNIX_EPOCH + Duration::from_secs(ISSUED_S + 1);
    issuer.verify(token.as_ref(), now)
}

#[test]
fn a_token_names_its_user() {
    let claims = verify(key().token(EMAIL)).unwrap();
    assert_eq!(claims.email, EMAIL);
    assert_eq!(claims.session().begun_ms, ISSUED_S * 1000);
    assert_eq!(claims.expires_at_s, ISSUED_S + 330);
    assert_eq!(issuer().has_key(claims.key), Ok(true));
}

#[test]
fn a_cut_or_changed_token_is_invalid() {
    let token = key().token(EMAIL);
    let issuer = issuer();
    // A change of the key's name may be that of a new key.
    let check = |token: &[u8]| assert!(verify_by(&issuer, token).is_err());
    for at in 0..token.len() {
        check(&token.as_bytes()[..at]);
        for change in [1, 0x20, 0x80] {
            let mut changed = token.clone().into_bytes();
            changed[at] ^= change;
            check(&changed);
        }
    }
    check(format!("{token}.").as_bytes());
    check(format!("{token}=").as_bytes());
    check(format!("{}.{token}", "W".repeat(TOKEN_BYTES_MAX)).as_bytes());
}

#[test]
fn the_key_and_the_algorithm_go_together() {
    let key = key();
    let check = |token: &str| assert_eq!(verify(token), Err(TokenError::Invalid), "{token}");
    let claims = claims(EMAIL);
    for alg in [
        "none", "HS256", "HS512", "RS256", "PS256", "ES256", "ES384", "RS512", "", "eddsa",
    ] {
        let header = json!({ "alg": alg, "kid": "one" });
        let token = key.sign(&header, &claims);
        check(&token);
        check(&token[..=token.rfind('.').unwrap()]);
        // Signed with the public key as a secret.
        let message = &token[..token.rfind('.').unwrap()];
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public());
        let signature = hmac::sign(&secret, message.as_bytes());
        check(&format!("{message}.{}", part(signature.as_ref())));
    }
    for header in [
        json!({ "alg": "EdDSA" }),
        json!({ "alg": "EdDSA", "kid": 1 }),
        json!({ "kid": "one" }),
        json!([]),
        json!({ "alg": "EdDSA", "kid": "one", "typ": "logout+jwt" }),
        json!({ "alg": "EdDSA", "kid": "one", "crit": ["b64"], "b64": false }),
        json!({ "alg": "EdDSA", "kid": "one", "crit": [] }),
        json!({ "alg": "EdDSA", "kid": "one", "cty": "JWT" }),
        json!({ "alg": "EdDSA", "kid": "one", "zip": "DEF" }),
        json!({ "alg": "EdDSA", "kid": "one", "more": "m".repeat(HEADER_BYTES_MAX) }),
        json!({ "alg": "EdDSA", "kid": "k".repeat(KID_BYTES_MAX + 1) }),
    ] {
        check(&key.sign(&header, &claims));
    }
    // The key in the token's own header is nothing that anybody has asked for.
    let stranger = SigningKey::new("one", 2);
    let header = json!({ "alg": "EdDSA", "kid": "one", "jwk": stranger.jwk() });
    check(&stranger.sign(&header, &claims));
    for typ in ["jwt", "at+JWT", "application/at+jwt"] {
        let header = json!({ "alg": "EdDSA", "kid": "one", "typ": typ });
        assert!(verify(key.sign(&header, &claims)).is_ok(), "{typ}");
    }
}

#[test]
fn claims_of_any_form_are_taken_apart() {
    let key = key();
    for claims in [
        json!(EMAIL),
        json!([claims(EMAIL)]),
        json!(null),
        json!({}),
        json!({ "iss": "http://127.0.0.1/realm", "aud": "iem", "exp": 1e308 }),
    ] {
        let token = key.sign(&key.header(), &claims);
        assert_eq!(verify(&token), Err(TokenError::Invalid), "{claims}");
    }
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let message = format!("{}.{}", part(key.header().to_string()), part(deep));
    assert_eq!(verify(format!("{message}.AAAA")), Err(TokenError::Invalid));
}

#[test]
fn an_unknown_key_is_asked_for_and_a_wrong_signature_is_not() {
    let issuer = issuer();
    let asked = || issuer.asked.swap(false, Ordering::Relaxed);
    let stranger = SigningKey::new("one", 2);
    assert!(verify_by(&issuer, stranger.token(EMAIL)).is_err());
    assert!(verify_by(&issuer, "a.b.c").is_err());
    let none = json!({ "alg": "none", "kid": "two" });
    assert!(verify_by(&issuer, stranger.sign(&none, &claims(EMAIL))).is_err());
    assert!(!asked());
    let [two, three] = [("two", 2), ("three", 3)].map(|(kid, seed)| SigningKey::new(kid, seed));
    for key in [&two, &three] {
        let error = verify_by(&issuer, key.token(EMAIL)).err();
        assert_eq!(error, Some(TokenError::KeysAwaited));
        assert!(asked());
    }
    issuer.replace_keys(&document(&[&two]));
    assert!(verify_by(&issuer, two.token(EMAIL)).is_ok());
    assert!(!asked());
    // There is no such key, for all that is known now.
    let error = verify_by(&issuer, three.token(EMAIL)).err();
    assert_eq!(error, Some(TokenError::Invalid));
    assert!(asked(), "it may be there later");
}

#[test]
fn nothing_is_judged_before_the_first_keys() {
    let issuer = Issuer::open(&config()).ok().flatten().unwrap();
    let error = verify_by(&issuer, key().token(EMAIL)).err();
    assert_eq!(error, Some(TokenError::KeysAwaited));
    for token in ["", "a.b.c", "no token"] {
        assert_eq!(verify_by(&issuer, token).err(), Some(TokenError::Invalid));
    }
    // Whatever its key is, these are no token for us.
    for (claim, value) in [("iss", "https://idp.example"), ("aud", "other")] {
        let mut claims = claims(EMAIL);
        claims[claim] = value.into();
        let token = key().sign(&key().header(), &claims);
        assert_eq!(verify_by(&issuer, token).err(), Some(TokenError::Invalid));
    }
    issuer.replace_keys(&document(&[&key()]));
    assert!(verify_by(&issuer, key().token(EMAIL)).is_ok());
}

#[test]
fn keys_that_are_too_old_judge_nothing() {
    let mut config = config();
    config.oidc.max_staleness = Duration::from_millis(1);
    let issuer = Issuer::with_keys(&config, &document(&[&key()]));
    let id = verify_by(&issuer, key().token(EMAIL)).unwrap().key;
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(issuer.has_key(id), Ok(true), "no fetch has failed");
    issuer.fail("away".to_owned());
    while issuer.has_key(id) == Ok(true) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(issuer.has_key(id), Err(TokenError::KeysAwaited));
    let error = verify_by(&issuer, key().token(EMAIL)).err();
    assert_eq!(error, Some(TokenError::KeysAwaited));
    issuer.replace_keys(&document(&[&key()]));
    assert_eq!(issuer.has_key(id), Ok(true));
}

#[test]
fn of_several_keys_with_one_name_each_is_tried() {
    let keys = [1, 2].map(|seed| SigningKey::new("one", seed));
    let issuer = Issuer::with_keys(&config(), &document(&keys.each_ref()));
    for key in &keys {
        assert!(verify_by(&issuer, key.token(EMAIL)).is_ok());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        token: Vec<u8>, header: Vec<u8>, claims: Vec<u8>, signature: Vec<u8>,
    ) {
        prop_assert!(verify(&token).is_err());
        let token = [header, claims, signature].map(part).join(".");
        prop_assert!(verify(token).is_err());
    }
}
