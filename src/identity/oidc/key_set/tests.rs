#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::identity::oidc::example::{SigningKey, document, part};

/// Returns the kids of the keys that can be used, with their algorithms.
fn read(keys: &[Value]) -> Vec<(String, Algorithm)> {
    let document = json!({ "keys": keys }).to_string();
    let set = KeySet::parse(document.as_bytes()).unwrap();
    let keys = set.keys().iter();
    keys.map(|key| (key.kid.clone(), key.algorithm)).collect()
}

fn rsa(bytes: usize, first: u8) -> String {
    let mut n = vec![0xaa; bytes];
    n[0] = first;
    part(n)
}

/// Returns a good RSA key with other members; `null` leaves one out.
fn with(others: &Value) -> Value {
    let mut key = json!({ "kty": "RSA", "kid": "a", "n": rsa(256, 0x80), "e": "AQAB" });
    for (name, value) in others.as_object().unwrap() {
        if value.is_null() {
            key.as_object_mut().unwrap().remove(name);
        } else {
            key[name] = value.clone();
        }
    }
    key
}

#[test]
fn each_key_has_one_algorithm() {
    let ec = json!({
        "kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "key_ops": ["verify"],
        "x": part([1; 32]), "y": part([2; 32]),
    });
    let ed = SigningKey::new("ed", 1).jwk();
    let keys = [
        with(&json!({ "kid": "plain" })),
        with(&json!({ "kid": "named", "alg": "RS256", "use": "sig" })),
        with(&json!({ "kid": "pss", "alg": "PS256" })),
        ec,
        ed,
    ];
    let expected = [
        ("plain", Algorithm::RS256),
        ("named", Algorithm::RS256),
        ("pss", Algorithm::PS256),
        ("ec", Algorithm::ES256),
        ("ed", Algorithm::EdDSA),
    ];
    let expected = expected.map(|(kid, algorithm)| (kid.to_owned(), algorithm));
    assert_eq!(read(&keys), expected);
}

#[test]
fn keys_that_cannot_be_used_are_left_out() {
    let good = with(&json!({ "kid": "good" }));
    for bad in [
        json!(null),
        json!("key"),
        with(&json!({ "kid": null })),
        with(&json!({ "kid": "" })),
        with(&json!({ "kid": "k".repeat(257) })),
        with(&json!({ "kid": 5 })),
        with(&json!({ "use": "enc" })),
        with(&json!({ "key_ops": ["sign"] })),
        with(&json!({ "key_ops": "verify" })),
        with(&json!({ "alg": "RS384" })),
        with(&json!({ "alg": "HS256" })),
        with(&json!({ "alg": "none" })),
        with(&json!({ "alg": "RSA-OAEP" })),
        with(&json!({ "n": null })),
        with(&json!({ "n": "" })),
        with(&json!({ "n": "!" })),
        with(&json!({ "n": rsa(256, 0x7f) })),
        with(&json!({ "n": rsa(255, 0xff) })),
        with(&json!({ "n": rsa(513, 1) })),
        with(&json!({ "e": "" })),
        with(&json!({ "e": "AAAA" })),
        with(&json!({ "e": part([1; 6]) })),
        json!({ "kty": "oct", "kid": "a", "k": part([1; 32]) }),
        json!({ "kty": "oct", "kid": "a", "alg": "HS256", "k": part([1; 32]) }),
        json!({ "kty": "EC", "crv": "P-384", "kid": "a", "x": part([1; 48]), "y": part([1; 48]) }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "a", "x": part([1; 31]), "y": part([1; 32]) }),
        json!({ "kty": "OKP", "crv": "X25519", "kid": "a", "x": part([1; 32]) }),
        json!({ "kty": "OKP", "crv": "Ed448", "kid": "a", "x": part([1; 57]) }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": part([1; 33]) }),
    ] {
        let expected = [("good".to_owned(), Algorithm::RS256)];
        assert_eq!(read(&[bad.clone(), good.clone()]), expected, "{bad}");
    }
}

#[test]
fn zeros_before_a_modulus_do_not_count() {
    let long = part([&[0_u8][..], &vec![0xff; 256]].concat());
    let short = part([&[0_u8][..], &vec![0xff; 255]].concat());
    assert_eq!(read(&[with(&json!({ "n": long }))]).len(), 1);
    assert_eq!(read(&[with(&json!({ "n": short }))]).len(), 0);
}

#[test]
fn what_is_no_key_set_is_an_error() {
    for text in ["", "[]", "{}", r#"{"keys":5}"#, r#"{"keys":{}}"#, "\u{ff}"] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    let keys = |count| json!({ "keys": vec![json!(1); count] }).to_string();
    assert!(KeySet::parse(keys(KEYS_MAX).as_bytes()).is_ok());
    assert!(KeySet::parse(keys(KEYS_MAX + 1).as_bytes()).is_err());
}

#[test]
fn a_key_is_known_by_what_it_is() {
    let set = |kid, seed| KeySet::parse(&document(&[&SigningKey::new(kid, seed)])).unwrap();
    let id = set("one", 1).keys()[0].id;
    assert!(set("another", 1).contains(id));
    assert!(!set("one", 2).contains(id));
    assert!(set("one", 1).knows("one") && !set("one", 1).knows("two"));
}
