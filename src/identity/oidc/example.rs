//! An issuer for tests: keys, and tokens that they sign.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::config::{Config, Oidc};

/// The time of issue of the example's tokens, in seconds of Unix time.
pub(crate) const ISSUED_S: u64 = 1_000_000;

/// Returns a configuration with an issuer.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.oidc = Oidc {
        issuer: "http://127.0.0.1/realm".to_owned(),
        audience: "iem".to_owned(),
        ..config.oidc
    };
    config
}

/// A key of Ed25519, which signs tokens.
pub(crate) struct SigningKey {
    kid: &'static str,
    key: Ed25519KeyPair,
}

impl SigningKey {
    /// Returns the key that comes of a number.
    pub(crate) fn new(kid: &'static str, seed: u8) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed");
        Self { kid, key }
    }

    /// Returns the public key, as its issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": part(self.public()) })
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// Signs any header and claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", part(signature.as_ref()))
    }

    /// Returns the header of its tokens.
    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "kid": self.kid, "typ": "JWT" })
    }

    /// Signs a token for a user.
    pub(crate) fn token(&self, email: &str) -> String {
        self.sign(&self.header(), &claims(email))
    }
}

/// Returns good claims.
pub(crate) fn claims(email: &str) -> Value {
    json!({
        "iss": "http://127.0.0.1/realm", "aud": ["account", "iem"], "email": email,
        "email_verified": true, "iat": ISSUED_S, "exp": ISSUED_S + 300,
    })
}

/// Returns the document with the public keys.
pub(crate) fn document(keys: &[&SigningKey]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

pub(crate) fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
