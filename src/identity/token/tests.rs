#![allow(clippy::unwrap_used)]

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::identity::example;

const KEY: [u8; 32] = [7; 32];

fn tokens(key: [u8; 32]) -> Tokens {
    let key = SigningKey::from_bytes(&key, UNIX_EPOCH);
    Tokens::new(&key, &Config::default().tokens)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn issue(key: [u8; 32]) -> TokenPair {
    let session = Session::begin(at(1000));
    tokens(key)
        .issue(&example::user("nifi@example.com"), &session, at(1000))
        .unwrap()
}

fn verify(token: &str, usage: Use, now_s: u64) -> Result<Claims, TokenError> {
    tokens(KEY).verify(token.as_bytes(), usage, at(now_s))
}

/// A token with any header and claims, signed with our key.
fn forge(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(&KEY);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_token_says_who_it_was_issued_to() {
    let claims = verify(&issue(KEY).access, Use::Access, 1000).unwrap();
    let user = example::user("nifi@example.com");
    assert_eq!(
        (claims.email.as_str(), claims.password_version),
        (&*user.email, user.password_version)
    );
    assert_eq!((claims.issued_at_s, claims.expires_at_s), (1000, 4600));
}

#[test]
fn a_token_names_its_issuer_and_its_audience() {
    let payload = |token: &str| -> Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let issued = payload(&issue(KEY).access);
    assert_eq!(
        (&issued["iss"], &issued["aud"]),
        (&json!("iem-gateway"), &json!("iem-gateway"))
    );
    let session = Session::begin(at(1000));
    let user = example::user("nifi@example.com");
    let tokens = tokens(KEY).issued_by("https://iem.example");
    let pair = tokens.issue(&user, &session, at(1000)).unwrap();
    assert_eq!(payload(&pair.refresh)["iss"], "https://iem.example");
    assert!(
        verify(&pair.access, Use::Access, 1000).is_ok(),
        "of the same keys"
    );
}

#[test]
fn no_two_tokens_are_equal() {
    let one = issue(KEY);
    let other = issue(KEY);
    assert!(one.access != other.access && one.refresh != other.refresh);
}

#[test]
fn expiry_has_no_leeway_and_comes_last() {
    let TokenPair {
        access, refresh, ..
    } = issue(KEY);
    let check = |token: &str, usage: Use, now_s: u64, expected: Result<(), TokenError>| {
        assert_eq!(
            verify(token, usage, now_s).map(|_| ()),
            expected,
            "{usage:?} at {now_s}"
        );
    };
    check(&access, Use::Access, 4599, Ok(()));
    check(&access, Use::Access, 4600, Err(TokenError::Expired));
    check(&access, Use::Refresh, 4600, Err(TokenError::Invalid));
    check(&refresh, Use::Refresh, 87_399, Ok(()));
    check(&refresh, Use::Refresh, 87_400, Err(TokenError::Expired));
    check(&refresh, Use::Access, 87_400, Err(TokenError::Invalid));
    check(
        &issue([8; 32]).access,
        Use::Access,
        9999,
        Err(TokenError::Invalid),
    );
}

#[test]
fn one_use_never_passes_for_the_other() {
    let TokenPair {
        access, refresh, ..
    } = issue(KEY);
    assert_eq!(
        verify(&refresh, Use::Access, 1000),
        Err(TokenError::Invalid)
    );
    assert_eq!(
        verify(&access, Use::Refresh, 1000),
        Err(TokenError::Invalid)
    );
}

#[test]
fn hostile_tokens_are_invalid() {
    let claims =
        serde_json::to_value(verify(&issue(KEY).access, Use::Access, 1000).unwrap()).unwrap();
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    assert!(
        verify(&forge(&hs256, &claims), Use::Access, 1000).is_ok(),
        "the forge works"
    );

    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        forge(&hs256, &claims)
    };
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        forge(&hs256, &claims)
    };
    let unsigned = |header: &Value| {
        let token = forge(header, &claims);
        token[..=token.rfind('.').unwrap()].to_owned()
    };
    let check = |token: String| {
        assert_eq!(
            verify(&token, Use::Access, 1000),
            Err(TokenError::Invalid),
            "{token}"
        );
    };
    for alg in [
        "none", "None", "HS384", "HS512", "RS256", "ES256", "EdDSA", "", "hs256",
    ] {
        check(unsigned(&json!({ "alg": alg })));
        check(forge(&json!({ "alg": alg }), &claims));
    }
    check(unsigned(&hs256));
    check(forge(&json!({}), &claims));
    check(forge(&json!([]), &claims));
    for name in ["sub", "iat", "exp", "jti", "use", "stamp"] {
        check(without(name));
        check(with(name, Value::Null));
        check(with(name, json!([])));
    }
    check(with("aud", json!("another")));
    check(with("exp", json!(-1)));
    check(with("exp", json!("9999")));
    check(with("use", json!("ACCESS")));
    check(with("stamp", json!("")));
    check(forge(&hs256, &json!("nifi@example.com")));
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "=.=.=",
        "\u{0}.\u{0}.\u{0}",
        "é.é.é",
    ] {
        check(text.to_owned());
    }
    check("a".repeat(1 << 20));
    check(format!(
        "{}.{}.{}",
        "W".repeat(1300),
        "W".repeat(1300),
        "W".repeat(1300)
    ));
}

#[test]
fn a_cut_or_changed_token_is_invalid() {
    let token = issue(KEY).access;
    let tokens = tokens(KEY);
    let check = |bytes: &[u8]| {
        assert_eq!(
            tokens.verify(bytes, Use::Access, at(1000)),
            Err(TokenError::Invalid)
        );
    };
    for cut in 0..token.len() {
        check(&token.as_bytes()[..cut]);
        for change in [1, 0x20, 0x80] {
            let mut changed = token.clone().into_bytes();
            changed[cut] ^= change;
            check(&changed);
        }
    }
    check(format!("{token}.").as_bytes());
    check(format!("{token}=").as_bytes());
    check(format!(" {token}").as_bytes());
}
